-- claim.lua turns a visitor's turn into an active session. Claiming again finds
-- the session that is there.
--
-- KEYS  1 room  2 queue  3 turn  4 active
-- ARGV  1 visitor  2 until when the caller vouches for the turn, unix ms (0: it does not)
--       3 a session's ms, where the room has lost its settings
-- reply {state, ends_ms, now_ms}: 1 claimed now, 2 claimed before, 3 still waiting,
--       4 the turn was missed, 5 not in this queue
local _, now = clock()
local v, vouched = ARGV[1], tonumber(ARGV[2])
local ends = tonumber(redis.call('ZSCORE', KEYS[4], v))
if ends and ends >= now then return {2, ends, now} end
local waits = redis.call('ZSCORE', KEYS[2], v)
local by = tonumber(redis.call('ZSCORE', KEYS[3], v)) or not waits and vouched > 0 and vouched
if by then
	local known = redis.call('ZREM', KEYS[3], v)
	if by < now then
		-- Its token goes back once: a turn that only the caller knows of has none here.
		if known == 1 then redis.call('HINCRBY', KEYS[1], 'no_shows', 1) end
		return {4, 0, now}
	end
	ends = now + (tonumber(redis.call('HGET', KEYS[1], 'session') or ARGV[3]))
	redis.call('ZADD', KEYS[4], ends, v)
	return {1, ends, now}
end
if waits then return {3, 0, now} end
return {5, 0, now}
