-- A build's pipeline is known: its jobs enter the queue, or wait for those that they need.
-- ARGV: build, token, notify, warnings, parameters, when its commit was made (0: not known), 1 where it may be the repository's first build of an image, then for each job how many values follow, and names and values for its hash.
-- needs: numbers of jobs before it, each once, with blanks between. {ok} {stale} {second}: it is not the first
local n, token, notify, warnings, parameters, commit_ms, first = unpack(ARGV, 1, 7)
local key = 'davit:build:' .. n
local state, held_by, repo, event, change = unpack(call('HMGET', key, 'state', 'token', 'repo', 'event', 'change'))
local needed_by, first_ones = {}, {}

local function add(k, first, last, priority)
	local job = n .. '.' .. k
	local of, left = {}, 0

	for i = first, last, 2 do
		of[ARGV[i]] = ARGV[i + 1]
	end
	for other in (of.needs or ''):gmatch('%d+') do
		needed_by[other] = needed_by[other] or {}
		table.insert(needed_by[other], k)
		left = left + 1
	end
	call('HSET', 'davit:job:' .. job, 'job', job, 'build', n, 'repo', repo, 'state', 'waiting', 'attempt', 1,
		'priority', priority, 'exit_code', -1, 'needs_left', left, unpack(ARGV, first, last))
	group_join(job, repo, of.group)
	if left == 0 or of.skipped then
		first_ones[#first_ones + 1] = job
	end
end

if held_by ~= token then
	return { 'stale' }
elseif state ~= 'planning' then
	return { 'ok' }
end
-- A rerun is of the same change.
if first == '1' then
	local repo_key = 'davit:repo:' .. repo
	if call('HSETNX', repo_key, 'first_image', change) == 1 then
		wake('repo ' .. repo)
	elseif call('HGET', repo_key, 'first_image') ~= change then
		return { 'second' }
	end
end
local now = now_ms()
local jobs, at, priority = 0, 8, priority_of(repo, event)
while ARGV[at] do
	jobs = jobs + 1
	add(jobs, at + 1, at + ARGV[at], priority)
	at = at + 1 + ARGV[at]
end
for k, list in pairs(needed_by) do
	call('HSET', 'davit:job:' .. n .. '.' .. k, 'needed_by', table.concat(list, ' '))
end
call('HSET', key, 'state', 'queued', 'planned_ms', now, 'jobs', jobs, 'jobs_left', jobs, 'notify', notify, 'warnings', warnings)
if commit_ms ~= '0' then
	call('HSET', key, 'commit_ms', commit_ms)
end
call('ZREM', 'davit:running', n)
repo_asks(n, repo, parameters)
if jobs == 0 then
	build_end(n, 'passed', 'there is nothing to do', now)
	return { 'ok' }
end
wake('build ' .. n .. ' queued')
for _, job in ipairs(first_ones) do
	job_decide(job, now)
end
return { 'ok' }
