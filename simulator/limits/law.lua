-- The rate law (see law.py) as one step of Redis: nothing comes between reading and writing.
-- KEYS: the bucket (hash: debt, at, shift), the times of the last B passed requests (list, oldest first).
-- ARGV: rate, burst, seconds, and the time in microseconds ("" = Redis's own clock).
-- Returns the wait in microseconds; 0 lets the request pass.
-- In microseconds, because a Lua number holds nanoseconds since 1970 no longer exactly.
local SECOND = 1000000
local rate, burst, seconds = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local clock = tonumber(ARGV[4])
if not clock then
  local time = redis.call('TIME')
  clock = tonumber(time[1]) * SECOND + tonumber(time[2])
end
local function text(number) return string.format('%.0f', number) end

local bucket = redis.call('HMGET', KEYS[1], 'debt', 'at', 'shift')
local shift = tonumber(bucket[3] or 0)
local now = clock + shift
local at = tonumber(bucket[2] or now)
if now < at then
  -- The clock was set back: no credit for that. From here time goes on as before, or nobody could say how long to wait.
  shift, now = at - clock, at
end
local debt = math.max(0, tonumber(bucket[1] or 0) - rate * (now - at))
local missing = debt + SECOND - (burst - rate) * seconds * SECOND
local wait = math.max(0, math.ceil(missing / rate))
if redis.call('LLEN', KEYS[2]) >= burst then
  wait = math.max(wait, SECOND - (now - tonumber(redis.call('LINDEX', KEYS[2], 0))))
end
local passes = wait <= 0
if not passes and shift == tonumber(bucket[3] or 0) then return wait end

if passes then
  debt = debt + SECOND
  redis.call('RPUSH', KEYS[2], text(now))
  redis.call('LTRIM', KEYS[2], -burst, -1)
end
redis.call('HSET', KEYS[1], 'debt', text(debt), 'at', text(now), 'shift', text(shift))
-- A rested source is the same as an unknown one; the minute is for clocks that are set.
local rest = math.max(SECOND, debt / rate) / 1000 + 60000
redis.call('PEXPIRE', KEYS[1], text(rest))
redis.call('PEXPIRE', KEYS[2], text(rest))
return math.max(0, wait)
