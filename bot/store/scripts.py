"""The Lua that makes a turn one step. Every script is idempotent: a lost reply may run it again.

All keys of one call share a hash tag. A record is ``version|chain|sealed``; see store.py for the table of keys.
A claim's fence is when its lease ends: a later claim of the same effect ends later.
"""

from bot.store.lanes import PLAN

COMMIT = (
    PLAN
    + """
local record, answer, due, events, tasks, recent = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local seen = redis.call('GET', answer)
if seen then return {'seen', seen} end
local have = redis.call('GETRANGE', record, 0, 47)
local version = string.match(have, '^(%d+|%x*)|') or '0|'
if version ~= ARGV[1] then return {'conflict'} end
if redis.call('LLEN', events) >= tonumber(ARGV[8]) then return {'full'} end
local tag, now, patient = ARGV[5], ARGV[6], ARGV[7]
redis.call('SET', record, ARGV[2])
redis.call('SET', answer, ARGV[3], 'EX', ARGV[4])
redis.call('ZADD', recent, now, patient)
local at = 9
local function take() at = at + 1; return ARGV[at - 1] end
for _ = 1, tonumber(take()) do
  local id = take()
  redis.call('DEL', tag .. 'e:' .. id)
  if redis.call('ZREM', due, id) == 0 then redis.call('ZREM', tag .. 'held', id) end
end
local mine, most, open, rings = tag .. 'k:' .. patient, tonumber(take()), nil, false
local function kind_of(id) return string.match(id, '[^.]*$') end
local function many(kind)  -- of one patient and kind: whoever writes an alarm every minute has them open already
  if not open then
    open = {}
    for _, id in ipairs(redis.call('SCARD', mine) < most and {} or redis.call('SMEMBERS', mine)) do
      if redis.call('ZSCORE', tasks, id) then open[kind_of(id)] = (open[kind_of(id)] or 0) + 1 end
    end
  end
  return (open[kind] or 0) >= most
end
for _ = 1, tonumber(take()) do
  local id, score, body = take(), take(), take()
  if not many(kind_of(id)) then
    rings = true
    if not redis.call('ZSCORE', tasks, id) then
      redis.call('SET', tag .. 't:' .. id, body); redis.call('ZADD', tasks, score, id); redis.call('SADD', mine, id)
    end
  end
end
for _ = 1, tonumber(take()) do
  local id, when, kind, body = take(), take(), take(), take()
  if kind ~= 'alert' or rings then
    redis.call('HSET', tag .. 'e:' .. id, 'k', kind, 'd', body)
    plan(due, when, kind, id)
  end
end
for _ = 1, tonumber(take()) do redis.call('RPUSH', events, take()) end
for _ = 1, tonumber(take()) do redis.call('SET', tag .. 'l:' .. take(), take(), 'EX', take()) end
for _ = 1, tonumber(take()) do redis.call('HINCRBY', tag .. 'n:' .. take(), take(), take()) end
local heard = take()
if heard ~= '' then redis.call('HSET', tag .. 'heard', heard, now) end
return {ok='ok'}
"""
)

# Only lists are touched, each at one place: what waits behind costs nothing. KEYS: due, held. ARGV: when the lease ends,
# how many at most, how many of them are kept for each span below; of each span its list, from and to.
CLAIM = """
local till, room, share, out = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), {}
local function take(at, most)
  local from = KEYS[tonumber(ARGV[at])]
  local ids = most > 0 and redis.call('ZRANGEBYSCORE', from, ARGV[at + 1], ARGV[at + 2], 'LIMIT', 0, most) or {}
  if #ids == 0 then return false end
  redis.call('ZREM', from, unpack(ids))
  local held = {}
  for _, id in ipairs(ids) do out[#out + 1] = id; held[#held + 1] = till; held[#held + 1] = id end
  redis.call('ZADD', KEYS[2], unpack(held))
  return #ids == most
end
local more = {}
for at = 4, #ARGV, 3 do more[at] = take(at, room - #out - share * (#ARGV - at - 2) / 3) end
for at = 4, #ARGV, 3 do if more[at] then take(at, room - #out) end end
return out
"""

# ``n``: the fence of an older version, whose worker must not go on with what is begun here.
BEGIN = """
local now, out = tonumber(redis.call('TIME')[1]), {}
for at = 2, #KEYS do
  local got = redis.call('HMGET', KEYS[at], 'k', 'd', 's', 'm', 'c', 'a', 'x', 'n')
  if not got[1] then
    redis.call('ZREM', KEYS[1], ARGV[at]); out[at - 1] = {'gone'}
  elseif tonumber(redis.call('ZSCORE', KEYS[1], ARGV[at]) or '-1') ~= tonumber(ARGV[1]) then
    out[at - 1] = {'busy'}
  else
    if got[8] then redis.call('HDEL', KEYS[at], 'n') end
    local age = got[4] and now - tonumber(got[4]) or 0
    out[at - 1] = {got[3] == 'doing' and 'redo' or 'go', got[1], got[2], age, got[5] or '0', got[6] or '0', got[7] or '0'}
  end
end
return out
"""

# The server's own clock says how long ago this was: a worker whose clock jumped must not think that it waited. The record
# as it stands is what is judged last before the carrier.
MARK = """
local got = redis.call('HMGET', KEYS[1], 'k', 's')
if not got[1] or tonumber(redis.call('ZSCORE', KEYS[3], ARGV[1]) or '-1') ~= tonumber(ARGV[2]) then return {0} end
if got[2] == 'doing' then redis.call('HINCRBY', KEYS[1], 'x', 1) end
redis.call('HSET', KEYS[1], 's', 'doing', 'm', redis.call('TIME')[1], 'c', ARGV[3])
redis.call('SET', KEYS[2], ARGV[4], 'EX', ARGV[5])
return {redis.call('HINCRBY', KEYS[1], 'a', 1), redis.call('GET', KEYS[4])}
"""

FINISH = """
redis.call('DEL', KEYS[1]); redis.call('ZREM', KEYS[2], ARGV[1]); redis.call('ZREM', KEYS[3], ARGV[1])
return 1
"""

# KEYS: the effect, due, held. An empty fence is a person's hand, which counts whoever holds the effect.
_STILL_HELD = """
local kind = redis.call('HGET', KEYS[1], 'k')
local held = redis.call('ZSCORE', KEYS[3], ARGV[1])
if not kind or (ARGV[2] ~= '' and tonumber(held or '-1') ~= tonumber(ARGV[2])) then return 0 end
redis.call('ZREM', KEYS[2], ARGV[1]); redis.call('ZREM', KEYS[3], ARGV[1])
"""

PUT_OFF = (
    PLAN
    + _STILL_HELD
    + """
if ARGV[4] ~= 'unsure' then redis.call('HDEL', KEYS[1], 's', 'x') end
if ARGV[4] == 'fresh' then redis.call('HDEL', KEYS[1], 'a') end
plan(KEYS[2], ARGV[3], kind, ARGV[1])
return 1
"""
)

BURY = (
    _STILL_HELD
    + """
redis.call('HSET', KEYS[1], 's', 'dead', 'w', ARGV[4])
redis.call('ZADD', KEYS[4], ARGV[3], ARGV[1])
return 1
"""
)

CLOSE = """
if tonumber(redis.call('ZSCORE', KEYS[2], ARGV[1]) or '-1') ~= tonumber(ARGV[2]) then return 0 end
redis.call('SET', KEYS[1], ARGV[3], 'EX', ARGV[4]); redis.call('ZREM', KEYS[2], ARGV[1])
return 1
"""

# A task and what tells staff of it are one step. KEYS: tasks, its own, due, when its kind rang. *at*: where these begin
# in ARGV: tag, id, sealed, score, seconds in which its kind rings once (0: each rings), then id, time, sealed of each alert.
TASK = (
    PLAN
    + """
local function raise(tasks, task, due, rung, at)
  if redis.call('SETNX', task, ARGV[at + 2]) == 0 then return 0 end
  redis.call('ZADD', tasks, ARGV[at + 3], ARGV[at + 1])
  if ARGV[at + 4] ~= '0' and not redis.call('SET', rung, 1, 'NX', 'EX', ARGV[at + 4]) then return 1 end
  for n = at + 5, #ARGV, 3 do
    redis.call('HSET', ARGV[at] .. 'e:' .. ARGV[n], 'k', 'alert', 'd', ARGV[n + 2])
    plan(due, ARGV[n + 1], 'alert', ARGV[n])
  end
  return 1
end
"""
)
RAISE = TASK + "return raise(KEYS[1], KEYS[2], KEYS[3], KEYS[4], 1)"

STATUS = """
if ARGV[7] ~= '' then redis.call('SET', KEYS[2], ARGV[7], 'EX', ARGV[6]) end
if ARGV[8] ~= '' then redis.call('HSET', KEYS[4], ARGV[8], ARGV[4]) end
local have = tonumber(redis.call('HGET', KEYS[1], 'r') or '-1')
if tonumber(ARGV[2]) <= have then return 0 end
redis.call('HSET', KEYS[1], 'st', ARGV[1], 'r', ARGV[2], 'c', ARGV[3], 'at', ARGV[4])
if ARGV[5] ~= '' then redis.call('HSET', KEYS[1], 'e', ARGV[5]) end
redis.call('EXPIRE', KEYS[1], ARGV[6])
if ARGV[9] == '' then return 1 end
local journal = KEYS[5] .. ARGV[9] .. ':' .. ARGV[10]
if redis.call('ZADD', journal, 'NX', ARGV[4], ARGV[12]) == 1 then
  redis.call('EXPIRE', journal, ARGV[13])
  redis.call('HINCRBY', KEYS[3] .. ARGV[9], ARGV[10], ARGV[11])
end
return 1
"""
