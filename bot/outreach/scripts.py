"""The Lua of campaigns. Every script is idempotent: a lost reply may run it again. Keys: see roster.py."""

from bot.store.lanes import LANE, PLAN

# What is decided and what a worker does about it are one step. KEYS: the campaign, its log, the worker's effect, due.
# *at*: where its id, its time, its kind and its sealed body begin; no id: there is nothing to do.
_STEP = (
    PLAN
    + """
local function step(at)
  if ARGV[at] == '' then return end
  redis.call('HSET', KEYS[3], 'k', ARGV[at + 2], 'd', ARGV[at + 3])
  plan(KEYS[4], ARGV[at + 1], ARGV[at + 2], ARGV[at])
end
"""
)

CREATE = (
    _STEP
    + """
if redis.call('HSETNX', KEYS[1], 's', 'entering') == 0 then return 0 end
redis.call('HSET', KEYS[1], 'b', ARGV[1])
redis.call('RPUSH', KEYS[2], ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[3]); redis.call('EXPIRE', KEYS[2], ARGV[3])
step(4)
return 1
"""
)

TURN = (
    _STEP
    + """
local have = redis.call('HGET', KEYS[1], 's')
for at = 8, #ARGV do
  if have == ARGV[at] then
    redis.call('HSET', KEYS[1], 's', ARGV[1])
    redis.call('RPUSH', KEYS[2], ARGV[2])
    redis.call('EXPIRE', KEYS[2], ARGV[3])
    step(4)
    return 1
  end
end
return 0
"""
)

# The recipient's consent, log line and effect in one step; the roster says whether it was done before.
ENTER = (
    PLAN
    + """
local record, events, effect, due, roster, counts = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
if redis.call('HEXISTS', roster, ARGV[8]) == 1 then return 'seen' end
local version = string.match(redis.call('GETRANGE', record, 0, 47), '^(%d+|%x*)|') or '0|'
if version ~= ARGV[1] then return 'conflict' end
redis.call('SET', record, ARGV[2])
redis.call('RPUSH', events, ARGV[3])
redis.call('HSET', effect, 'k', ARGV[6], 'd', ARGV[7])
plan(due, ARGV[5], ARGV[6], ARGV[4])
redis.call('HSET', roster, ARGV[8], 'queued')
redis.call('HINCRBY', counts, 'queued', 1)
redis.call('EXPIRE', roster, ARGV[9]); redis.call('EXPIRE', counts, ARGV[9])
return 'ok'
"""
)

MOVE = """
local have = redis.call('HGET', KEYS[1], ARGV[1])
if not have then return 0 end
local old, rank = string.match(have, '^[^|]*'), -1
for at = 5, #ARGV, 2 do if ARGV[at] == old then rank = tonumber(ARGV[at + 1]) end end
if tonumber(ARGV[3]) <= rank then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[4] == '' and ARGV[2] or ARGV[2] .. '|' .. ARGV[4])
redis.call('HINCRBY', KEYS[2], old, -1)
redis.call('HINCRBY', KEYS[2], ARGV[2], 1)
return 1
"""

# What a worker has in hand keeps its time, and so does what is due until ARGV[3]. KEYS: the effect, due, held.
DUE = (
    PLAN
    + f"local LANE = {LANE}"
    + """
local got = redis.call('HMGET', KEYS[1], 'k', 's')
if not got[1] or got[2] or redis.call('ZSCORE', KEYS[3], ARGV[1]) then return 0 end
local score = redis.call('ZSCORE', KEYS[2], ARGV[1])
if score and tonumber(score) - (lanes[got[1]] or 1) * LANE <= tonumber(ARGV[3]) then return 0 end
plan(KEYS[2], ARGV[2], got[1], ARGV[1])
return 1
"""
)

CANCEL = """
local got = redis.call('HMGET', KEYS[1], 'k', 's')
if not got[1] or got[2] then return 0 end
redis.call('DEL', KEYS[1]); redis.call('ZREM', KEYS[2], ARGV[1]); redis.call('ZREM', KEYS[3], ARGV[1])
if redis.call('HGET', KEYS[4], ARGV[2]) == 'queued' then
  redis.call('HSET', KEYS[4], ARGV[2], 'cancelled')
  redis.call('HINCRBY', KEYS[5], 'queued', -1)
  redis.call('HINCRBY', KEYS[5], 'cancelled', 1)
end
return 1
"""

# A token bucket: what was not used in the last moment (ARGV[3], seconds) may be made up for. A place further away than
# ARGV[4] is not given, only told.
RESERVE = """
local now, free = tonumber(ARGV[1]), tonumber(redis.call('GET', KEYS[1]) or '0')
local place = math.max(now - ARGV[3], free)
if place > now + ARGV[4] then return string.format('%.6f', place) end
redis.call('SET', KEYS[1], string.format('%.6f', place + tonumber(ARGV[2])), 'EX', 86400)
return string.format('%.6f', place)
"""
