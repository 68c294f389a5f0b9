-- standing.lua reads what an order is about to change, and where the log of orders ends.
--
-- KEYS  1 room
-- reply {now_ms, head of the log ('' if there is none), rate, per_ms, burst, cap, session_ms,
--        claim_ms, abandon_ms, max_queue, shards, schedule, paused, message}, '' for what is not set
local t = redis.call('TIME')
local got = redis.call('HMGET', KEYS[1], 'log', 'rate', 'per', 'burst', 'cap', 'session', 'claim', 'abandon',
	'max_queue', 'shards', 'schedule', 'paused', 'message')
local reply = {tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)}
for i = 1, #got do reply[i + 1] = got[i] or '' end
return reply
