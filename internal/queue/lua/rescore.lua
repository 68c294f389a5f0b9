-- rescore.lua gives places in the lobby the scores that were drawn for them. Who has left
-- stays away, and who is not in the lobby any more keeps what it has, so it may be repeated.
-- A place in it that the front has passed was spent and came back with an old token: it goes.
--
-- KEYS  1 room  2 queue
-- ARGV  1 what the caller knows of the room (see life), then visitor, score, …
-- reply {generation, step}
-- cost  one variadic ZADD and one look-up for the whole batch
local _, now_ms = clock()
local generation, step, fronts = life(KEYS[1], KEYS[2], now_ms, ARGV[1])
local visitors = {}
for i = 2, #ARGV, 2 do visitors[#visitors + 1] = ARGV[i] end
local there = redis.call('ZMSCORE', KEYS[2], unpack(visitors))
local add, spent = {}, {}
for i = 1, #visitors do
	local score = tonumber(ARGV[2 * i + 1])
	if there[i] and undrawn(tonumber(there[i])) then
		if score % TIER < LIVE and score <= fronts[tier(score) + 1] then
			spent[#spent + 1] = visitors[i]
		else
			add[#add + 1] = ARGV[2 * i + 1]
			add[#add + 1] = visitors[i]
		end
	end
end
if #add > 0 then redis.call('ZADD', KEYS[2], 'XX', unpack(add)) end
if #spent > 0 then redis.call('ZREM', KEYS[2], unpack(spent)) end
return {generation, step}
