#!lua
-- Puts what one lease took in place of what it reserved, once.
--
-- KEYS     index of the owner's keys; the lease; its days of usage; the day's usage; the grant's
--          networks; the subject; then one key per counter
-- ARGV[1]  JSON: now, lease_id, attempt, keep (of usage, network, subject), has_subject,
--          counters of calls, amount, repeated, reserved, thresholds of {percent, amount};
--          usage of day, ordinal, forget, field, other, max, amounts; use of network, max
-- Answers  nil if the lease is not open; or the text `first,new`, followed by
--          `,counter,percent,used,held` for each budget of which a share was used up
--
-- The same attempt gets the same answer again: its caller may not have seen the first.
-- All times are microseconds of the caller's clock; keys expire after what is left by it.

local index, lease, days, usage, networks, subject = unpack(KEYS, 1, 6)
local call = cjson.decode(ARGV[1])

local function keep(key, forget)
  redis.call('PEXPIRE', key, math.max(1, math.ceil((forget - call.now) / 1000)))
  redis.call('ZADD', index, 'GT', forget, key)
end

local function whole(number)
  return string.format('%.0f', number)
end

local function is_repeated_subject()
  if not call.has_subject then
    return false
  end
  local known = redis.call('GET', subject)
  if known and tonumber(known) > call.now then
    return true
  end
  redis.call('SET', subject, whole(call.keep.subject))
  keep(subject, call.keep.subject)
  return false
end

local function settle_counter(key, counter, is_repeated)
  if counter.calls then
    redis.call('ZREM', key, call.lease_id)
    return nil
  end
  local stored = redis.call('HMGET', key, 'used', 'held', 'warned')
  if not stored[2] then
    return nil -- its window is long over
  end
  local amount = is_repeated and counter.repeated or counter.amount
  local used = tonumber(stored[1] or 0) + amount
  local held = math.max(tonumber(stored[2]) - counter.reserved, 0)
  redis.call('HSET', key, 'used', whole(used), 'held', whole(held))
  if amount == 0 then
    return nil
  end
  local warned = tonumber(stored[3] or 0)
  local reached = warned
  for _, threshold in ipairs(counter.thresholds) do
    if used >= threshold[2] then
      reached = math.max(reached, threshold[1])
    end
  end
  if reached == warned then
    return nil
  end
  redis.call('HSET', key, 'warned', reached)
  return reached, used, held
end

local function count_usage(row, is_repeated)
  local field = row.field
  local old = redis.call('HGET', usage, field)
  if not old and redis.call('HLEN', usage) >= row.max then
    field = row.other
    old = redis.call('HGET', usage, field)
  end
  local sums = {}
  for amount in string.gmatch(old or '0 0 0 0 0', '%d+') do
    local place = #sums + 1
    local added = (is_repeated and place > 1) and 0 or row.amounts[place]
    sums[place] = whole(tonumber(amount) + added)
  end
  redis.call('HSET', usage, field, table.concat(sums, ' '))
  if not old then
    keep(usage, row.forget)
    redis.call('ZREMRANGEBYSCORE', days, '-inf', row.oldest)
    redis.call('ZADD', days, row.ordinal, row.day)
    keep(days, call.keep.usage)
  end
end

-- The member '' stands for the grant itself: it is there since the first use.
local function note_use(use)
  redis.call('ZREMRANGEBYSCORE', networks, '-inf', call.now)
  local used = redis.call('ZSCORE', networks, '')
  local is_new = use.network ~= '' and not redis.call('ZSCORE', networks, use.network)
  if use.network ~= '' then
    redis.call('ZADD', networks, 'GT', call.keep.network, use.network)
  end
  redis.call('ZREM', networks, '')
  redis.call('ZREMRANGEBYRANK', networks, 0, -use.max - 1)
  redis.call('ZADD', networks, math.max(tonumber(used or 0), call.keep.network), '')
  keep(networks, call.keep.network)
  return not used, used and is_new
end

if not redis.call('HGET', lease, 'open') then
  if redis.call('HGET', lease, 'attempt') == call.attempt then
    return redis.call('HGET', lease, 'answer')
  end
  return false
end
redis.call('HDEL', lease, 'open')
local is_repeated = is_repeated_subject()
local told = {}
for number, counter in ipairs(call.counters) do
  local percent, used, held = settle_counter(KEYS[6 + number], counter, is_repeated)
  if percent then
    table.insert(told, table.concat({number - 1, percent, whole(used), whole(held)}, ','))
  end
end
if call.usage then
  count_usage(call.usage, is_repeated)
end
local is_first, is_new = false, false
if call.use then
  is_first, is_new = note_use(call.use)
end
table.insert(told, 1, (is_first and '1' or '0') .. ',' .. (is_new and '1' or '0'))
local answer = table.concat(told, ',')
redis.call('HSET', lease, 'attempt', call.attempt, 'answer', answer)
return answer
