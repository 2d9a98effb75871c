-- One by hand or by the clock has none before it is planned, and a status is a commit's.
local function build_has_commit(n)
	return (call('HGET', 'davit:build:' .. n, 'commit') or '') ~= ''
end

-- A build's state was changed: tell the daemons, and those who asked to be told.
local function build_changed(n, state, now)
	local repo, notify = unpack(call('HMGET', 'davit:build:' .. n, 'repo', 'notify'))
	local statuses, emails = unpack(call('HMGET', 'davit:repo:' .. repo, 'statuses', 'emails'))
	local mail = RANK[state] and ((notify or '') ~= '' or (emails or '') ~= '')

	wake('build ' .. n .. ' ' .. state)
	if (statuses == '1' and build_has_commit(n)) or mail then
		outbox_event(n, state, now)
	end
end

-- The final state of the build before this one on the same ref; a cancelled one says nothing.
local function build_previous(n, repo, ref)
	local older = call('ZREVRANGEBYSCORE', 'davit:repo:' .. repo .. ':builds', '(' .. n, '-inf', 'LIMIT', 0, PREVIOUS_MAX)

	for _, other in ipairs(older) do
		local other_ref, state = unpack(call('HMGET', 'davit:build:' .. other, 'ref', 'state'))
		if other_ref == ref and RANK[state] and state ~= 'cancelled' then
			return state
		end
	end
	return ''
end

-- The build that waits on a ref.
local function waiting_key(repo, ref)
	return 'davit:waiting:' .. repo .. ':' .. ref
end

-- It waits for an approval no longer.
local function waiting_end(n, repo, ref)
	local key = waiting_key(repo, ref)

	call('ZREM', 'davit:waiting', n)
	if call('GET', key) == tostring(n) then
		call('DEL', key)
	end
end

local function build_end(n, state, reason, now)
	local key = 'davit:build:' .. n
	local repo, ref, created_ms = unpack(call('HMGET', key, 'repo', 'ref', 'created_ms'))

	waiting_end(n, repo, ref)
	call('HSET', key, 'state', state, 'reason', reason, 'finished_ms', now, 'previous', build_previous(n, repo, ref))
	call('ZREM', 'davit:planning', n)
	call('ZREM', 'davit:running', n)
	call('HINCRBY', 'davit:repo:' .. repo, 'open', -1)
	stats_add(repo, '', now, { 'builds_' .. state }, state ~= 'cancelled' and { build = now - created_ms } or {})
	build_changed(n, state, now)
end

-- The worst state among its jobs, with the reason of the first job that has it. The failure of a job that is allowed to
-- fail does not count, nor does its cancellation unless the whole build was cancelled.
local function build_verdict(n)
	local state, reason, ran = 'passed', '', false
	local jobs, cancelled = unpack(call('HMGET', 'davit:build:' .. n, 'jobs', 'cancel'))

	for k = 1, tonumber(jobs) do
		local name, job_state, job_reason, allowed =
			unpack(call('HMGET', 'davit:job:' .. n .. '.' .. k, 'name', 'state', 'reason', 'allow_failure'))
		local counts = allowed ~= '1' or (job_state == 'cancelled' and cancelled == '1')
		if counts and RANK[job_state] > RANK[state] then
			state, reason = job_state, job_reason == '' and '' or name .. ': ' .. job_reason
		end
		ran = ran or job_state ~= 'skipped'
	end
	return state, ran and reason or 'all jobs were skipped'
end

-- Whether a forge hears of a build: a status is a commit's, and one by hand or by the clock has none before it is planned.
local function build_tells(repo, fields)
	for i = 1, #fields, 2 do
		if fields[i] == 'commit' and fields[i + 1] ~= '' then
			return call('HGET', 'davit:repo:' .. repo, 'statuses') == '1'
		end
	end
end

-- A build as it begins, planning or waiting: fields is a list of names and values for its hash.
local function build_add(n, repo, change, now, fields, state)
	call('HSET', 'davit:build:' .. n, 'build', n, 'repo', repo, 'change', change, 'state', state, 'created_ms', now,
		'attempt', 0, unpack(fields))
	call('ZADD', 'davit:builds', n, n)
	call('ZADD', 'davit:repo:' .. repo .. ':builds', n, n)
	call('HINCRBY', 'davit:repo:' .. repo, 'open', 1)
	wake('build ' .. n .. ' ' .. state)
	if build_tells(repo, fields) then
		outbox_event(n, state, now)
	end
end

-- It waits for a planner.
local function planning_add(n)
	call('ZADD', 'davit:planning', n, n)
	wake('planning')
end

-- Whoever planned it is gone.
local function planning_lost(n, now)
	local key = 'davit:build:' .. n

	call('ZREM', 'davit:running', n)
	if call('HGET', key, 'state') ~= 'planning' then
		return
	end
	call('HDEL', key, 'token', 'node')
	if tonumber(call('HGET', key, 'attempt')) >= MAX_PLANNING_ATTEMPTS then
		build_end(n, 'error', 'planning was begun ' .. MAX_PLANNING_ATTEMPTS .. ' times and never came to an end', now)
	else
		planning_add(n)
	end
end

