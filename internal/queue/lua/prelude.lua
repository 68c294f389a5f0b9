-- prelude.lua stands before every script of this folder.
--
-- Scores and the room's times: LIVE and DEP are where live and deprioritised
-- scores begin; ORIGIN is 2026-01-01T00:00:00Z in Unix seconds. See package place.
local LIVE, DEP, ORIGIN = 281474976710656, 8162774324609024, 1767225600

-- The server's own clock: microseconds since ORIGIN, and Unix milliseconds.
local function clock()
	local t = redis.call('TIME')
	local s, us = tonumber(t[1]), tonumber(t[2])
	return (s - ORIGIN) * 1000000 + us, s * 1000 + math.floor(us / 1000)
end

-- The room's generation and front. A room that has none is new or was lost: it
-- begins one, named by the second it began in. known is the highest front that
-- the caller has ever seen; after a loss it is what closes replay of spent places.
local function life(key, now_ms, known)
	local got = redis.call('HMGET', key, 'generation', 'front')
	local generation, front = tonumber(got[1]), tonumber(got[2]) or 0
	if not generation then
		generation = math.floor(now_ms / 1000)
		-- An empty bucket after a loss: a second burst would break the rate.
		redis.call('HSET', key, 'generation', generation, 'tokens', known > 0 and 0 or 1, 'refilled', now_ms)
	end
	if known > front then
		front = known
		redis.call('HSET', key, 'front', front)
	end
	return generation, front
end
