-- order.lua puts an order in force for the whole fleet and writes it into the log, both or
-- neither: where the entry cannot be written, the first command fails and nothing has changed.
-- The entry was made from what standing.lua read; if another order came in between, its
-- hash would follow the wrong entry, so nothing is done and the caller reads again.
--
-- KEYS  1 room  2 log
-- ARGV  1 head that was read  2 head after this  3 most entries to keep
--       4 how many entries, then they; then field, value, … of the settings that change
-- reply 1 done, 2 done by an earlier call whose answer was lost, 0 another order came in between
local head = redis.call('HGET', KEYS[1], 'log') or ''
if head == ARGV[2] then return 2 end
if head ~= ARGV[1] then return 0 end
local entries = tonumber(ARGV[4])
for i = 1, entries do redis.call('RPUSH', KEYS[2], ARGV[4 + i]) end
redis.call('LTRIM', KEYS[2], -tonumber(ARGV[3]), -1)
redis.call('HSET', KEYS[1], 'log', ARGV[2], unpack(ARGV, 5 + entries))
redis.call('HINCRBY', KEYS[1], 'revision', 1)
return 1
