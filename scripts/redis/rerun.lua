-- A new build of the same change: planned anew, or with the jobs of the old one, of which some run again and the others
-- are taken over with their results. While it is not finished, asking for the same again gives the same one.
-- ARGV: build, max_planning, what is to run: '' all, 'failed', or a job's number.
-- {new, build} {none} {open} {full} {nothing}
local old, max_planning, which = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local SUMMARY = { 'ref', 'branch', 'commit', 'title', 'author', 'event' }
local PLANNED = {
	'repo', 'name', 'image', 'spec', 'priority', 'needs', 'needed_by', 'run_on', 'skipped', 'allow_failure', 'retry_max',
	'retry_on', 'labels', 'group', 'group_cancel',
}
local RESULT = {
	'state', 'outcome', 'attempt', 'history', 'engine', 'exit_code', 'reason', 'queued_ms', 'started_ms', 'finished_ms',
	'log_bytes',
}
local state, repo, change, rerun, jobs =
	unpack(call('HMGET', 'davit:build:' .. old, 'state', 'repo', 'change', 'rerun', 'jobs'))

jobs = tonumber(jobs or 0)

local function copied(key, names, fields)
	for i, value in ipairs(call('HMGET', key, unpack(names))) do
		if value then
			fields[#fields + 1] = names[i]
			fields[#fields + 1] = value
		end
	end
	return fields
end

-- Those that are asked for, and all that need one of them.
local function chosen()
	local runs, count = {}, 0
	for k = 1, jobs do
		local job_state, outcome, needs = job_fields(old .. '.' .. k, 'state', 'outcome', 'needs')
		local failed = job_state ~= 'passed' and not (job_state == 'skipped' and outcome == 'ok')
		local again = which == tostring(k) or (which == 'failed' and failed)
		for other in (needs or ''):gmatch('%d+') do
			again = again or runs[tonumber(other)]
		end
		runs[k] = again or nil
		count = count + (again and 1 or 0)
	end
	return runs, count
end

local function run_again(build, k, runs)
	local job = build .. '.' .. k
	local fields = copied('davit:job:' .. old .. '.' .. k, PLANNED, {})
	call('HSET', 'davit:job:' .. job, 'job', job, 'build', build, 'state', 'waiting', 'attempt', 1, 'exit_code', -1,
		unpack(fields))
	local needs, group, skipped = job_fields(job, 'needs', 'group', 'skipped')
	local left = 0
	for other in (needs or ''):gmatch('%d+') do
		if runs[tonumber(other)] then
			left = left + 1
		else
			job_hear(job, other, job_fields(old .. '.' .. other, 'outcome'))
		end
	end
	call('HSET', 'davit:job:' .. job, 'needs_left', left)
	group_join(job, repo, group)
	return left == 0 or skipped
end

-- Answers the build in which it ran.
local function take_over(build, k)
	local job, from = build .. '.' .. k, old .. '.' .. k
	local origin = job_fields(from, 'reused_from') or from
	local fields = copied('davit:job:' .. from, RESULT, copied('davit:job:' .. from, PLANNED, {}))
	call('HSET', 'davit:job:' .. job, 'job', job, 'build', build, 'needs_left', 0, 'reused_from', origin, unpack(fields))
	return origin:match('^%d+')
end

local function add_jobs(build, runs, count, now)
	local reused, sources, first_ones = {}, {}, {}
	for k = 1, jobs do
		local source = not runs[k] and take_over(build, k)
		if source and not reused[source] then
			reused[source] = true
			sources[#sources + 1] = source
			call('HINCRBY', 'davit:build:' .. source, 'reused_by', 1)
		elseif runs[k] and run_again(build, k, runs) then
			first_ones[#first_ones + 1] = build .. '.' .. k
		end
	end
	call('HSET', 'davit:build:' .. build, 'state', 'queued', 'planned_ms', now, 'jobs', jobs, 'jobs_left', count)
	if sources[1] then
		call('HSET', 'davit:build:' .. build, 'reuses', table.concat(sources, ' '))
	end
	wake('build ' .. build .. ' queued')
	for _, job in ipairs(first_ones) do
		job_decide(job, now)
	end
end

if not state or call('EXISTS', 'davit:repo:' .. repo) == 0 then
	return { 'none' }
elseif not RANK[state] then
	return { 'open' }
elseif jobs == 0 and which == 'failed' then
	which = '' -- it failed before it had jobs
elseif which ~= '' and which ~= 'failed' and not job_fields(old .. '.' .. which, 'state') then
	return { 'none' }
end
local rerun_state, rerun_jobs = unpack(rerun and call('HMGET', 'davit:build:' .. rerun, 'state', 'rerun_jobs') or {})
if rerun_state and not RANK[rerun_state] then
	return (rerun_jobs or '') == which and { 'new', rerun } or { 'open' }
elseif call('ZCARD', 'davit:planning') >= max_planning then
	return { 'full' }
end
local runs, count = {}, 0
if which ~= '' then
	runs, count = chosen()
	if count == 0 then
		return { 'nothing' }
	end
end

local now = now_ms()
local build = call('INCR', 'davit:seq:build')
local fields = copied('davit:build:' .. old, SUMMARY, { 'rerun_of', old })
call('HINCRBY', 'davit:change:' .. change, 'builds', 1)
call('HSET', 'davit:build:' .. old, 'rerun', build)
if which == '' then
	build_add(build, repo, change, now, fields, 'planning')
	planning_add(build)
else
	fields = copied('davit:build:' .. old, { 'notify', 'warnings', 'base', 'built', 'approved_by' }, fields)
	fields[#fields + 1] = 'rerun_jobs'
	fields[#fields + 1] = which
	build_add(build, repo, change, now, fields, 'planning')
	add_jobs(build, runs, count, now)
end
return { 'new', build }
