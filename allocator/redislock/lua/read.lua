-- Sweeping, counting and showing.

-- sweep: KEYS meta ARGV epoch limit
local function sweep_past(keys, args)
  local s = open(keys, args)
  if not s then return { 'EPOCH' } end
  local n = sweep(s, tonumber(args[2]))
  commit(s)
  return { 'OK', int(n) }
end

-- counts: KEYS meta ARGV epoch. Replies next-release-ms-or-0, then free held booked a category.
local function counts(keys, args)
  local s = open(keys, args)
  if not s then return { 'EPOCH' } end
  local next = redis.call('ZRANGE', s.p .. 'exp', 0, 0, 'WITHSCORES')
  local out = { 'OK', next[2] and int(tonumber(next[2])) or '0' }
  for c = 0, tonumber(redis.call('HGET', s.meta, 'categories')) - 1 do
    local v = redis.call('HMGET', s.meta, 'free:' .. int(c), 'held:' .. int(c), 'booked:' .. int(c))
    for k = 1, 3 do out[#out + 1] = v[k] or '0' end
  end
  return out
end

-- map: KEYS meta ARGV epoch. Replies epoch ver cells bits.
local function map(keys, args)
  local s = open(keys, args)
  if not s then return { 'EPOCH' } end
  local v = redis.call('HMGET', s.meta, 'ver', 'cells')
  return { 'OK', int(s.epoch), v[1], v[2], redis.call('GET', s.p .. 'map') or '' }
end
