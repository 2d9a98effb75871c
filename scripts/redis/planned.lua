-- A build's pipeline is known: its jobs enter the queue.
-- ARGV: build, token, notify, warnings, then name, image, spec, priority of each job. {ok} {stale}
local n, token, notify, warnings = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local key = 'davit:build:' .. n
local state, held_by, repo = unpack(call('HMGET', key, 'state', 'token', 'repo'))

if held_by ~= token then
	return { 'stale' }
elseif state ~= 'planning' then
	return { 'ok' }
end
local now = now_ms()
local jobs = (#ARGV - 4) / 4
for k = 1, jobs do
	local job = n .. '.' .. k
	local name, image, spec, priority = unpack(ARGV, 1 + 4 * k, 4 + 4 * k)
	call('HSET', 'davit:job:' .. job, 'job', job, 'build', n, 'repo', repo, 'name', name, 'state', 'queued', 'attempt', 1,
		'image', image, 'spec', spec, 'priority', priority, 'exit_code', -1, 'queued_ms', now)
	queue_add(job, repo, tonumber(priority))
end
call('HSET', key, 'state', 'queued', 'planned_ms', now, 'jobs', jobs, 'jobs_left', jobs, 'notify', notify, 'warnings', warnings)
call('ZREM', 'davit:running', n)
if jobs == 0 then
	build_end(n, 'passed', 'there is nothing to do', now)
else
	wake('build ' .. n .. ' queued')
	wake('queue')
end
return { 'ok' }
