-- What the database decided; it overrules every lock.

-- strip takes one cell from a hold that the database overruled.
local function strip(s, id, cell)
  local key = s.p .. 'h:' .. id
  local h = redis.call('HMGET', key, 'holder', 'cells', 'categories', 'state')
  if not h[1] or h[4] == 'ended' then return end
  local cells, categories, keep, cats = words(h[2]), words(h[3]), {}, {}
  for k, c in ipairs(cells) do
    if c ~= cell then keep[#keep + 1] = c; cats[#cats + 1] = categories[k] end
  end
  release_pass(s, h[1], #cells - #keep)
  redis.call('HSET', key, 'cells', table.concat(keep, ' '), 'categories', table.concat(cats, ' '))
  if #keep == 0 then finish(s, id) end
end

-- book: KEYS meta h:HOLD ARGV epoch hold cell... Whoever held them; done twice is done once.
local function book(keys, args)
  local s = open(keys, args)
  if not s then return { 'EPOCH' } end
  local id, cells = args[2], { unpack(args, 3) }
  local infos = redis.call('HMGET', s.p .. 'cells', unpack(cells))
  for k, cell in ipairs(cells) do
    if not infos[k] then return { 'UNKNOWN', cell } end
  end
  local owners = redis.call('HMGET', s.p .. 'own', unpack(cells))
  local holder, sold = redis.call('HGET', keys[2], 'holder'), 0 -- a tombstone knows its holder, too
  for k, cell in ipairs(cells) do
    local i, owner = info(infos[k]), owners[k]
    if not (owner and string.sub(owner, 1, 1) == 'b') and not i.blocked then
      if owner then
        strip(s, string.sub(owner, 2), cell)
        move(s, i, 'held', 'booked')
      else
        if i.area ~= '' and redis.call('LREM', s.p .. 'a:' .. i.area .. ':units', 1, cell) == 1 then
          redis.call('DECRBY', s.p .. 'a:' .. i.area, 1)
        end
        move(s, i, 'free', 'booked')
      end
      owner = 'b' .. id
      redis.call('HSET', s.p .. 'own', cell, owner)
      sold = sold + 1
    end
    if owner then redis.call('SET', s.p .. 'c:' .. cell, owner) end
  end
  finish(s, id)
  sell(s.p, holder, sold)
  commit(s)
  return { 'OK' }
end

-- free: KEYS meta h:HOLD ARGV epoch hold. Only what this hold owns: a late
-- repeat must not take cells from whoever holds them now.
local function free(keys, args)
  local s = open(keys, args)
  if not s then return { 'EPOCH' } end
  finish(s, args[2])
  commit(s)
  return { 'OK' }
end
