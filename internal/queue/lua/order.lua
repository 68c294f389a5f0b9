-- order.lua puts an order in force for the whole fleet and writes it into the log, both or
-- neither: where the entry cannot be written, the first command fails and nothing has changed.
-- The entry was made from what standing.lua read; if another order came in between, its
-- hash would follow the wrong entry, so nothing is done and the caller reads again.
--
-- KEYS  1 room  2 log
-- ARGV  1 head and  2 revision that were read  3 head after this  4 most entries to keep
--       5 how many entries, then they; then field, value, … of the settings that change
-- reply 1 done, 2 done by an earlier call whose answer was lost, 0 another order came in between
local got = redis.call('HMGET', KEYS[1], 'log', 'revision')
local head = got[1] or ''
if head == ARGV[3] then return 2 end
if head ~= ARGV[1] or (got[2] or '') ~= ARGV[2] then return 0 end
local entries = tonumber(ARGV[5])
for i = 1, entries do redis.call('RPUSH', KEYS[2], ARGV[5 + i]) end
redis.call('LTRIM', KEYS[2], -tonumber(ARGV[4]), -1)
redis.call('HSET', KEYS[1], 'log', ARGV[3], unpack(ARGV, 6 + entries))
redis.call('HINCRBY', KEYS[1], 'revision', 1)
return 1
