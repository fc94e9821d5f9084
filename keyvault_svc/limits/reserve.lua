#!lua
-- Reserves what one lease may take in each of its counters, or in none of them.
--
-- KEYS     index of the owner's keys; the lease; then one key per counter
-- ARGV[1]  JSON: now, lease_id, end, forget, reserved, note, and counters of calls, amount, limit,
--          forget
-- Answers  {1, used and held of each counter}, or
--          {0, which counter is full, used, held, end of its first call or 0}
--
-- All times are microseconds of the caller's clock; keys expire after what is left by it.

local index, lease = KEYS[1], KEYS[2]
local ask = cjson.decode(ARGV[1])
local INDEX_SECONDS = 401 * 86400 -- longer than any of the owner's keys

local function keep(key, forget)
  redis.call('PEXPIRE', key, math.max(1, math.ceil((forget - ask.now) / 1000)))
  redis.call('ZADD', index, 'GT', forget, key)
end

local function standing(key, counter)
  if counter.calls then
    return 0, redis.call('ZCOUNT', key, '(' .. string.format('%.0f', ask.now), '+inf')
  end
  local stored = redis.call('HMGET', key, 'used', 'held')
  return tonumber(stored[1] or 0), tonumber(stored[2] or 0)
end

local known = redis.call('HGET', lease, 'forget')
local is_new = not known or tonumber(known) <= ask.now
local answer = {1}
for number, counter in ipairs(ask.counters) do
  local key = KEYS[2 + number]
  local used, held = standing(key, counter)
  if is_new then
    if used + held + counter.amount > counter.limit then
      local soonest = {}
      if counter.calls then
        local after = '(' .. string.format('%.0f', ask.now)
        soonest = redis.call(
          'ZRANGEBYSCORE', key, after, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
      end
      return {0, number - 1, used, held, tonumber(soonest[2] or 0)}
    end
    held = held + counter.amount
  end
  table.insert(answer, used)
  table.insert(answer, held)
end
if not is_new then
  return answer
end

for number, counter in ipairs(ask.counters) do
  local key = KEYS[2 + number]
  if counter.calls then
    redis.call('ZREMRANGEBYSCORE', key, '-inf', ask.now)
    redis.call('ZADD', key, ask['end'], ask.lease_id)
    local last = redis.call('ZREVRANGE', key, 0, 0, 'WITHSCORES')[2]
    keep(key, math.max(ask.forget, tonumber(last)))
  else
    redis.call('HINCRBY', key, 'held', counter.amount)
    keep(key, counter.forget)
  end
end
redis.call('DEL', lease)
redis.call(
  'HSET', lease, 'reserved', ask.reserved, 'note', ask.note, 'open', 1, 'forget', ask.forget)
keep(lease, ask.forget)
redis.call('ZREMRANGEBYSCORE', index, '-inf', ask.now)
redis.call('EXPIRE', index, INDEX_SECONDS)
return answer
