#!lua name=tickets_seats_@VERSION@
-- Timed locks on the cells of one event. One call is one atomic step.
--
-- KEYS    KEYS[1] is always tickets:{e:SLUG}:meta and KEYS[2], where a hold is
--         named, its record; `hold` also declares the lock of every wanted cell.
--         All other keys are derived from KEYS[1] and share its hash tag, so
--         one event is one slot and a cluster runs these functions unchanged.
--
--   meta      hash    epoch (missing: not usable), building, fence, ver, cells,
--                     categories, and free:I held:I booked:I of category I
--   cells     hash    cell -> "ordinal:category:x?:area" (x: not for sale)
--   c:CELL    string  the lock: "hHOLD" with a time limit, or "bHOLD" without
--   own       hash    cell -> the same value; outlives the lock's time limit, so
--                     that whoever finds the lock gone knows which hold to end
--   h:HOLD    hash    holder, cells, categories, area, fence, made, expires, until,
--                     state (held, paying, ended); an ended one stays for a while
--   exp       zset    hold -> ms at which it ends
--   pass      hash    holder -> cells held;  sold  hash holder -> cells booked
--   a:AREA    string  free units;  a:AREA:units  list of them;  areas  set of AREA
--   map       string  two bits a cell;  log  stream of changes, ids are EPOCH-VER
--
-- ARGV    ARGV[1] is always the caller's epoch. Older state answers EPOCH.
-- REPLY   an array whose first element says which: OK, EPOCH, UNKNOWN, ...
-- TIME    Redis' own, in ms. Numbers are written without exponent.
-- COST    a hold of two seats runs about 20 commands, some 20 us.

local TOMBSTONE = 900000 -- ms that an ended hold is told from an unknown one
local INLINE = 50        -- expired holds that one hold call cleans up at most
local LOGGED = 10000     -- changes of the map kept for those who follow it
local CHUNK = 1000       -- arguments given to one command; unpack ends near 8000

local function int(n) return string.format('%.0f', n) end

local function now()
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
end

local function base(meta) return string.sub(meta, 1, -5) end -- without 'meta'

-- open gives the step's state, or nil if the caller must rebuild.
local function open(keys, args)
  local epoch = tonumber(redis.call('HGET', keys[1], 'epoch') or nil)
  if not epoch or epoch < tonumber(args[1]) then return nil end
  return { meta = keys[1], p = base(keys[1]), epoch = epoch, now = now(),
           states = {}, ordinals = {}, counts = {} }
end

local function words(s)
  local list = {}
  for w in string.gmatch(s, '%S+') do list[#list + 1] = w end
  return list
end

local function info(v)
  local ordinal, category, x, area = string.match(v, '^(%d+):(%d+):(x?):(.*)$')
  return { ordinal = tonumber(ordinal), category = category, blocked = x == 'x', area = area }
end

-- move notes that a cell goes from one state to another; commit writes it.
local NUMBER = { free = 0, held = 1, booked = 2 }
local function move(s, i, from, to)
  if s.states[i.ordinal] == nil then s.ordinals[#s.ordinals + 1] = i.ordinal end
  s.states[i.ordinal] = NUMBER[to]
  local f, t = from .. ':' .. i.category, to .. ':' .. i.category
  s.counts[f] = (s.counts[f] or 0) - 1
  s.counts[t] = (s.counts[t] or 0) + 1
end

-- commit writes the noted moves: counters, map, version and log, once a call.
local function commit(s)
  if #s.ordinals == 0 then return end
  for field, by in pairs(s.counts) do
    if by ~= 0 then redis.call('HINCRBY', s.meta, field, by) end
  end
  local delta, ops = {}, {}
  for n, o in ipairs(s.ordinals) do
    delta[n] = int(o) .. '=' .. s.states[o]
    -- Cell o is in byte o/4, bits (o%4)*2 counted from the low end; Redis
    -- counts bits of a byte from the high end.
    local at = math.floor(o / 4) * 8 + 6 - (o % 4) * 2
    ops[#ops + 1] = 'SET'; ops[#ops + 1] = 'u2'; ops[#ops + 1] = int(at); ops[#ops + 1] = s.states[o]
    if #ops >= CHUNK then redis.call('BITFIELD', s.p .. 'map', unpack(ops)); ops = {} end
  end
  if #ops > 0 then redis.call('BITFIELD', s.p .. 'map', unpack(ops)) end
  local ver = redis.call('HINCRBY', s.meta, 'ver', 1)
  redis.call('XADD', s.p .. 'log', 'MAXLEN', '~', LOGGED, int(s.epoch) .. '-' .. int(ver), 'd', table.concat(delta, ' '))
  s.states, s.ordinals, s.counts = {}, {}, {}
end

local function release_pass(s, holder, n)
  if n == 0 or holder == '' then return end
  if redis.call('HINCRBY', s.p .. 'pass', holder, -n) <= 0 then
    redis.call('HDEL', s.p .. 'pass', holder)
  end
end

-- sell counts what a holder has bought, if it is known whose it is. Nothing takes it
-- back: what is booked stays booked.
local function sell(p, holder, n)
  if n > 0 and holder and holder ~= '' then redis.call('HINCRBY', p .. 'sold', holder, n) end
end

-- unit_back puts a unit of a standing area back on the free list.
local function unit_back(s, i, cell)
  if i.area == '' then return end
  redis.call('RPUSH', s.p .. 'a:' .. i.area .. ':units', cell)
  redis.call('INCRBY', s.p .. 'a:' .. i.area, 1)
end

-- finish ends a hold: what it still owns becomes free, its holder's count goes
-- down, and a tombstone stays. Ending a hold twice does nothing.
local function finish(s, id)
  local key = s.p .. 'h:' .. id
  local h = redis.call('HMGET', key, 'holder', 'cells', 'state')
  redis.call('ZREM', s.p .. 'exp', id)
  if not h[1] or h[3] == 'ended' then return end
  local cells = words(h[2])
  if #cells > 0 then
    local owners = redis.call('HMGET', s.p .. 'own', unpack(cells))
    local infos = redis.call('HMGET', s.p .. 'cells', unpack(cells))
    local n = 0
    for k, cell in ipairs(cells) do
      if owners[k] == 'h' .. id and infos[k] then -- never what is somebody else's by now
        local i = info(infos[k])
        redis.call('DEL', s.p .. 'c:' .. cell)
        redis.call('HDEL', s.p .. 'own', cell)
        unit_back(s, i, cell)
        move(s, i, 'held', 'free')
        n = n + 1
      end
    end
    release_pass(s, h[1], n)
  end
  redis.call('DEL', key)
  redis.call('HSET', key, 'holder', h[1], 'state', 'ended')
  redis.call('PEXPIRE', key, TOMBSTONE)
end

-- sweep ends holds whose time is over. A lock's key lives through its last ms.
local function sweep(s, limit)
  local ids = redis.call('ZRANGEBYSCORE', s.p .. 'exp', '-inf', '(' .. int(s.now), 'LIMIT', 0, limit)
  for _, id in ipairs(ids) do finish(s, id) end
  return #ids
end

-- live reads a hold that has not ended. It answers the hold, or nil and why not.
local function live(s, id, holder)
  local key = s.p .. 'h:' .. id
  local v = redis.call('HMGET', key, 'holder', 'state', 'cells', 'categories', 'fence', 'made', 'expires', 'until', 'area')
  if not v[1] then return nil, { 'GONE' } end
  if holder and v[1] ~= holder then return nil, { 'NOTYOURS' } end
  if v[2] == 'ended' then return nil, { 'ENDED' } end
  local h = { id = id, key = key, holder = v[1], state = v[2], cells = v[3], categories = v[4],
              fence = v[5], made = v[6], expires = tonumber(v[7]), till = v[8] and tonumber(v[8]), area = v[9] }
  local ends = tonumber(redis.call('ZSCORE', s.p .. 'exp', id) or 0)
  if s.now > ends then
    finish(s, id)
    commit(s)
    return nil, { 'ENDED' }
  end
  return h
end

local function reply(s, h)
  local expires = h.expires
  if h.state == 'paying' then expires = h.till end
  return { 'OK', int(s.epoch), h.fence, h.made, int(expires), h.state, h.cells, h.categories, int(s.now) }
end
