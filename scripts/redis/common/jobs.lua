local function job_end(job, state, exit_code, reason, now)
	local build = call('HGET', 'davit:job:' .. job, 'build')

	call('HSET', 'davit:job:' .. job, 'state', state, 'exit_code', exit_code, 'reason', reason, 'finished_ms', now)
	wake('job ' .. job .. ' ' .. state)
	if call('HINCRBY', 'davit:build:' .. build, 'jobs_left', -1) == 0 then
		local verdict, why = build_verdict(build)
		build_end(build, verdict, why, now)
	end
end

-- A queued job ends here; a running one is asked to, and its node ends it.
local function job_cancel(job, now)
	local key = 'davit:job:' .. job
	local state, repo = unpack(call('HMGET', key, 'state', 'repo'))

	if state == 'queued' then
		queue_remove(job, repo)
		job_end(job, 'cancelled', -1, 'cancelled before it began', now)
	elseif state == 'running' then
		call('HSET', key, 'cancel', 1)
		wake('cancel ' .. job)
	end
end

local function job_waits_for(job, repo, attempt, now)
	local due = call('ZSCORE', 'davit:delayed', job)

	if due then
		return 'attempt ' .. attempt .. ' in ' .. math.ceil(math.max(0, due - now) / 1000) .. ' s'
	elseif call('ZSCORE', 'davit:held:' .. repo, job) then
		return 'one of its repository\'s ' .. call('HGET', 'davit:repo:' .. repo, 'max_running') .. ' running jobs to end'
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
	if of.state == 'queued' then
		row[#row + 1] = 'waits_for'
		row[#row + 1] = job_waits_for(job, of.repo, of.attempt, now)
	end
	return row
end

