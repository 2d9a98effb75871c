-- What time brings about: delayed jobs that are due, approvals that nobody gave, plannings and jobs whose lease has run
-- out.
-- ARGV: lease_ms, limit. {ms until the next, job...}; -1: nothing will
local lease_ms, limit = tonumber(ARGV[1]), ARGV[2]
local now = now_ms()
local expired = {}

local due = call('ZRANGEBYSCORE', 'davit:delayed', '-inf', now, 'LIMIT', 0, limit)
for _, job in ipairs(due) do
	call('ZREM', 'davit:delayed', job)
	job_enqueue(job, true, now)
end
waiting_expire(now, limit)
approvals_expire(now, limit)
for _, id in ipairs(call('ZRANGEBYSCORE', 'davit:running', '-inf', now, 'LIMIT', 0, limit)) do
	if id:find('.', 1, true) then
		call('ZADD', 'davit:running', now + lease_ms, id) -- whoever called looks after it for so long
		expired[#expired + 1] = job_row(id, now)
	else
		planning_lost(id, now)
	end
end

local next_ms = -1
for _, key in ipairs({ 'davit:delayed', 'davit:running', 'davit:waiting', 'davit:approvals' }) do
	local score = call('ZRANGE', key, 0, 0, 'WITHSCORES')[2]
	if score then
		local wait = math.max(0, tonumber(score) - now)
		next_ms = next_ms < 0 and wait or math.min(next_ms, wait)
	end
end
return { next_ms, unpack(expired) }
