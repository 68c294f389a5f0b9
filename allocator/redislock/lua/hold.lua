-- Taking holds: all of the wanted cells, or none and the truest refusal.

local function total(s, what)
  local sum = 0
  for c = 0, tonumber(redis.call('HGET', s.meta, 'categories')) - 1 do
    sum = sum + tonumber(redis.call('HGET', s.meta, what .. ':' .. int(c)) or 0)
  end
  return sum
end

-- refuse says no as truthfully as it can: sold out, all held, or else `answer`.
local function refuse(s, answer)
  commit(s)
  if total(s, 'free') == 0 then
    sweep(s, INLINE)
    commit(s)
    if total(s, 'free') == 0 then
      if total(s, 'held') == 0 then return { 'SOLDOUT' } end
      return { 'ALLHELD' }
    end
  end
  return answer
end

-- take writes the locks. Every cell was found free in this very call.
local function take(s, id, holder, ttl, area, cells, infos)
  local value, own, categories = 'h' .. id, {}, {}
  for k, cell in ipairs(cells) do
    if not redis.call('SET', s.p .. 'c:' .. cell, value, 'NX', 'PX', ttl) then
      -- Cannot happen after the check; if it does, nobody may end up with half.
      for j = 1, k - 1 do redis.call('DEL', s.p .. 'c:' .. cells[j]) end
      return nil, cell
    end
    own[#own + 1] = cell; own[#own + 1] = value
    categories[k] = infos[k].category
  end
  for k = 1, #cells do move(s, infos[k], 'free', 'held') end
  redis.call('HSET', s.p .. 'own', unpack(own))
  local h = { id = id, key = s.p .. 'h:' .. id, holder = holder, state = 'held',
              cells = table.concat(cells, ' '), categories = table.concat(categories, ' '),
              fence = int(redis.call('HINCRBY', s.meta, 'fence', 1)),
              made = int(s.now), expires = s.now + tonumber(ttl) }
  redis.call('HSET', h.key, 'holder', holder, 'state', 'held', 'cells', h.cells, 'categories', h.categories,
    'area', area, 'fence', h.fence, 'made', h.made, 'expires', int(h.expires))
  redis.call('ZADD', s.p .. 'exp', int(h.expires), id)
  redis.call('HINCRBY', s.p .. 'pass', holder, #cells)
  return h
end

-- within tells whether the holder may have n more cells. What was bought counts, too.
local function within(s, holder, n, max)
  local sold = tonumber(redis.call('HGET', s.p .. 'sold', holder) or 0)
  local function ok() return tonumber(redis.call('HGET', s.p .. 'pass', holder) or 0) + sold + n <= max end
  if ok() then return true end
  if sweep(s, INLINE) == 0 then return false end -- the holder's own past holds may count still
  return ok()
end

local function hold_cells(s, id, holder, ttl, max, cells, keys)
  local infos = redis.call('HMGET', s.p .. 'cells', unpack(cells))
  local owners = redis.call('HMGET', s.p .. 'own', unpack(cells))
  local locks = redis.call('MGET', unpack(keys, 3))
  local bad, over = {}, {}
  for k, cell in ipairs(cells) do
    local i = infos[k] and info(infos[k])
    if not i or i.area ~= '' then return { 'UNKNOWN', cell } end -- units are had by area and number
    infos[k] = i
    if locks[k] or i.blocked or (owners[k] and string.sub(owners[k], 1, 1) == 'b') then
      bad[#bad + 1] = cell
    elseif owners[k] then
      over[#over + 1] = string.sub(owners[k], 2) -- its lock ran out, nobody swept it yet
    end
  end
  if #bad > 0 then return refuse(s, { 'CONFLICT', unpack(bad) }) end
  for _, old in ipairs(over) do finish(s, old) end
  if not within(s, holder, #cells, max) then commit(s); return { 'LIMIT' } end
  local h, taken = take(s, id, holder, ttl, '', cells, infos)
  commit(s)
  if not h then return { 'CONFLICT', taken } end
  return reply(s, h)
end

local function hold_area(s, id, holder, ttl, max, area, n)
  local counter, units = s.p .. 'a:' .. area, s.p .. 'a:' .. area .. ':units'
  if redis.call('SISMEMBER', s.p .. 'areas', area) == 0 then return { 'UNKNOWN', area } end
  if not within(s, holder, n, max) then commit(s); return { 'LIMIT' } end
  if redis.call('DECRBY', counter, n) < 0 then
    redis.call('INCRBY', counter, n)
    if sweep(s, INLINE) == 0 or redis.call('DECRBY', counter, n) < 0 then
      local left = tonumber(redis.call('GET', counter))
      if left < 0 then left = redis.call('INCRBY', counter, n) end
      return refuse(s, { 'SHORT', area, int(left) })
    end
  end
  local cells = redis.call('LPOP', units, n) or {}
  if #cells < n then -- the list lost units that the counter promised: trust the list
    if #cells > 0 then redis.call('RPUSH', units, unpack(cells)) end
    redis.call('SET', counter, #cells)
    return refuse(s, { 'SHORT', area, int(#cells) })
  end
  local infos = redis.call('HMGET', s.p .. 'cells', unpack(cells))
  for k = 1, #cells do infos[k] = info(infos[k]) end
  local h, taken = take(s, id, holder, ttl, area, cells, infos)
  commit(s)
  if not h then return { 'CONFLICT', taken } end
  return reply(s, h)
end

-- hold: KEYS meta h:HOLD c:CELL... ARGV epoch hold holder ttl max area n cell...
local function hold(keys, args)
  local s = open(keys, args)
  if not s then return { 'EPOCH' } end
  local id, holder = args[2], args[3]
  local h, why = live(s, id, holder)
  if h then -- a repeat finds its own hold; one that was rebuilt does not know its area
    if h.area and h.area ~= args[6] then return { 'OTHER' } end
    return reply(s, h)
  end
  if why[1] ~= 'GONE' then return why end
  local ttl, max, area, n = args[4], tonumber(args[5]), args[6], tonumber(args[7])
  if area ~= '' then return hold_area(s, id, holder, ttl, max, area, n) end
  return hold_cells(s, id, holder, ttl, max, { unpack(args, 8) }, keys)
end
