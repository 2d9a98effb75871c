-- The schedules that are due.
-- ARGV: limit. {now_ms, ms until the next that is not, or -1, hash...}
local now = now_ms()
local later = call('ZRANGEBYSCORE', 'davit:cron', '(' .. now, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)[2]
local due = {}

for i, id in ipairs(call('ZRANGEBYSCORE', 'davit:cron', '-inf', now, 'LIMIT', 0, ARGV[1])) do
	local hash = call('HGETALL', cron_key(id:match('^(%S+) (%S+)$')))
	-- the queue of times decides, not the copy of it that people see
	hash[#hash + 1] = 'next_ms'
	hash[#hash + 1] = call('ZSCORE', 'davit:cron', id)
	due[i] = hash
end
return { now, later and math.ceil(later - now) or -1, unpack(due) }
