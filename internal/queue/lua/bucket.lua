-- bucket.lua: how many may be admitted now.

-- mint brings the token bucket of a room up to date. A clock that steps back mints
-- nothing; one that steps forward mints at most a burst. The tokens of turns that
-- nobody came for go back, so that the site gets as many fans as the rate says
-- however many stay away.
local function mint(r, now)
	if now > r.refilled and r.per > 0 then r.tokens = r.tokens + (now - r.refilled) * r.rate / r.per end
	r.tokens = math.min(r.tokens + r.no_shows - r.credited, r.burst)
	r.credited, r.refilled = r.no_shows, now
end

-- spend takes n tokens and writes the bucket down.
local function spend(room, r, n)
	redis.call('HSET', room, 'tokens', r.tokens - n, 'refilled', r.refilled, 'credited', r.credited)
end

-- watch counts the edges that have ticked lately, and those of them that find the
-- site behind unwell; the caller's own word is noted first.
local function watch(r, edges, unwell, now, edge, sick)
	if edge ~= '' then
		redis.call('ZADD', edges, now, edge)
		if sick == '1' then redis.call('ZADD', unwell, now, edge) else redis.call('ZREM', unwell, edge) end
	end
	redis.call('ZREMRANGEBYSCORE', edges, '-inf', '(' .. (now - 5000))
	redis.call('ZREMRANGEBYSCORE', unwell, '-inf', '(' .. (now - 5000))
	r.edges, r.unwell = redis.call('ZCARD', edges), redis.call('ZCARD', unwell)
end

-- hold keeps admission back until a time, for every edge: one of them knows of fans who
-- have yet to bring their places back. The longest of all counts, two minutes at most:
-- a clock that is wrong must not shut the room.
local function hold(room, r, now, till)
	till = math.min(till, now + 120000)
	if till > now and till > r.hold then
		r.hold = till
		redis.call('HSET', room, 'hold', till)
	end
end

-- allowed is how many may be admitted: as many as there are tokens and room under
-- the cap, at most limit (-1 for none). Nobody while the room is paused, has no
-- settings or is held back, or half or more of the edges find the site unwell: one
-- edge with a broken line must not stop a sale.
local function allowed(r, now, inside, limit)
	if r.paused or r.rate == 0 or now < r.hold or (r.unwell > 0 and r.unwell * 2 >= r.edges) then return 0 end
	local n = math.min(math.floor(r.tokens), r.cap - inside, BATCH)
	if limit >= 0 then n = math.min(n, limit) end
	return math.max(n, 0)
end
