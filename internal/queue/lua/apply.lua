-- apply.lua does one shard's part of a round, once: it admits up to a count of
-- places, none beyond the score that the round ends at.
--
-- KEYS  1 room  2 queue  3 turn  4 away
-- ARGV  1 round  2 count  3 score  4 a turn's ms
-- reply {admitted, front of each tier …}
local _, now = clock()
local round = tonumber(ARGV[1])
local got = redis.call('HMGET', KEYS[1], 'applied', 'fronts')
local n, fronts = 0, numbers(got[2])
for t = 1, TIERS do fronts[t] = fronts[t] or 0 end
if (tonumber(got[1]) or 0) >= round then return {0, unpack(fronts)} end
n = admit(KEYS[2], KEYS[3], KEYS[4], now, tonumber(ARGV[4]), tonumber(ARGV[2]), tonumber(ARGV[3]), fronts)
redis.call('HSET', KEYS[1], 'applied', round, 'fronts', digits(fronts))
if n > 0 then redis.call('HINCRBY', KEYS[1], 'admitted', n) end
return {n, unpack(fronts)}
