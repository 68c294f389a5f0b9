-- enter.lua lets a visitor straight through who finds nobody waiting: it takes the
-- token and the slot that tick.lua would have taken, and begins the session.
--
-- KEYS  1 room  2 queue  3 turn  4 active  5 edges  6 unwell
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

-- The bucket and the cap are those of tick.lua, and so is what they promise (Q6).
local r = read(KEYS[1])
redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', '(' .. now)
mint(r, now)
watch(r, KEYS[5], KEYS[6], now, '', '0')
if allowed(r, now, redis.call('ZCARD', KEYS[3]) + redis.call('ZCARD', KEYS[4]), 1) < 1 then return {4, 0, now} end

ends = now + r.session
redis.call('ZADD', KEYS[4], ends, v)
spend(KEYS[1], r, 1)
redis.call('HINCRBY', KEYS[1], 'admitted', 1)
return {1, ends, now}
