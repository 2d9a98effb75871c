-- A new build of the same change: planned anew, or with the jobs of the old one, of which some run again and the others
-- are taken over with their results. While it is not finished, asking for the same again gives the same one.
-- ARGV: build, max_planning, what is to run: '' all, 'failed', a job's number, or 'deploy NAME': what deploys to that
-- environment, whatever the conditions of its event said; then who wants that deployed, the number of the deployment
-- that is made again, or '', and 1 where nobody has said yes to it.
-- {new, build} {none} {open} {full} {nothing} {no_deploy} {lacks}
local old, max_planning, which, deployer, redeploys, unasked = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local environment = which:match('^deploy (.+)$')
local SUMMARY = { 'ref', 'branch', 'commit', 'title', 'author', 'event', 'commit_ms' }
local PLANNED = {
	'repo', 'name', 'image', 'spec', 'priority', 'needs', 'needed_by', 'run_on', 'skipped', 'allow_failure', 'retry_max',
	'retry_on', 'labels', 'group', 'group_cancel', 'environment', 'approve', 'deploy_image', 'lacks',
}
local RESULT = {
	'state', 'outcome', 'attempt', 'history', 'engine', 'exit_code', 'reason', 'queued_ms', 'started_ms', 'finished_ms',
	'log_bytes', 'images',
}
local last_field = environment and 'redeploy' or 'rerun'
local state, repo, change, last, jobs =
	unpack(call('HMGET', 'davit:build:' .. old, 'state', 'repo', 'change', last_field, 'jobs'))

local lacking

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

-- Whether the job itself is asked for; what it needs may bring it in, too, but to no other environment. What deploys
-- there and lacks something that its event did not have cannot be made again by hand either.
local function is_chosen(k)
	local job_state, outcome, deploys_to, lacks = job_fields(old .. '.' .. k, 'state', 'outcome', 'environment', 'lacks')
	local failed = job_state ~= 'passed' and not (job_state == 'skipped' and outcome == 'ok')

	if environment then
		lacking = lacking or (deploys_to == environment and lacks)
		return deploys_to == environment, not deploys_to
	end
	return which == tostring(k) or (which == 'failed' and failed), true
end

-- Those that are asked for, and all that need one of them.
local function chosen()
	local runs, count = {}, 0
	for k = 1, jobs do
		local again, may_follow = is_chosen(k)
		for other in (job_fields(old .. '.' .. k, 'needs') or ''):gmatch('%d+') do
			again = again or (may_follow and runs[tonumber(other)])
		end
		runs[k] = again or nil
		count = count + (again and 1 or 0)
	end
	return runs, count
end

-- What it has built and could not push; all that went into it is the same.
local function keep_built(job, from)
	if job_fields(from, 'state') ~= 'passed' then
		local fields = copied('davit:job:' .. from, { 'built', 'built_on' }, {})
		call('HSET', 'davit:job:' .. job, 'job', job, unpack(fields))
	end
end

local function run_again(build, k, runs)
	local job = build .. '.' .. k
	local fields = copied('davit:job:' .. old .. '.' .. k, PLANNED, {})
	call('HSET', 'davit:job:' .. job, 'job', job, 'build', build, 'state', 'waiting', 'attempt', 1, 'exit_code', -1,
		unpack(fields))
	if environment and job_fields(job, 'environment') then
		call('HDEL', 'davit:job:' .. job, 'skipped')
	end
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
	if left == 0 then
		keep_built(job, old .. '.' .. k)
	end
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
elseif which ~= '' and which ~= 'failed' and not environment and not job_fields(old .. '.' .. which, 'state') then
	return { 'none' }
end
local last_state, last_jobs = unpack(last and call('HMGET', 'davit:build:' .. last, 'state', 'rerun_jobs') or {})
local is_open = last_state and not RANK[last_state]
if is_open and (last_jobs or '') == which then
	return { 'new', last }
elseif is_open and not environment then
	return { 'open' }
elseif call('ZCARD', 'davit:planning') >= max_planning then
	return { 'full' }
end
local runs, count = {}, 0
if which ~= '' then
	runs, count = chosen()
	if lacking then
		return { 'lacks' }
	elseif count == 0 then
		return { environment and 'no_deploy' or 'nothing' }
	end
end

local now = now_ms()
local build = call('INCR', 'davit:seq:build')
local fields = copied('davit:build:' .. old, SUMMARY, { 'rerun_of', old })
call('HINCRBY', 'davit:change:' .. change, 'builds', 1)
call('HSET', 'davit:build:' .. old, last_field, build)
if which == '' then
	fields[#fields + 1], fields[#fields + 2] = 'event', call('HGET', 'davit:change:' .. change, 'event')
	build_add(build, repo, change, now, fields, 'planning')
	planning_add(build)
else
	fields = copied('davit:build:' .. old, { 'notify', 'warnings', 'base', 'built', 'approved_by' }, fields)
	fields[#fields + 1] = 'rerun_jobs'
	fields[#fields + 1] = which
	for _, word in ipairs(environment and { 'event', 'deploy', 'environment', environment, 'deployer', deployer } or {}) do
		fields[#fields + 1] = word
	end
	if environment and redeploys ~= '' then
		fields[#fields + 1], fields[#fields + 2] = 'redeploys', redeploys
	end
	if environment and unasked == '1' then
		fields[#fields + 1], fields[#fields + 2] = 'unasked', 1
	end
	build_add(build, repo, change, now, fields, 'planning')
	add_jobs(build, runs, count, now)
end
return { 'new', build }
