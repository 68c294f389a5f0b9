-- What a hold goes through between its making and its end.

-- get: KEYS meta h:HOLD ARGV epoch hold holder
local function get(keys, args)
  local s = open(keys, args)
  if not s then return { 'EPOCH' } end
  local h, why = live(s, args[2], args[3])
  if not h then return why end
  return reply(s, h)
end

-- release: KEYS meta h:HOLD ARGV epoch hold holder. A paying hold stays.
local function release(keys, args)
  local s = open(keys, args)
  if not s then return { 'EPOCH' } end
  local h, why = live(s, args[2], args[3])
  if not h then return why end
  if h.state == 'paying' then return { 'PAYING' } end
  finish(s, h.id)
  commit(s)
  return { 'OK' }
end

-- time_limit moves the end of a hold and of all its locks.
local function time_limit(s, h, ends)
  for _, cell in ipairs(words(h.cells)) do redis.call('PEXPIREAT', s.p .. 'c:' .. cell, int(ends)) end
  redis.call('ZADD', s.p .. 'exp', int(ends), h.id)
end

-- pay: KEYS meta h:HOLD ARGV epoch hold holder until grace
local function pay(keys, args)
  local s = open(keys, args)
  if not s then return { 'EPOCH' } end
  local h, why = live(s, args[2], args[3])
  if not h then return why end
  local cells = words(h.cells)
  local locks = {}
  for k, cell in ipairs(cells) do locks[k] = s.p .. 'c:' .. cell end
  for _, lock in ipairs(redis.call('MGET', unpack(locks))) do
    if lock ~= 'h' .. h.id then -- a lock was lost: better to say so than to take money
      finish(s, h.id)
      commit(s)
      return { 'ENDED' }
    end
  end
  -- A repeat with an earlier deadline must not cut a payment short.
  h.state, h.till = 'paying', math.max(tonumber(args[4]), h.till or 0)
  redis.call('HSET', h.key, 'state', 'paying', 'until', int(h.till))
  time_limit(s, h, h.till + tonumber(args[5]))
  return reply(s, h)
end

-- unpay: KEYS meta h:HOLD ARGV epoch hold least [until]. A payment begun since goes on.
local function unpay(keys, args)
  local s = open(keys, args)
  if not s then return { 'EPOCH' } end
  local h, why = live(s, args[2])
  if not h then return why end
  if h.state ~= 'paying' then return { 'OK' } end
  if args[4] and h.till and h.till > tonumber(args[4]) then return { 'OK' } end
  if h.holder == '' then -- rebuilt from a claim whose holder is not known: nobody could use it
    finish(s, h.id)
    commit(s)
    return { 'OK' }
  end
  h.expires = math.max(h.expires, s.now + tonumber(args[3]))
  redis.call('HSET', h.key, 'state', 'held', 'expires', int(h.expires))
  redis.call('HDEL', h.key, 'until')
  time_limit(s, h, h.expires)
  return { 'OK' }
end
