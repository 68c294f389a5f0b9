-- resume.lua counts sessions again that were begun before Redis lost them: their
-- fans still come with passes. Sessions that were ended early stay ended.
--
-- KEYS  1 active  2 revoked
-- ARGV  visitor, ends_ms, …
-- reply how many were not known
local _, now = clock()
local add = {}
for i = 1, #ARGV, 2 do
	if tonumber(ARGV[i + 1]) > now and not redis.call('ZSCORE', KEYS[2], ARGV[i]) then
		add[#add + 1] = ARGV[i + 1]
		add[#add + 1] = ARGV[i]
	end
end
return #add > 0 and redis.call('ZADD', KEYS[1], 'NX', unpack(add)) or 0
