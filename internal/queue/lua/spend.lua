-- spend.lua uses a signed link up: once in the fleet, and in the same step it gives
-- what the link is good for. Who asks again finds what it was given; who has as good
-- already keeps that, and the link with it.
--
-- KEYS  1 room  2 queue  3 turn  4 active  5 away  6 the link  7 guests
-- ARGV  1 visitor  2 when the link ends, unix ms
--       3 what for: 'S' a session, 'L' a live place, 'U' a place in the lobby, 'N' nothing more,
--         'M' a session in another shard, for which this one is asked first;
--         or 'R' to take back that the visitor used the link
--       4 the tier of a place  5 what the link is counted under, '' for nothing
--       6 what the caller knows of the room (see life)  7 the draw of a place in the lobby, which
--       is a live one once that draw is frozen  8 how many are inside of all shards, as far as the
--       caller knows; 0 if this is the only one
-- reply {state, value, now_ms, generation, 1 if the visitor had used the link before}
--       1 given now, 2 had before: the value is when the session ends, or the score of the place
--       3 the visitor has a turn  4 the visitor has a session, and asked for a place
--       5 used up  6 its time is over; and with nothing used up: 7 the cap is reached
--       8 paused  9 no settings are in force
local now, now_ms = clock()
local v, till, what, at = ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4]) * TIER
local generation, fronts, _ = 0, {}
if what == 'L' or what == 'U' then generation, _, fronts = life(KEYS[1], KEYS[2], now_ms, ARGV[6]) end
if what == 'U' and redis.call('HGET', KEYS[1], 'frozen') == ARGV[7] then what = 'L' end
local owner = redis.call('GET', KEYS[6])
local function reply(state, value) return {state, value or 0, now_ms, generation, owner and 1 or 0} end

if owner and owner ~= v then return reply(5) end
if what == 'R' then
	redis.call('DEL', KEYS[6])
	return reply(1)
end
local ends = tonumber(redis.call('ZSCORE', KEYS[4], v))
if ends and ends < now_ms then ends = nil end
local turn = tonumber(redis.call('ZSCORE', KEYS[3], v))
local score = tonumber(redis.call('ZSCORE', KEYS[2], v))
if what == 'N' or what == 'M' then
	if owner then return reply(2) end
elseif what == 'S' then
	if ends then return reply(2, ends) end
else
	if ends then return reply(4, ends) end
	if turn then return reply(3) end
	if score and score < at + TIER then return reply(2, score) end
end
if owner then return reply(5) end
if till <= now_ms then return reply(6) end

if what == 'M' and redis.call('HGET', KEYS[1], 'paused') == '1' then return reply(8) end

local value = 0
if what == 'S' then
	local r = redis.call('HMGET', KEYS[1], 'rate', 'cap', 'session', 'paused')
	if not r[1] then return reply(9) end
	if r[4] == '1' then return reply(8) end
	local inside = redis.call('ZCARD', KEYS[3]) + redis.call('ZCOUNT', KEYS[4], now_ms, '+inf') - (turn and 1 or 0)
	if math.max(inside, tonumber(ARGV[8])) >= tonumber(r[2]) then return reply(7) end
	value = now_ms + tonumber(r[3])
	redis.call('ZADD', KEYS[4], value, v)
	redis.call('ZREM', KEYS[3], v)
	redis.call('ZREM', KEYS[2], v)
	redis.call('ZREM', KEYS[5], v)
elseif what == 'L' or what == 'U' then
	value = at + TIER - 1
	if what == 'L' then
		local last = math.max((tonumber(redis.call('HGET', KEYS[1], 'last')) or 0) + 1, now, beyond(fronts))
		redis.call('HSET', KEYS[1], 'last', last)
		value = at + LIVE + last
	end
	redis.call('ZADD', KEYS[2], value, v)
	redis.call('ZREM', KEYS[5], v)
end
redis.call('SET', KEYS[6], v, 'PXAT', till)
if ARGV[5] ~= '' then redis.call('HINCRBY', KEYS[7], ARGV[5], 1) end
return reply(1, value)
