-- A job goes waiting (for jobs that it needs) -> queued (for its group, for a slot, for time to pass) -> running -> a
-- final state. Its end is looked at by those that need it, whose ends are looked at in turn: all in the one script.
-- Each job of a graph ends once, which bounds it.
local job_end, job_cancel
local ended, settling = {}, false
local heard_of = {} -- by job, what job_hear has read or written

local function job_fields(job, ...)
	return unpack(call('HMGET', 'davit:job:' .. job, ...))
end

-- The job of which this one has taken over the result, or itself.
local function job_ran(job)
	return job_fields(job, 'reused_from') or job
end

local function job_build(job)
	return tonumber(job:match('^%d+'))
end

-- It waits for a slot now.
local function job_enqueue(job, again, now)
	local repo, priority, labels = job_fields(job, 'repo', 'priority', 'labels')

	labels = labels or ''
	if not queue_is_open(labels) then
		job_end(job, 'error', -1, 'jobs with ' .. LABEL_SETS_MAX .. ' other sets of labels wait already', now)
	elseif again then
		queue_add_again(job, tonumber(priority), labels)
	else
		queue_add(job, repo, tonumber(priority), labels)
	end
end

-- groups --

-- davit:group:<repo>:<group> is who has the group (score 0) and who waits for it, in the order of builds;
-- davit:members:<repo>:<group> are all its jobs that have not ended.
local function group_keys(repo, group)
	return 'davit:group:' .. repo .. ':' .. group, 'davit:members:' .. repo .. ':' .. group
end

-- By its build, then by its place in it.
local function group_rank(job)
	local n, k = job:match('^(%d+)%.(%d+)$')
	return n * GROUP_JOBS_MAX + k
end

local function group_join(job, repo, group)
	if group then
		local _, members = group_keys(repo, group)
		call('ZADD', members, group_rank(job), job)
	end
end

local function group_cancel_older(job, members, now)
	for _, older in ipairs(call('ZRANGEBYSCORE', members, '-inf', '(' .. job_build(job) * GROUP_JOBS_MAX)) do
		job_cancel(older, now, SUPERSEDED)
	end
end

-- A job of a newer build that cancels older ones has the group or waits for it.
local function group_is_superseded(job, key)
	for _, command in ipairs({ 'ZRANGE', 'ZREVRANGE' }) do
		local other = call(command, key, 0, 0)[1]
		if other and job_build(other) > job_build(job) and job_fields(other, 'group_cancel') == '1' then
			return true
		end
	end
	return false
end

-- Whether the job may go on; if not, it is enqueued when those before it have ended.
local function group_enter(job, now)
	local repo, group, cancels, environment = job_fields(job, 'repo', 'group', 'group_cancel', 'environment')

	if not group then
		return true
	end
	local key, members = group_keys(repo, group)
	if group_is_superseded(job, key) then
		job_end(job, 'cancelled', -1, SUPERSEDED, now)
		return false
	elseif cancels == '1' then
		group_cancel_older(job, members, now)
	end
	local is_free = call('EXISTS', key) == 0 and not (environment and environment_lock_words(repo, environment))
	call('ZADD', key, is_free and 0 or group_rank(job), job)
	return is_free
end

-- Nobody has the group: the first of those who wait has it now, unless its environment is locked.
local function group_hand_on(repo, key, now)
	local job, score = unpack(call('ZRANGE', key, 0, 0, 'WITHSCORES'))
	local environment = job and job_fields(job, 'environment')

	if job and score ~= '0' and not (environment and environment_lock_words(repo, environment)) then
		call('ZADD', key, 0, job)
		job_enqueue(job, false, now)
	end
end

local function group_leave(job, repo, group, now)
	if not group then
		return
	end
	local key, members = group_keys(repo, group)
	call('ZREM', members, job)
	call('ZREM', key, job)
	group_hand_on(repo, key, now)
end

-- the graph --

local ENDED_WORDS = {
	failed = 'failed', timed_out = 'timed out', error = 'ended in an error', cancelled = 'was cancelled', skipped = 'was skipped',
}

-- It has all that it waited for: its turn in its group is next.
local function job_ready(job, now)
	call('HSET', 'davit:job:' .. job, 'state', 'queued', 'queued_ms', now)
	deployment_follow(job, 'state', 'queued')
	if group_enter(job, now) then
		job_enqueue(job, false, now)
	end
end

-- Whether somebody has to say yes first; who asked for this very deployment has said it.
local function deploy_waits(job, repo, build, environment)
	local deployer, unasked = unpack(call('HMGET', 'davit:build:' .. build, 'deployer', 'unasked'))

	if deployer and not unasked then
		call('HSET', 'davit:job:' .. job, 'approved_by', deployer)
		deployment_follow(job, 'approved_by', deployer)
		return false
	end
	return job_fields(job, 'approve') == '1' or call('HGET', environment_key(repo, environment), 'approve') == '1'
end

-- All that it needs has ended. A job that deploys has its deployment from here on.
local function job_begin(job, now)
	local repo, build, environment, refused = job_fields(job, 'repo', 'build', 'environment', 'refused')

	if environment and call('EXISTS', environment_key(repo, environment)) == 0 then
		refused = 'the repository has no environment ' .. environment
	end
	if refused then
		job_end(job, 'failed', -1, refused, now)
		return
	end
	if environment then
		deployment_open(job, now)
	end
	if environment and deploy_waits(job, repo, build, environment) then
		call('ZADD', 'davit:approvals', now + APPROVAL_MS, job)
	else
		job_ready(job, now)
	end
end

-- Nobody said yes or no.
local function approvals_expire(now, limit)
	for _, job in ipairs(call('ZRANGEBYSCORE', 'davit:approvals', '-inf', now, 'LIMIT', 0, limit)) do
		job_end(job, 'cancelled', -1, ('rejected: nobody approved it within %.4g days'):format(APPROVAL_MS / 86400000), now)
	end
end

-- One of its needs has ended. What counts is the first that failed, or else the first that came to nothing.
local function job_hear(job, k, outcome)
	if outcome == 'ok' then
		return
	end
	local heard = heard_of[job] or job_fields(job, 'heard')
	if not heard or (heard == 'none' and outcome == 'failed') then
		call('HSET', 'davit:job:' .. job, 'heard', outcome, 'heard_from', k)
		heard = outcome
	end
	heard_of[job] = heard
end

local function heard_in_words(build, k)
	local name, state = job_fields(build .. '.' .. k, 'name', 'state')
	return name .. ' ' .. ENDED_WORDS[state]
end

-- All that it needs has ended. What a skipped job says to those that need it is what it was told itself, unless it was
-- there for a failure that did not come.
local function job_decide(job, now)
	local build, state, run_on, skipped, heard, from =
		job_fields(job, 'build', 'state', 'run_on', 'skipped', 'heard', 'heard_from')
	local outcome = heard or 'ok'

	if state ~= 'waiting' then
		return
	elseif call('HGET', 'davit:build:' .. build, 'cancel') == '1' then
		job_end(job, 'cancelled', -1, 'cancelled before it began', now)
	elseif skipped then
		job_end(job, 'skipped', -1, skipped, now, 'ok')
	elseif run_on == 'always' or outcome == (run_on == 'failure' and 'failed' or 'ok') then
		job_begin(job, now)
	else
		local words = run_on == 'failure' and 'nothing that it needs failed' or heard_in_words(build, from)
		job_end(job, 'skipped', -1, words, now, outcome)
	end
end

local function settle(now)
	local i = 1

	settling = true
	while ended[i] do
		local build, needed_by, outcome = job_fields(ended[i], 'build', 'needed_by', 'outcome')
		for k in (needed_by or ''):gmatch('%d+') do
			local job = build .. '.' .. k
			job_hear(job, ended[i]:match('%d+$'), outcome)
			if call('HINCRBY', 'davit:job:' .. job, 'needs_left', -1) == 0 and job_fields(job, 'state') == 'waiting' then
				job_decide(job, now)
				wake('job ' .. job .. ' ' .. job_fields(job, 'state'))
			end
		end
		i = i + 1
	end
	ended, settling = {}, false
end

-- What its end says to the jobs that need it.
local function outcome_of(state, allow_failure)
	if state == 'passed' then
		return 'ok'
	elseif state == 'cancelled' then
		return 'none'
	end
	return allow_failure == '1' and 'ok' or 'failed'
end

function job_end(job, state, exit_code, reason, now, outcome)
	local build, repo, group, allow_failure, deployment, environment =
		job_fields(job, 'build', 'repo', 'group', 'allow_failure', 'deployment', 'environment')

	call('HSET', 'davit:job:' .. job, 'state', state, 'exit_code', exit_code, 'reason', reason, 'finished_ms', now,
		'outcome', outcome or outcome_of(state, allow_failure))
	wake('job ' .. job .. ' ' .. state)
	stats_job(repo, environment, now, job)
	if deployment then
		call('ZREM', 'davit:approvals', job)
		deployment_end(deployment, state, reason, now)
	end
	group_leave(job, repo, group, now)
	if call('HINCRBY', 'davit:build:' .. build, 'jobs_left', -1) == 0 then
		local verdict, why = build_verdict(build)
		build_end(build, verdict, why, now)
	end
	ended[#ended + 1] = job
	if not settling then
		settle(now)
	end
end

-- A job that does not run ends here; a running one is asked to, and its node ends it.
function job_cancel(job, now, why)
	local key = 'davit:job:' .. job
	local state, repo, labels = job_fields(job, 'state', 'repo', 'labels')

	if state == 'waiting' or state == 'queued' then
		queue_remove(job, repo, labels or '')
		job_end(job, 'cancelled', -1, why or 'cancelled before it began', now)
	elseif state == 'running' then
		call('HSET', key, 'cancel', 1)
		if why then
			call('HSETNX', key, 'cancel_why', why)
		end
		wake('cancel ' .. job)
	end
end

-- The next attempt of a job that ran, whose slot was given back; its group stays its own.
local function job_again(job, delay_ms, state, reason, now)
	local key = 'davit:job:' .. job
	local attempt, history = job_fields(job, 'attempt', 'history')
	local line = 'attempt ' .. attempt .. state .. (reason == '' and '' or ': ' .. reason)

	history = history and history .. '\n' .. line or line
	if #history > HISTORY_MAX then
		history = history:match('\n(.*)') or line
	end
	call('HDEL', key, 'token', 'node', 'engine', 'container', 'progress', 'verdict', 'verdict_exit', 'verdict_reason')
	call('HSET', key, 'state', 'queued', 'reason', reason, 'history', history, 'exit_code', -1, 'started_ms', 0)
	call('HINCRBY', key, 'attempt', 1)
	deployment_follow(job, 'state', 'queued', 'attempt', attempt + 1, 'history', history)
	wake('job ' .. job .. ' queued')
	if delay_ms > 0 then
		call('ZADD', 'davit:delayed', now + delay_ms, job)
		wake('delayed')
	else
		job_enqueue(job, true, now)
	end
end

-- It has run, and its slot was given back: it ends, or is tried again, as its pipeline says.
local function job_finish(job, verdict, exit_code, reason, now)
	local key = 'davit:job:' .. job
	local word = ({ error = 'infrastructure', failed = 'failure', timed_out = 'timeout' })[verdict]
	local cancel, cancel_why, retries, retry_max, retry_on =
		job_fields(job, 'cancel', 'cancel_why', 'retries', 'retry_max', 'retry_on')

	retries = tonumber(retries or 0)
	if word and cancel ~= '1' and retries < tonumber(retry_max or 0) and (retry_on or ''):find(word, 1, true) then
		call('HSET', key, 'retries', retries + 1)
		job_again(job, math.min(RETRY_FIRST_MS * 2 ^ math.min(retries, 16), RETRY_MOST_MS), ' ' .. verdict, reason, now)
	else
		call('HDEL', key, 'progress', 'verdict', 'verdict_exit', 'verdict_reason')
		job_end(job, verdict, exit_code, verdict == 'cancelled' and cancel_why or reason, now)
	end
end

-- What the jobs have built that it needs, those that these need, and so on: the nearest first. Each job is looked at once.
local function images_of_needs(job)
	local build, images, seen = job_build(job), {}, {}
	local jobs, i = { job }, 1

	while jobs[i] do
		local needs, state, own = job_fields(jobs[i], 'needs', 'state', 'images')
		if i > 1 and state == 'passed' then
			images[#images + 1] = own or nil
		end
		for k in (needs or ''):gmatch('%d+') do
			if not seen[k] then
				seen[k] = true
				jobs[#jobs + 1] = build .. '.' .. k
			end
		end
		i = i + 1
	end
	return table.concat(images)
end

-- To who has claimed it: all of it, its build and its change.
local function job_answer(job)
	local build = call('HGETALL', 'davit:build:' .. job_build(job))
	local change

	for i = 1, #build, 2 do
		change = build[i] == 'change' and build[i + 1] or change
	end
	local row = call('HGETALL', 'davit:job:' .. job)
	row[#row + 1] = 'needed_images'
	row[#row + 1] = images_of_needs(job)
	return { 'job', row, build, call('HGETALL', 'davit:change:' .. change) }
end

-- in words --

local function group_waits_for(job, repo, group)
	local key = group_keys(repo, group)
	local score = call('ZSCORE', key, job)

	if not score or score == '0' then
		return nil
	end
	local other, first = unpack(call('ZRANGE', key, 0, 0, 'WITHSCORES'))
	local environment = job_fields(job, 'environment')
	if first ~= '0' and environment then
		return environment_lock_words(repo, environment)
	end
	return 'group ' .. group .. ': job ' .. other .. (job_fields(other, 'state') == 'running' and ' runs' or ' is before it')
end

local function needs_in_words(build, needs, left)
	local names = {}

	for k in needs:gmatch('%d+') do
		local name, state = job_fields(build .. '.' .. k, 'name', 'state')
		if not RANK[state] then
			names[#names + 1] = name
		end
		if #names == NAMES_MAX then
			break
		end
	end
	return table.concat(names, ', ') .. (left > #names and ' and ' .. left - #names .. ' more' or '') .. ' to end'
end

-- An engine says itself which platform it is, when it is up, and may be said to run others.
local function labels_in_words(labels, now)
	local words = labels:gsub(',', ' and ')

	if labels_are_known(labels, now) then
		return 'a free slot on an engine with ' .. words
	elseif labels:find('platform=', 1, true) then
		return 'no engine that was up yet has ' .. words ..
			': add one in davit.yml, or name the platform in platforms: of one that can run it'
	end
	return 'no engine has ' .. words
end

local function job_waits_for(job, of, now)
	local labels = of.labels or ''
	local due = call('ZSCORE', 'davit:delayed', job)
	local group = of.group and group_waits_for(job, of.repo, of.group)

	if of.state == 'waiting' and call('ZSCORE', 'davit:approvals', job) then
		return 'an approval'
	elseif of.state == 'waiting' then
		return needs_in_words(of.build, of.needs or '', tonumber(of.needs_left))
	elseif due then
		return 'attempt ' .. of.attempt .. ' in ' .. math.ceil(math.max(0, due - now) / 1000) .. ' s'
	elseif group then
		return group
	elseif call('ZSCORE', held_key(of.repo, labels), job) then
		return 'one of its repository\'s ' .. call('HGET', 'davit:repo:' .. of.repo, 'max_running') .. ' running jobs to end'
	elseif labels ~= '' then
		return labels_in_words(labels, now)
	end
	return 'a free slot'
end

-- The job's hash as a list of names and values, without the large one, and with what it waits for.
local function job_row(job, now)
	local row, fields = {}, call('HGETALL', 'davit:job:' .. job)
	local of = {}

	for i = 1, #fields, 2 do
		of[fields[i]] = fields[i + 1]
		if fields[i] ~= 'spec' then
			row[#row + 1] = fields[i]
			row[#row + 1] = fields[i + 1]
		end
	end
	if of.state == 'queued' or of.state == 'waiting' then
		row[#row + 1] = 'waits_for'
		row[#row + 1] = job_waits_for(job, of, now)
	end
	return row
end
