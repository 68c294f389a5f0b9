-- join.lua gives places to a batch of visitors. A visitor who has one keeps it.
--
-- KEYS  1 room  2 queue  3 turn  4 active
-- ARGV  1 what the caller knows of the room (see life), then for each entry: visitor, kind
--       kind is 'L' and the tier for a live place; 'U', the tier, ':' and the draw's id for
--       one in the lobby, which becomes a live one if that draw is frozen: it came too late
-- reply {generation, step, base, rank} if all were live, of one tier and new: entry i has
--       the score base+i-1 and rank+i-1 places ahead of it;
--       else {generation, step, -1, state, score, …}: 1 new, 2 waiting, 3 turn, 4 active, 5 refused
-- cost  one variadic ZADD and two or three look-ups for the whole batch
local now, now_ms = clock()
local generation, step, fronts = life(KEYS[1], KEYS[2], now_ms, ARGV[1])
local n = (#ARGV - 1) / 2
local room = redis.call('HMGET', KEYS[1], 'last', 'max_queue', 'frozen', 'shards')
local limit, frozen = math.ceil((tonumber(room[2]) or 0) / (tonumber(room[4]) or 1)), room[3]

-- Live scores grow strictly, also within a microsecond and when the clock steps back.
local first = math.max((tonumber(room[1]) or 0) + 1, now, beyond(fronts))
redis.call('HSET', KEYS[1], 'last', first + n - 1)

-- Alike are entries with live places in one tier.
local visitors, scores, states, alike, lobby = {}, {}, {}, true, false
local base = tonumber(string.sub(ARGV[3], 2, 2)) * TIER
for i = 1, n do
	local kind = ARGV[2 * i + 1]
	local at = tonumber(string.sub(kind, 2, 2)) * TIER
	visitors[i] = ARGV[2 * i]
	if string.sub(kind, 1, 1) == 'L' or string.sub(kind, 4) == frozen then
		scores[i] = at + LIVE + first + i - 1
	else
		scores[i], lobby = at + TIER - 1, true
	end
	alike = alike and at == base and not lobby
end

-- Visitors whose turn has come, or who have a pass, must not queue a second time.
for state, key in pairs({[3] = KEYS[3], [4] = KEYS[4]}) do
	if redis.call('ZCARD', key) > 0 then
		local found = redis.call('ZMSCORE', key, unpack(visitors))
		for i = 1, n do
			if found[i] and not (state == 3 and states[i]) then states[i], alike = state, false end
		end
	end
end

local waiting = redis.call('ZCARD', KEYS[2])
if limit > 0 and waiting + n > limit then
	alike = false
	local there = redis.call('ZMSCORE', KEYS[2], unpack(visitors))
	for i = 1, n do
		if not states[i] and not there[i] then
			if waiting >= limit then states[i] = 5 else waiting = waiting + 1 end
		end
	end
end

-- Everybody in a lobby has one score, so it does not tell who was there before.
local here = {}
if lobby then
	local there = redis.call('ZMSCORE', KEYS[2], unpack(visitors))
	for i = 1, n do here[visitors[i]] = there[i] and 0 or here[visitors[i]] or i end
end

local add = {}
for i = 1, n do
	if not states[i] then
		add[#add + 1] = scores[i]
		add[#add + 1] = visitors[i]
	end
end
local added = #add > 0 and redis.call('ZADD', KEYS[2], 'NX', unpack(add)) or 0
if alike and added == n then
	return {generation, step, base + LIVE + first, redis.call('ZRANK', KEYS[2], visitors[1])}
end

local reply = {generation, step, -1}
local there = redis.call('ZMSCORE', KEYS[2], unpack(visitors))
for i = 1, n do
	local score = there[i] and tonumber(there[i]) or 0
	local new = score == scores[i] and (not lobby or here[visitors[i]] == i)
	reply[#reply + 1] = states[i] or (new and 1 or 2)
	reply[#reply + 1] = score
end
return reply
