-- tick.lua runs the room: it ends turns and sessions that are over, drops
-- abandoned places, admits from the front, and says how the room stands. Every
-- edge may call it as often as it likes: what it admits depends on the clock alone.
--
-- KEYS  1 room  2 queue  3 turn  4 active  5 away  6 revoked
-- ARGV  1 highest front the caller has seen  2 most to admit for stock or health (-1: no limit)
--       3 revocations since, unix ms
-- reply {now_ms, generation, front, waiting, turns, active, admitted, admitted_total,
--        no_shows_total, paused, message, rate, per_ms, burst, cap, session_ms, claim_ms,
--        abandon_ms, max_queue, revision, visitor, revoked_at, …}
-- cost  O(log n) for each place that moves; BATCH bounds every loop, so one call
--       holds up the others for a few milliseconds at most
local BATCH = 1000
local _, now = clock()
local generation, front = life(KEYS[1], now, tonumber(ARGV[1]))
local r = redis.call('HMGET', KEYS[1], 'rate', 'per', 'burst', 'cap', 'session', 'claim', 'abandon',
	'max_queue', 'paused', 'message', 'revision', 'tokens', 'refilled', 'admitted', 'no_shows')
local rate, per, burst = tonumber(r[1]) or 0, tonumber(r[2]) or 1000, tonumber(r[3]) or 0
local cap, session, claim, abandon = tonumber(r[4]) or 0, tonumber(r[5]) or 0, tonumber(r[6]) or 0, tonumber(r[7]) or 0
local tokens, refilled = tonumber(r[12]) or 0, tonumber(r[13]) or now
local admitted_total, no_shows = tonumber(r[14]) or 0, tonumber(r[15]) or 0

local missed = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', '(' .. now, 'LIMIT', 0, BATCH)
if #missed > 0 then
	redis.call('ZREM', KEYS[3], unpack(missed))
	no_shows = no_shows + #missed
	redis.call('HSET', KEYS[1], 'no_shows', no_shows)
end
redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', '(' .. now)
redis.call('ZREMRANGEBYSCORE', KEYS[6], '-inf', '(' .. (now - session))
if abandon > 0 then
	local gone = redis.call('ZRANGEBYSCORE', KEYS[5], '-inf', '(' .. (now - abandon), 'LIMIT', 0, BATCH)
	if #gone > 0 then
		redis.call('ZREM', KEYS[2], unpack(gone))
		redis.call('ZREM', KEYS[5], unpack(gone))
	end
end

-- The bucket. A clock that steps back mints nothing; one that steps forward
-- mints at most a burst.
if now > refilled then tokens = tokens + (now - refilled) * rate / per end
tokens = math.min(tokens, burst)

local turns, active = redis.call('ZCARD', KEYS[3]), redis.call('ZCARD', KEYS[4])
local n, limit = 0, tonumber(ARGV[2])
if r[9] ~= '1' then
	n = math.min(math.floor(tokens), cap - active - turns, redis.call('ZCARD', KEYS[2]), BATCH)
	if limit >= 0 then n = math.min(n, limit) end
end
if n > 0 then
	local popped = redis.call('ZPOPMIN', KEYS[2], n)
	local turn, who = {}, {}
	for i = 1, #popped, 2 do
		turn[#turn + 1] = now + claim
		turn[#turn + 1] = popped[i]
		who[#who + 1] = popped[i]
	end
	redis.call('ZADD', KEYS[3], unpack(turn))
	redis.call('ZREM', KEYS[5], unpack(who))
	front = math.max(front, tonumber(popped[#popped]))
	tokens, turns, admitted_total = tokens - n, turns + n, admitted_total + n
	redis.call('HSET', KEYS[1], 'front', front, 'admitted', admitted_total)
else
	n = 0
end
redis.call('HSET', KEYS[1], 'tokens', tokens, 'refilled', now)

local reply = {now, generation, front, redis.call('ZCARD', KEYS[2]), turns, active, n, admitted_total,
	no_shows, r[9] == '1' and 1 or 0, r[10] or '', rate, per, burst, cap, session, claim,
	abandon, tonumber(r[8]) or 0, tonumber(r[11]) or 0}
local revoked = redis.call('ZRANGEBYSCORE', KEYS[6], ARGV[3], '+inf', 'WITHSCORES', 'LIMIT', 0, BATCH)
for i = 1, #revoked, 2 do
	reply[#reply + 1] = revoked[i]
	reply[#reply + 1] = tonumber(revoked[i + 1])
end
return reply
