-- lead.lua lets one edge at a time do what all of them could: only work is saved by
-- it, nothing that must hold depends on it.
--
-- KEYS  1 leader
-- ARGV  1 the calling edge's id  2 for how long, ms
-- reply 1 if it is the caller
local leader = redis.call('GET', KEYS[1])
if leader and leader ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
