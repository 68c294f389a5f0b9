-- prelude.lua stands before every script of this folder.
--
-- Scores (see package place): a tier is TIER wide, its live places begin at LIVE,
-- and its last score is that of everybody who is in the lobby. ORIGIN is
-- 2026-01-01T00:00:00Z in Unix seconds.
local TIERS, TIER, LIVE, ORIGIN = 8, 1125899906842624, 281474976710656, 1767225600

local function tier(score) return math.floor(score / TIER) end
local function undrawn(score) return score % TIER == TIER - 1 end

-- The server's own clock: microseconds since ORIGIN, and Unix milliseconds.
local function clock()
	local t = redis.call('TIME')
	local s, us = tonumber(t[1]), tonumber(t[2])
	return (s - ORIGIN) * 1000000 + us, s * 1000 + math.floor(us / 1000)
end

local function numbers(text)
	local out = {}
	for n in string.gmatch(text or '', '%d+') do out[#out + 1] = tonumber(n) end
	return out
end

-- Lua's own way to write a number keeps 14 digits; a score has 16.
local function digits(list)
	local out = {}
	for i = 1, #list do out[i] = string.format('%.0f', list[i]) end
	return table.concat(out, ' ')
end

-- beyond is the first time that is behind the fronts: who comes is behind all who had
-- their turn, also where this server's clock is behind that of the one it replaces.
local function beyond(fronts)
	local time = 0
	for t = 1, #fronts do time = math.max(time, fronts[t] % TIER - LIVE + 1) end
	return time
end

-- life says which generation of the room's data this is, counts one more step in
-- it, and returns the fronts, one for each tier.
--
-- known is what the caller has seen of this room, as "generation step front …". Its
-- steps have happened here, so data that have seen fewer are older: a restored
-- snapshot, or a replica that was promoted before it had everything. Such data, and
-- no data, begin a new generation, named by the second it began in. It has no
-- rate, so nobody is admitted before an edge has put the settings in force again,
-- and an empty bucket: a second burst would break the rate. Fronts that the caller
-- knows to be further on are taken over, and places that they have passed are
-- spent: that is what closes replay after a loss. A caller that knows nothing cannot
-- tell new data from lost ones; then the first who knows of older ones stops admission.
-- 'lost' is the generation of data that began so.
local function life(room, queue, now_ms, known)
	local k = numbers(known)
	local got = redis.call('HMGET', room, 'generation', 'step', 'fronts', 'lost')
	local generation, step, fronts = tonumber(got[1]), tonumber(got[2]) or 0, numbers(got[3])
	if not generation or generation < k[1] or (generation == k[1] and step < k[2]) then
		generation = math.max(math.floor(now_ms / 1000), k[1] + 1)
		redis.call('HSET', room, 'generation', generation, 'tokens', k[1] > 0 and 0 or 1, 'refilled', now_ms)
	end
	if k[1] > 0 and k[1] < generation and tonumber(got[4]) ~= generation then
		redis.call('HDEL', room, 'rate')
		redis.call('HSET', room, 'lost', generation, 'tokens', 0, 'refilled', now_ms)
	end
	local raised = false
	for t = 1, TIERS do
		fronts[t] = fronts[t] or 0
		if (k[t + 2] or 0) > fronts[t] then
			fronts[t], raised = k[t + 2], true
			redis.call('ZREMRANGEBYSCORE', queue, (t - 1) * TIER, fronts[t])
		end
	end
	if raised then redis.call('HSET', room, 'fronts', digits(fronts)) end
	return generation, redis.call('HINCRBY', room, 'step', 1), fronts
end
