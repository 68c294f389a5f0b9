-- leave.lua frees a visitor's place, turn and session at once. With ARGV 2 = 1 a
-- pass that was given out is revoked as well.
--
-- KEYS  1 queue  2 turn  3 away  4 active  5 revoked
-- ARGV  1 visitor  2 revoke
-- reply now_ms
local _, now = clock()
local v = ARGV[1]
redis.call('ZREM', KEYS[1], v)
redis.call('ZREM', KEYS[2], v)
redis.call('ZREM', KEYS[3], v)
if ARGV[2] == '1' then
	redis.call('ZREM', KEYS[4], v)
	redis.call('ZADD', KEYS[5], now, v)
end
return now
