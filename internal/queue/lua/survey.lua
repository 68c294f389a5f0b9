-- survey.lua is the first half of a tick of a room that is split: it ends what is
-- over in one shard and says how the shard stands and who is first in it.
--
-- KEYS  1 room  2 queue  3 turn  4 active  5 away  6 revoked
-- ARGV  1 what the caller knows of the shard (see life)  2 how many heads to report
--       3 revocations since, unix ms  4 of the first shard, an empty plan of the last round that
--       the caller knows of: a shard that lost its data counts on from there
-- reply see report; heads are the lowest scores, to the first that is not drawn
local _, now = clock()
local generation, step, fronts = life(KEYS[1], KEYS[2], now, ARGV[1])
local r = read(KEYS[1])
local missed = sweep(KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], now, r)
if missed > 0 then r.no_shows = redis.call('HINCRBY', KEYS[1], 'no_shows', missed) end
local last = numbers(ARGV[4])
if #last > 0 and r.round < last[1] then
	r.round, r.plan = last[1], ARGV[4]
	redis.call('HSET', KEYS[1], 'round', r.round, 'plan', r.plan)
end
local heads = {}
local want = math.min(tonumber(ARGV[2]), BATCH)
local first = want > 0 and redis.call('ZRANGE', KEYS[2], 0, want - 1, 'WITHSCORES') or {}
for i = 2, #first, 2 do
	local score = tonumber(first[i])
	heads[#heads + 1] = score
	if undrawn(score) then break end
end
return report(generation, step, fronts, KEYS[2], KEYS[3], KEYS[4], KEYS[6], now, r, heads, ARGV[3])
