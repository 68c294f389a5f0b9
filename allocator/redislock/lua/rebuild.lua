-- Rebuilding an event from the database, in batches so that no step holds
-- Redis up for more than some ms. meta.building is the fence between two
-- rebuilders: the higher epoch wins, and a loser's next batch is refused.
-- Until the last step meta.epoch is missing and everybody else waits.

-- rebuild_begin: KEYS meta ARGV epoch
local function rebuild_begin(keys, args)
  local meta, epoch = keys[1], tonumber(args[1])
  local have = tonumber(redis.call('HGET', meta, 'epoch') or nil)
  if have and have >= epoch then return { 'DONE' } end
  local building = tonumber(redis.call('HGET', meta, 'building') or nil)
  if building and building > epoch then return { 'EPOCH' } end
  redis.call('HSET', meta, 'building', int(epoch))
  redis.call('HDEL', meta, 'epoch')
  return { 'OK' }
end

local function building(keys, args)
  return redis.call('HGET', keys[1], 'building') == int(tonumber(args[1]))
end

-- rebuild_clear: KEYS meta ARGV epoch n. Drops some of the old state; MORE means again.
local function rebuild_clear(keys, args)
  if not building(keys, args) then return { 'EPOCH' } end
  local p, n = base(keys[1]), args[2]
  local cells = redis.call('HRANDFIELD', p .. 'own', n)
  local holds = redis.call('ZRANGE', p .. 'exp', 0, n - 1)
  local gone = {}
  for _, cell in ipairs(cells) do gone[#gone + 1] = p .. 'c:' .. cell end
  for _, id in ipairs(holds) do gone[#gone + 1] = p .. 'h:' .. id end
  if #gone > 0 then
    redis.call('UNLINK', unpack(gone))
    if #cells > 0 then redis.call('HDEL', p .. 'own', unpack(cells)) end
    if #holds > 0 then redis.call('ZREM', p .. 'exp', unpack(holds)) end
    return { 'MORE' }
  end
  for _, area in ipairs(redis.call('SMEMBERS', p .. 'areas')) do
    redis.call('UNLINK', p .. 'a:' .. area, p .. 'a:' .. area .. ':units')
  end
  redis.call('UNLINK', keys[1], p .. 'areas', p .. 'cells', p .. 'own', p .. 'exp', p .. 'pass', p .. 'sold', p .. 'map', p .. 'log')
  redis.call('HSET', keys[1], 'building', int(tonumber(args[1])))
  return { 'OK' }
end

-- rebuild_cells: KEYS meta ARGV epoch, then cell and info in turn.
local function rebuild_cells(keys, args)
  if not building(keys, args) then return { 'EPOCH' } end
  redis.call('HSET', base(keys[1]) .. 'cells', unpack(args, 2))
  return { 'OK' }
end

-- rebuild_units: KEYS meta ARGV epoch area free-unit... A full area still has its name put down.
local function rebuild_units(keys, args)
  if not building(keys, args) then return { 'EPOCH' } end
  local p, area = base(keys[1]), args[2]
  redis.call('SADD', p .. 'areas', area)
  redis.call('INCRBY', p .. 'a:' .. area, #args - 2)
  if #args > 2 then redis.call('RPUSH', p .. 'a:' .. area .. ':units', unpack(args, 3)) end
  return { 'OK' }
end

-- rebuild_booked: KEYS meta ARGV epoch, then cell, hold and holder in turn.
local function rebuild_booked(keys, args)
  if not building(keys, args) then return { 'EPOCH' } end
  local p = base(keys[1])
  for k = 2, #args, 3 do
    redis.call('HSET', p .. 'own', args[k], 'b' .. args[k + 1])
    redis.call('SET', p .. 'c:' .. args[k], 'b' .. args[k + 1])
    sell(p, args[k + 2], 1)
  end
  return { 'OK' }
end

-- rebuild_paying: KEYS meta h:HOLD ARGV epoch hold holder until grace categories cell...
local function rebuild_paying(keys, args)
  if not building(keys, args) then return { 'EPOCH' } end
  local p, id, holder, cells = base(keys[1]), args[2], args[3], { unpack(args, 7) }
  local till, at = tonumber(args[4]), now()
  -- A deadline in the past still gets its grace: only the provider frees what is paying.
  local ends = math.max(till, at) + tonumber(args[5])
  for _, cell in ipairs(cells) do
    redis.call('HSET', p .. 'own', cell, 'h' .. id)
    redis.call('SET', p .. 'c:' .. cell, 'h' .. id, 'PXAT', int(ends))
  end
  redis.call('DEL', keys[2])
  redis.call('HSET', keys[2], 'holder', holder, 'state', 'paying', 'cells', table.concat(cells, ' '),
    'categories', args[6], 'fence', int(redis.call('HINCRBY', keys[1], 'fence', 1)),
    'made', int(at), 'expires', int(at), 'until', int(till))
  redis.call('ZADD', p .. 'exp', int(ends), id)
  if holder ~= '' then redis.call('HINCRBY', p .. 'pass', holder, #cells) end
  return { 'OK' }
end

-- rebuild_end: KEYS meta ARGV epoch cells categories map, then field and value of the counters in turn.
local function rebuild_end(keys, args)
  if not building(keys, args) then return { 'EPOCH' } end
  local p, epoch = base(keys[1]), int(tonumber(args[1]))
  if args[4] ~= '' then redis.call('SET', p .. 'map', args[4]) end
  redis.call('HSET', keys[1], 'epoch', epoch, 'ver', 1, 'cells', args[2], 'categories', args[3], unpack(args, 5))
  redis.call('HDEL', keys[1], 'building')
  -- An entry without changes tells those who follow the log that all is new.
  redis.call('XADD', p .. 'log', epoch .. '-1', 'd', '')
  return { 'OK' }
end
