-- lobby.lua lists who is in the lobby in one tier, in the order of visitors.
-- Everybody there has one score, so the order is that of the members; people who
-- leave between two calls make it no other.
--
-- KEYS  1 queue
-- ARGV  1 the tier's undrawn score  2 the visitor after whom to begin, or ''  3 how many at most
-- reply visitors
local function less(a, b) -- Lua's own comparison goes by the locale
	for i = 1, math.min(#a, #b) do
		local x, y = string.byte(a, i), string.byte(b, i)
		if x ~= y then return x < y end
	end
	return #a < #b
end
local score, after = ARGV[1], ARGV[2]
local first = redis.call('ZCOUNT', KEYS[1], '-inf', '(' .. score)
local beyond = first + redis.call('ZCOUNT', KEYS[1], score, score)
if after ~= '' then
	local high = beyond
	while first < high do
		local middle = math.floor((first + high) / 2)
		if less(after, redis.call('ZRANGE', KEYS[1], middle, middle)[1]) then high = middle else first = middle + 1 end
	end
end
local last = math.min(first + tonumber(ARGV[3]), beyond) - 1
if last < first then return {} end
return redis.call('ZRANGE', KEYS[1], first, last)
