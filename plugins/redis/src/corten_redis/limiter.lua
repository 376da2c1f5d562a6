-- A rate limit in one step, by the server's clock; the algorithms are those of rust/core/src/rate_limit.
-- KEYS[1]: the limit. ARGV: algorithm, microseconds a token, the most tokens, tokens asked for, the longest wait in microseconds.
-- Gives whether they were taken (1 or 0), and the microseconds to wait.
local key, algorithm = KEYS[1], ARGV[1]
local interval, burst = tonumber(ARGV[2]), tonumber(ARGV[3])
local n, max_wait = tonumber(ARGV[4]), tonumber(ARGV[5])
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
local state = redis.call('HMGET', key, 'at', 'a', 'b')
local at, a, b = tonumber(state[1]), tonumber(state[2]), tonumber(state[3])

local function keep(wait, lifetime, at, a, b)
  -- Seventeen digits are what a double has.
  redis.call('HSET', key, 'at', string.format('%.0f', at), 'a', string.format('%.17g', a), 'b', string.format('%.17g', b))
  redis.call('PEXPIRE', key, math.ceil(lifetime / 1000) + 1000)
  return {1, math.ceil(wait)}
end

if algorithm == 'token_bucket' or algorithm == 'leaky_bucket' then
  -- a: the tokens (of a queue: the room) at the time `at`; fewer than none while somebody waits.
  local tokens = a or burst
  at = at or now
  if now > at then -- the server's clock may go back: then time stands still
    tokens = math.min(burst, tokens + (now - at) / interval)
    at = now
  end
  local left = tokens - n
  local wait = 0
  if algorithm == 'leaky_bucket' then
    wait = (burst - tokens) * interval
  elseif left < 0 then
    wait = -left * interval
  end
  if wait < 0.5 then wait = 0 end -- less than the clock can tell
  if wait > max_wait or (algorithm == 'leaky_bucket' and left < -1e-6) then
    return {0, math.max(1, math.ceil(wait))}
  end
  return keep(wait, (burst - left) * interval, at, left, 0)
end

-- Windows. a: used in the window of `at`, b: in the one before it. `at` is ahead of now while somebody waits.
local period = math.max(1, math.floor(interval * burst + 0.5))
local function seen_from(time)
  if not at then
    a, b = 0, 0
  else
    local windows = math.floor(time / period) - math.floor(at / period)
    if windows == 1 then a, b = 0, a elseif windows > 1 then a, b = 0, 0 end
  end
  at = time
end
seen_from(math.max(now, at or 0))
for _ = 1, 4 do
  local begin, room = at - at % period, burst - a - n
  if room < 0 then
    seen_from(begin + period)
  elseif algorithm == 'sliding_window' and b * (period - (at - begin)) > room * period then
    seen_from(begin + period - math.floor(room * period / b))
  else
    break
  end
end
local wait = at - now
if wait > max_wait then
  return {0, wait}
end
return keep(wait, at - now + 2 * period, at, a + n, b)
