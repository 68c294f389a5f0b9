-- configure.lua puts settings in force for the whole fleet. The last one wins.
--
-- KEYS  1 room
-- ARGV  field, value, …
-- reply the room's revision, which grew if anything changed
local changed = false
for i = 1, #ARGV, 2 do
	if redis.call('HGET', KEYS[1], ARGV[i]) ~= ARGV[i + 1] then changed = true end
end
redis.call('HSET', KEYS[1], unpack(ARGV))
if changed then return redis.call('HINCRBY', KEYS[1], 'revision', 1) end
return tonumber(redis.call('HGET', KEYS[1], 'revision')) or 0
