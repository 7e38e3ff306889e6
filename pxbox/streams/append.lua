-- Extend a channel's hot window by entries that follow each other (E2).
--
-- KEYS[1]  the window, a stream with ids `<seq>-0`
-- ARGV[1]  'answer' or 'replace': what to do where the entries leave a gap after the window
-- ARGV[2]  where the wake is published
-- ARGV[3]  how many entries the window keeps
-- ARGV[4]  seconds until an unused window goes
-- ARGV[5]  the number of the first entry; ARGV[6...] the entries' data
--
-- Answers the window's last number. Where it is less than the last entry's, a gap follows it.
-- A window never goes back. One that ends at a gap is either left alone or replaced as a whole.
local size = tonumber(ARGV[3])
local first = tonumber(ARGV[5])
local count = #ARGV - 5
local last = first + count - 1
local known = 0
local replaced = false
local reached = last

local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
if newest then
  local held = tonumber(string.match(newest[1], '^%d+'))
  if first > held + 1 then
    if ARGV[1] == 'answer' then
      return held
    end
    replaced = true
  end
  known = math.max(0, held - first + 1)
  reached = math.max(held, last)
end

if known < count then
  -- Writing comes first: where memory is short, it is refused before anything has changed.
  for n = known + 1, count do
    -- %.0f: Lua writes a large number with an exponent otherwise.
    redis.call('XADD', KEYS[1], 'MAXLEN', size, string.format('%.0f-0', first + n - 1),
      'd', ARGV[5 + n])
  end
  if replaced then
    redis.call('XTRIM', KEYS[1], 'MAXLEN', count)
  end
  redis.call('PUBLISH', ARGV[2], string.format('%.0f', last))
end
redis.call('EXPIRE', KEYS[1], ARGV[4])
return reached
