"""The Lua that makes a turn one step. Every script is idempotent: a lost reply may run it again.

All keys of one call share a hash tag. A record is ``version|chain|sealed``; see store.py for the table of keys.
"""

COMMIT = """
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
  redis.call('DEL', tag .. 'e:' .. id); redis.call('ZREM', due, id)
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
    redis.call('ZADD', due, when, id)
  end
end
for _ = 1, tonumber(take()) do redis.call('RPUSH', events, take()) end
for _ = 1, tonumber(take()) do redis.call('SET', tag .. 'l:' .. take(), take(), 'EX', take()) end
for _ = 1, tonumber(take()) do redis.call('HINCRBY', tag .. 'n:' .. take(), take(), take()) end
local heard = take()
if heard ~= '' then redis.call('HSET', tag .. 'heard', heard, now) end
return {ok='ok'}
"""

CLAIM = """
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[2], 'LIMIT', 0, ARGV[3])
local out = {}
for _, id in ipairs(ids) do
  local key = ARGV[1] .. 'e:' .. id
  if redis.call('EXISTS', key) == 0 then
    redis.call('ZREM', KEYS[1], id)
  else
    local n = redis.call('HINCRBY', key, 'n', 1)
    redis.call('ZADD', KEYS[1], tonumber(ARGV[2]) + tonumber(ARGV[4]), id)
    out[#out + 1] = id; out[#out + 1] = n
  end
end
return out
"""

BEGIN = """
local got = redis.call('HMGET', KEYS[1], 'k', 'd', 's', 'n', 'm', 'c', 'a', 'x')
if not got[1] then return {'gone'} end
if tonumber(got[4] or '0') ~= tonumber(ARGV[1]) then return {'busy'} end
local age = got[5] and tonumber(redis.call('TIME')[1]) - tonumber(got[5]) or 0
return {got[3] == 'doing' and 'redo' or 'go', got[1], got[2], age, got[6] or '0', got[7] or '0', got[8] or '0'}
"""

# The server's own clock says how long ago this was: a worker whose clock jumped must not think that it waited.
MARK = """
local n = redis.call('HGET', KEYS[1], 'n')
if not n or tonumber(n) ~= tonumber(ARGV[1]) then return 0 end
if redis.call('HGET', KEYS[1], 's') == 'doing' then redis.call('HINCRBY', KEYS[1], 'x', 1) end
redis.call('HSET', KEYS[1], 's', 'doing', 'm', redis.call('TIME')[1], 'c', ARGV[2])
redis.call('SET', KEYS[2], ARGV[3], 'EX', ARGV[4])
return redis.call('HINCRBY', KEYS[1], 'a', 1)
"""

FINISH = """
redis.call('DEL', KEYS[1]); redis.call('ZREM', KEYS[2], ARGV[1])
return 1
"""

# An empty fence is a person's hand, which counts whoever holds the effect.
PUT_OFF = """
local n = redis.call('HGET', KEYS[1], 'n')
if redis.call('EXISTS', KEYS[1]) == 0 or (ARGV[4] ~= '' and tonumber(n) ~= tonumber(ARGV[4])) then return 0 end
if ARGV[3] ~= 'unsure' then redis.call('HDEL', KEYS[1], 's', 'x') end
if ARGV[3] == 'fresh' then redis.call('HDEL', KEYS[1], 'a') end
redis.call('ZADD', KEYS[2], ARGV[2], ARGV[1])
return 1
"""

BURY = """
local n = redis.call('HGET', KEYS[1], 'n')
if redis.call('EXISTS', KEYS[1]) == 0 or (ARGV[4] ~= '' and tonumber(n) ~= tonumber(ARGV[4])) then return 0 end
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('HSET', KEYS[1], 's', 'dead', 'w', ARGV[2])
redis.call('ZADD', KEYS[3], ARGV[3], ARGV[1])
return 1
"""

CLOSE = """
if tonumber(redis.call('ZSCORE', KEYS[2], ARGV[1]) or '-1') ~= tonumber(ARGV[2]) then return 0 end
redis.call('SET', KEYS[1], ARGV[3], 'EX', ARGV[4]); redis.call('ZREM', KEYS[2], ARGV[1])
return 1
"""

# A task and what tells staff of it are one step. KEYS: tasks, its own, due, when its kind rang. *at*: where these begin
# in ARGV: tag, id, sealed, score, seconds in which its kind rings once (0: each rings), then id, time, sealed of each alert.
TASK = """
local function raise(tasks, task, due, rung, at)
  if redis.call('SETNX', task, ARGV[at + 2]) == 0 then return 0 end
  redis.call('ZADD', tasks, ARGV[at + 3], ARGV[at + 1])
  if ARGV[at + 4] ~= '0' and not redis.call('SET', rung, 1, 'NX', 'EX', ARGV[at + 4]) then return 1 end
  for n = at + 5, #ARGV, 3 do
    redis.call('HSET', ARGV[at] .. 'e:' .. ARGV[n], 'k', 'alert', 'd', ARGV[n + 2])
    redis.call('ZADD', due, ARGV[n + 1], ARGV[n])
  end
  return 1
end
"""
RAISE = TASK + "return raise(KEYS[1], KEYS[2], KEYS[3], KEYS[4], 1)"

STATUS = """
if ARGV[7] ~= '' then redis.call('SET', KEYS[2], ARGV[7], 'EX', ARGV[6]) end
if ARGV[8] ~= '' then redis.call('HSET', KEYS[4], ARGV[8], ARGV[4]) end
local have = tonumber(redis.call('HGET', KEYS[1], 'r') or '-1')
if tonumber(ARGV[2]) <= have then return 0 end
redis.call('HSET', KEYS[1], 'st', ARGV[1], 'r', ARGV[2], 'c', ARGV[3], 'at', ARGV[4])
if ARGV[5] ~= '' then redis.call('HSET', KEYS[1], 'e', ARGV[5]) end
redis.call('EXPIRE', KEYS[1], ARGV[6])
if ARGV[9] ~= '' then redis.call('HINCRBY', KEYS[3] .. ARGV[9], ARGV[10], ARGV[11]) end
return 1
"""
