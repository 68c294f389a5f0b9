-- reenter.lua puts places back at their old scores after a loss. It refuses
-- those at or below the front of their tier: they have had their turn.
--
-- A visitor may be in the queue at another score: the call that gave it was thought to
-- have failed, and the place was signed by the edge. The earlier place is the fan's, so
-- it goes by that; a place never moves back.
--
-- KEYS  1 room  2 queue  3 turn  4 active
-- ARGV  1 what the caller knows of the room (see life), then visitor, score, …
-- reply {generation, step, places that are in the queue now}
-- cost  one variadic ZADD and at most two look-ups for the whole batch
local _, now_ms = clock()
local generation, step, fronts = life(KEYS[1], KEYS[2], now_ms, ARGV[1])
local visitors = {}
for i = 2, #ARGV, 2 do visitors[#visitors + 1] = ARGV[i] end
local turn = redis.call('ZMSCORE', KEYS[3], unpack(visitors))
local active = redis.call('ZMSCORE', KEYS[4], unpack(visitors))
local add, known = {}, 0
for i = 1, #visitors do
	local score = tonumber(ARGV[2 * i + 1])
	if score > fronts[tier(score) + 1] and not turn[i] and not active[i] then
		add[#add + 1] = score
		add[#add + 1] = visitors[i]
		known = known + 1
	end
end
if #add > 0 then redis.call('ZADD', KEYS[2], 'LT', unpack(add)) end
return {generation, step, known}
