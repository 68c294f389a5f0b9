-- renew.lua prolongs a session that is being used.
--
-- KEYS  1 room  2 active  3 revoked  4 begun
-- ARGV  1 visitor  2 when its pass was issued, unix ms  3 when the session began, unix ms
--       4 the longest a session may become, ms
-- reply {state, ends_ms, now_ms}: 1 renewed, 2 it is as long as it may be, 3 it is over
-- cost  a few look-ups; what is known of sessions that cannot go on is dropped on the way
local _, now = clock()
local v, began, longest = ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[4])

local ends, ended = tonumber(redis.call('ZSCORE', KEYS[2], v)), tonumber(redis.call('ZSCORE', KEYS[3], v))
if not ends or ends < now or (ended and tonumber(ARGV[2]) <= ended) then return {3, 0, now} end

local session = tonumber(redis.call('HGET', KEYS[1], 'session'))
local later = session and math.min(now + session, began + longest) or ends
if later <= ends then return {2, ends, now} end

redis.call('ZADD', KEYS[2], 'XX', later, v)
-- A visitor who loses the pass and is given another must not begin anew.
redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', '(' .. (now - longest))
redis.call('ZADD', KEYS[4], began, v)
return {1, later, now}
