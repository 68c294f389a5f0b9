-- sweep.lua: what tick.lua and survey.lua share.

-- BATCH bounds every loop, so one call holds up the others for a few milliseconds at most.
local BATCH = 1000

local COUNTS = {'rate', 'per', 'burst', 'cap', 'session', 'claim', 'abandon', 'max_queue', 'shards', 'revision',
	'tokens', 'refilled', 'admitted', 'no_shows', 'credited', 'round', 'applied', 'lost', 'hold'}

-- read is the room's hash: every count as a number, and the few texts.
local function read(room)
	local got, r = redis.call('HMGET', room, unpack(COUNTS)), {}
	for i, name in ipairs(COUNTS) do r[name] = tonumber(got[i]) or 0 end
	local texts = redis.call('HMGET', room, 'paused', 'message', 'frozen', 'plan')
	r.paused, r.message, r.frozen, r.plan = texts[1] == '1', texts[2] or '', texts[3] or '', texts[4] or ''
	return r
end

-- sweep ends turns and sessions that are over, forgets revocations that no pass
-- can outlive, and drops places of fans who have been away for too long. It
-- returns how many turns nobody came for.
local function sweep(queue, turn, active, away, revoked, now, r)
	local missed = redis.call('ZRANGEBYSCORE', turn, '-inf', '(' .. now, 'LIMIT', 0, BATCH)
	if #missed > 0 then redis.call('ZREM', turn, unpack(missed)) end
	redis.call('ZREMRANGEBYSCORE', active, '-inf', '(' .. now)
	redis.call('ZREMRANGEBYSCORE', revoked, '-inf', '(' .. (now - r.session))
	if r.abandon > 0 then
		local gone = redis.call('ZRANGEBYSCORE', away, '-inf', '(' .. (now - r.abandon), 'LIMIT', 0, BATCH)
		if #gone > 0 then
			redis.call('ZREM', queue, unpack(gone))
			redis.call('ZREM', away, unpack(gone))
		end
	end
	return #missed
end

-- admit gives up to n places at or below a score their turn, from the front, and
-- says how many. Nobody is admitted undrawn: the draw comes first.
local function admit(queue, turn, away, now, claim, n, upto, fronts)
	local popped = n > 0 and redis.call('ZRANGE', queue, 0, n - 1, 'WITHSCORES') or {}
	local turns, who = {}, {}
	for i = 1, #popped, 2 do
		local score = tonumber(popped[i + 1])
		if score > upto or undrawn(score) then break end
		turns[#turns + 1] = now + claim
		turns[#turns + 1] = popped[i]
		who[#who + 1] = popped[i]
		fronts[tier(score) + 1] = math.max(fronts[tier(score) + 1], score)
	end
	if #who > 0 then
		redis.call('ZREM', queue, unpack(who))
		redis.call('ZADD', turn, unpack(turns))
		redis.call('ZREM', away, unpack(who))
	end
	return #who
end

local function put(list, more)
	for i = 1, #more do list[#list + 1] = more[i] end
end

-- report is the reply of both scripts:
--   {generation, step, now_ms, front of each tier …, waiting, turns, active, admitted by this call,
--    admitted_total, no_shows_total, lobby, frozen, edges, unwell, paused, message, rate, per_ms,
--    burst, cap, session_ms, claim_ms, abandon_ms, max_queue, shards, revision, applied, round, plan, lost,
--    count of heads, score …, visitor, revoked_at, …}
local function report(generation, step, fronts, queue, turn, active, revoked, now, r, heads, since)
	local reply = {generation, step, now}
	put(reply, fronts)
	local lobby = 0
	for t = 1, TIERS do lobby = lobby + redis.call('ZCOUNT', queue, t * TIER - 1, t * TIER - 1) end
	put(reply, {redis.call('ZCARD', queue), redis.call('ZCARD', turn), redis.call('ZCARD', active), r.now_admitted or 0,
		r.admitted, r.no_shows, lobby, r.frozen, r.edges or 0, r.unwell or 0, r.paused and 1 or 0, r.message,
		r.rate, r.per, r.burst, r.cap, r.session, r.claim, r.abandon, r.max_queue, r.shards, r.revision,
		r.applied, r.round, r.plan, r.lost, #heads})
	put(reply, heads)
	local found = redis.call('ZRANGEBYSCORE', revoked, since, '+inf', 'WITHSCORES', 'LIMIT', 0, BATCH)
	for i = 2, #found, 2 do found[i] = tonumber(found[i]) end
	put(reply, found)
	return reply
end
