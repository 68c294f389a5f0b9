-- enter.lua lets a visitor straight through who finds nobody waiting: it takes the
-- token and the slot that tick.lua would have taken, and begins the session.
--
-- KEYS  1 room  2 queue  3 turn  4 active
-- ARGV  1 visitor
-- reply {state, ends_ms, now_ms}: 1 let through, 2 has a session already, 3 has a
--       place or a turn, 4 there is no room now
-- cost  a few look-ups; sessions that have run out are dropped on the way

local _, now = clock()
local v = ARGV[1]

local ends = tonumber(redis.call('ZSCORE', KEYS[4], v))
if ends and ends >= now then return {2, ends, now} end
if redis.call('ZSCORE', KEYS[2], v) or redis.call('ZSCORE', KEYS[3], v) then return {3, 0, now} end

-- Nobody overtakes somebody who waits (Q1).
if redis.call('ZCARD', KEYS[2]) > 0 then return {4, 0, now} end

local r = redis.call('HMGET', KEYS[1], 'rate', 'per', 'burst', 'cap', 'session', 'paused', 'tokens', 'refilled')
if not r[1] or r[6] == '1' then return {4, 0, now} end
local tokens, refilled = tonumber(r[7]) or 0, tonumber(r[8]) or now

-- The bucket and the cap are those of tick.lua, and so is what they promise (Q6).
if now > refilled then tokens = tokens + (now - refilled) * tonumber(r[1]) / tonumber(r[2]) end
tokens = math.min(tokens, tonumber(r[3]))
redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', '(' .. now)
local inside = redis.call('ZCARD', KEYS[3]) + redis.call('ZCARD', KEYS[4])
if tokens < 1 or inside >= tonumber(r[4]) then return {4, 0, now} end

ends = now + tonumber(r[5])
redis.call('ZADD', KEYS[4], ends, v)
redis.call('HSET', KEYS[1], 'tokens', tokens - 1, 'refilled', now)
redis.call('HINCRBY', KEYS[1], 'admitted', 1)
return {1, ends, now}
