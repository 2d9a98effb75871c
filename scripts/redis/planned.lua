-- A build's pipeline is known: its jobs enter the queue, or wait for those that they need.
-- ARGV: build, token, notify, warnings, then for each job how many values follow, and names and values for its hash.
-- needs: numbers of jobs before it, each once, with blanks between. {ok} {stale}
local n, token, notify, warnings = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local key = 'davit:build:' .. n
local state, held_by, repo, event = unpack(call('HMGET', key, 'state', 'token', 'repo', 'event'))
local needed_by = {}

local function add(k, first, last)
	local job = n .. '.' .. k
	call('HSET', 'davit:job:' .. job, 'job', job, 'build', n, 'repo', repo, 'state', 'waiting', 'attempt', 1,
		'priority', priority_of(repo, event), 'exit_code', -1, unpack(ARGV, first, last))
	local needs, group = job_fields(job, 'needs', 'group')
	local left = 0
	for other in (needs or ''):gmatch('%d+') do
		needed_by[other] = (needed_by[other] and needed_by[other] .. ' ' or '') .. k
		left = left + 1
	end
	call('HSET', 'davit:job:' .. job, 'needs_left', left)
	group_join(job, repo, group)
end

if held_by ~= token then
	return { 'stale' }
elseif state ~= 'planning' then
	return { 'ok' }
end
local now = now_ms()
local jobs, at = 0, 5
while ARGV[at] do
	jobs = jobs + 1
	add(jobs, at + 1, at + ARGV[at])
	at = at + 1 + ARGV[at]
end
for k, list in pairs(needed_by) do
	call('HSET', 'davit:job:' .. n .. '.' .. k, 'needed_by', list)
end
call('HSET', key, 'state', 'queued', 'planned_ms', now, 'jobs', jobs, 'jobs_left', jobs, 'notify', notify, 'warnings', warnings)
call('ZREM', 'davit:running', n)
if jobs == 0 then
	build_end(n, 'passed', 'there is nothing to do', now)
else
	wake('build ' .. n .. ' queued')
	jobs_begin(n, jobs, now)
end
return { 'ok' }
