-- tick.lua runs a room that is not split: it ends what is over, drops abandoned
-- places, admits from the front, and says how the room stands. Every edge may call
-- it as often as it likes: what it admits depends on the clock alone.
--
-- KEYS  1 room  2 queue  3 turn  4 active  5 away  6 revoked  7 edges  8 unwell
-- ARGV  1 what the caller knows of the room (see life)  2 most to admit (-1: no limit of the caller's)
--       3 revocations since, unix ms  4 the calling edge's id  5 '1' if it finds the site unwell
--       6 until when the caller holds admission back, unix ms
-- reply see report
-- cost  O(log n) for each place that moves
local _, now = clock()
local generation, step, fronts = life(KEYS[1], KEYS[2], now, ARGV[1])
local r = read(KEYS[1])
r.no_shows = r.no_shows + sweep(KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], now, r)
mint(r, now)
watch(r, KEYS[7], KEYS[8], now, ARGV[4], ARGV[5])
hold(KEYS[1], r, now, tonumber(ARGV[6]))
local n = allowed(r, now, redis.call('ZCARD', KEYS[3]) + redis.call('ZCARD', KEYS[4]), tonumber(ARGV[2]))
r.now_admitted = admit(KEYS[2], KEYS[3], KEYS[5], now, r.claim, n, TIERS * TIER, fronts)
r.admitted = r.admitted + r.now_admitted
spend(KEYS[1], r, r.now_admitted)
redis.call('HSET', KEYS[1], 'fronts', digits(fronts), 'admitted', r.admitted, 'no_shows', r.no_shows)
return report(generation, step, fronts, KEYS[2], KEYS[3], KEYS[4], KEYS[6], now, r, {}, ARGV[3])
