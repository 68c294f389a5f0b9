-- join.lua gives places to a batch of visitors. A visitor who has one keeps it.
--
-- KEYS  1 room  2 queue  3 turn  4 active
-- ARGV  for each entry: visitor, kind
--       kind is 'L' for a live place, 'D' for a deprioritised one, or the score of a drawn one
-- reply {generation, base, rank} if all were live and new: entry i has the score base+i-1
--       and rank+i-1 places ahead of it;
--       else {generation, -1, state, score, …}: 1 new, 2 waiting, 3 turn, 4 active, 5 refused
-- cost  one variadic ZADD and two or three look-ups for the whole batch
local now, now_ms = clock()
local generation = life(KEYS[1], now_ms, 0)
local n = #ARGV / 2
local room = redis.call('HMGET', KEYS[1], 'last', 'max_queue')
local limit = tonumber(room[2]) or 0

-- Live scores grow strictly, also within a microsecond and when the clock steps back.
local first = math.max((tonumber(room[1]) or 0) + 1, now)
redis.call('HSET', KEYS[1], 'last', first + n - 1)

local visitors, scores, states, live = {}, {}, {}, true
for i = 1, n do
	local kind = ARGV[2 * i]
	visitors[i] = ARGV[2 * i - 1]
	if kind == 'L' then
		scores[i] = LIVE + first + i - 1
	else
		live = false
		scores[i] = kind == 'D' and DEP + first + i - 1 or tonumber(kind)
	end
end

-- Visitors whose turn has come, or who have a pass, must not queue a second time.
for state, key in pairs({[3] = KEYS[3], [4] = KEYS[4]}) do
	if redis.call('ZCARD', key) > 0 then
		local found = redis.call('ZMSCORE', key, unpack(visitors))
		for i = 1, n do
			if found[i] and not (state == 3 and states[i]) then states[i], live = state, false end
		end
	end
end

local waiting = redis.call('ZCARD', KEYS[2])
if limit > 0 and waiting + n > limit then
	live = false
	local there = redis.call('ZMSCORE', KEYS[2], unpack(visitors))
	for i = 1, n do
		if not states[i] and not there[i] then
			if waiting >= limit then states[i] = 5 else waiting = waiting + 1 end
		end
	end
end

local add = {}
for i = 1, n do
	if not states[i] then
		add[#add + 1] = scores[i]
		add[#add + 1] = visitors[i]
	end
end
local added = #add > 0 and redis.call('ZADD', KEYS[2], 'NX', unpack(add)) or 0
if live and added == n then
	return {generation, LIVE + first, redis.call('ZRANK', KEYS[2], visitors[1])}
end

local reply = {generation, -1}
local there = redis.call('ZMSCORE', KEYS[2], unpack(visitors))
for i = 1, n do
	local score = there[i] and tonumber(there[i]) or 0
	reply[#reply + 1] = states[i] or (score == scores[i] and 1 or 2)
	reply[#reply + 1] = score
end
return reply
