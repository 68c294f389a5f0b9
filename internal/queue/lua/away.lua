-- away.lua notes that visitors' connections are gone. The first note counts.
--
-- KEYS  1 away
-- ARGV  visitor, …
-- reply how many were not away before
local _, now = clock()
local add = {}
for i = 1, #ARGV do
	add[#add + 1] = now
	add[#add + 1] = ARGV[i]
end
return redis.call('ZADD', KEYS[1], 'NX', unpack(add))
