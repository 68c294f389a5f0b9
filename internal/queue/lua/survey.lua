-- survey.lua is the first half of a tick of a room that is split: it ends what is
-- over in one shard and says how the shard stands and who is first in it.
--
-- KEYS  1 room  2 queue  3 turn  4 active  5 away  6 revoked
-- ARGV  1 what the caller knows of the shard (see life)  2 how many heads to report
--       3 revocations since, unix ms
-- reply see report; heads are the lowest scores, to the first that is not drawn
local _, now = clock()
local generation, step, fronts = life(KEYS[1], KEYS[2], now, ARGV[1])
local r = read(KEYS[1])
local missed = sweep(KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], now, r)
if missed > 0 then r.no_shows = redis.call('HINCRBY', KEYS[1], 'no_shows', missed) end
local heads = {}
local want = math.min(tonumber(ARGV[2]), BATCH)
local first = want > 0 and redis.call('ZRANGE', KEYS[2], 0, want - 1, 'WITHSCORES') or {}
for i = 2, #first, 2 do
	local score = tonumber(first[i])
	heads[#heads + 1] = score
	if undrawn(score) then break end
end
return report(generation, step, fronts, KEYS[2], KEYS[3], KEYS[4], KEYS[6], now, r, heads, ARGV[3])
