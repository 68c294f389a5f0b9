-- decide.lua begins a round of a room that is split: it says how many of the heads
-- of all shards are admitted, and writes the plan down, so that whoever finds a
-- round half done can finish it. It runs in the first shard.
--
-- A round is decided only on a survey that saw the one before done everywhere: what
-- is inside can have become less since, never more, so the cap holds (Q6).
--
-- KEYS  1 room  2 edges  3 unwell
-- ARGV  1 the round the survey saw done  2 most to admit (-1: no limit of the caller's)
--       3 turns and sessions in all shards  4 turns nobody came for in all shards, ever
--       5 the calling edge's id  6 '1' if it finds the site unwell  7 how many shards
--       8 until when the caller holds admission back, unix ms; then, by score: score, shard from 0, …
-- reply {admitted, edges, unwell, round, plan}; admitted is -1 if another edge has decided since.
--       The plan is "round score count …": each shard admits its count at or below the score
local _, now = clock()
local r = read(KEYS[1])
watch(r, KEYS[2], KEYS[3], now, ARGV[5], ARGV[6])
hold(KEYS[1], r, now, tonumber(ARGV[8]))
if r.round > tonumber(ARGV[1]) then return {-1, r.edges, r.unwell, r.round, r.plan} end
r.no_shows = math.max(tonumber(ARGV[4]), r.credited) -- a shard that lost its data counts from 0 again
mint(r, now)
local heads = (#ARGV - 8) / 2
local n = math.min(allowed(r, now, tonumber(ARGV[3]), tonumber(ARGV[2])), heads)
local counts, upto = {}, 0
for i = 1, tonumber(ARGV[7]) do counts[i] = 0 end
for i = 1, n do
	local shard = tonumber(ARGV[8 + 2 * i]) + 1
	counts[shard], upto = counts[shard] + 1, tonumber(ARGV[7 + 2 * i])
end
spend(KEYS[1], r, n)
if n > 0 then
	r.round = tonumber(ARGV[1]) + 1
	r.plan = digits({r.round, upto, unpack(counts)})
	redis.call('HSET', KEYS[1], 'round', r.round, 'plan', r.plan)
end
return {n, r.edges, r.unwell, r.round, r.plan}
