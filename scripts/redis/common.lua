-- In front of every script. User data comes in ARGV only; ids are checked before they become part of a key.
-- Every script may be run twice with the same arguments: the second time changes nothing.
local call = redis.call

local MAX_PLANNING_ATTEMPTS = 3
local CLASS = 1e15 -- a score in davit:queue is priority * CLASS + tag
local COST = 1000 -- what one job adds to the tag of a repository of weight 1
local CLAIM_MEMORY_MS = 60000
local PREVIOUS_MAX = 50
local DEAD_MAX = 1000

-- Of the final states the worst of a build's jobs becomes the build's.
local RANK = { passed = 1, cancelled = 2, failed = 3, timed_out = 4, error = 5 }

local function now_ms()
	local t = call('TIME')
	return t[1] * 1000 + math.floor(t[2] / 1000)
end

local function wake(line)
	call('PUBLISH', 'davit:wake', line)
end

-- A process that was replaced by a newer one of the same name must not claim.
local function node_is_stale(node, epoch)
	return call('HGET', 'davit:node:' .. node, 'epoch') ~= epoch
end

-- outbox --

local function outbox_add(id, target, kind, build, state, payload, now)
	call('HSET', 'davit:notice:' .. id, 'notice', id, 'target', target, 'kind', kind, 'build', build, 'state', state,
		'payload', payload, 'attempts', 0, 'created_ms', now)
	call('RPUSH', 'davit:outbox:' .. target, id)
	call('ZADD', 'davit:outbox', 'NX', now, target)
	wake('outbox')
end

local function outbox_is_head(target, id)
	return call('LINDEX', 'davit:outbox:' .. target, 0) == id
end

-- The head of a target is done with: the next one is due at once.
local function outbox_advance(target, now)
	if call('LLEN', 'davit:outbox:' .. target) == 0 then
		call('ZREM', 'davit:outbox', target)
	else
		call('ZADD', 'davit:outbox', now, target)
		wake('outbox')
	end
end

local function outbox_event(build, state, now)
	outbox_add(call('INCR', 'davit:seq:notice'), 'build:' .. build, 'build', build, state, '', now)
end

-- builds --

-- A build's state was changed: tell the daemons, and those who asked to be told.
local function build_changed(n, state, now)
	local repo, notify = unpack(call('HMGET', 'davit:build:' .. n, 'repo', 'notify'))
	local statuses, emails = unpack(call('HMGET', 'davit:repo:' .. repo, 'statuses', 'emails'))
	local mail = RANK[state] and ((notify or '') ~= '' or (emails or '') ~= '')

	wake('build ' .. n .. ' ' .. state)
	if statuses == '1' or mail then
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

local function build_end(n, state, reason, now)
	local key = 'davit:build:' .. n
	local repo, ref = unpack(call('HMGET', key, 'repo', 'ref'))

	call('HSET', key, 'state', state, 'reason', reason, 'finished_ms', now, 'previous', build_previous(n, repo, ref))
	call('ZREM', 'davit:planning', n)
	call('ZREM', 'davit:running', n)
	call('HINCRBY', 'davit:repo:' .. repo, 'open', -1)
	build_changed(n, state, now)
end

-- The worst state among its jobs, with the reason of the first job that has it.
local function build_verdict(n)
	local state, reason = 'passed', ''

	for k = 1, tonumber(call('HGET', 'davit:build:' .. n, 'jobs')) do
		local name, job_state, job_reason = unpack(call('HMGET', 'davit:job:' .. n .. '.' .. k, 'name', 'state', 'reason'))
		if RANK[job_state] > RANK[state] then
			state, reason = job_state, job_reason == '' and '' or name .. ': ' .. job_reason
		end
	end
	return state, reason
end

-- Accepts a build: fields is a list of names and values for its hash.
local function build_add(n, repo, change, now, fields)
	call('HSET', 'davit:build:' .. n, 'build', n, 'repo', repo, 'change', change, 'state', 'planning', 'created_ms', now,
		'attempt', 0, unpack(fields))
	call('ZADD', 'davit:builds', n, n)
	call('ZADD', 'davit:repo:' .. repo .. ':builds', n, n)
	call('ZADD', 'davit:planning', n, n)
	call('HINCRBY', 'davit:repo:' .. repo, 'open', 1)
	wake('planning')
	wake('build ' .. n .. ' planning')
	if call('HGET', 'davit:repo:' .. repo, 'statuses') == '1' then
		outbox_event(n, 'planning', now)
	end
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
		call('ZADD', 'davit:planning', n, n)
		wake('planning')
	end
end

-- queue --

-- Fair among repositories: a job's tag is its repository's own clock, which never lags behind that of the queue, plus
-- what the job costs; the smallest tag is claimed first and moves the queue's clock (self-clocked fair queueing).
local function cost_of(weight)
	return math.floor(COST / math.max(1, tonumber(weight or 1)))
end

local function queue_clock()
	return tonumber(call('GET', 'davit:vclock') or 0)
end

local function queue_add(job, repo, priority)
	local key = 'davit:repo:' .. repo
	local vt, weight = unpack(call('HMGET', key, 'vt', 'weight'))
	local tag = math.max(tonumber(vt or 0), queue_clock()) + cost_of(weight)

	call('HSET', key, 'vt', tag)
	call('ZADD', 'davit:queue', priority * CLASS + tag, job)
end

-- A further attempt was paid for by the first.
local function queue_add_again(job, priority)
	call('ZADD', 'davit:queue', priority * CLASS + queue_clock(), job)
end

-- A queued job leaves without having run; its repository gets back what it cost.
local function queue_remove(job, repo)
	if call('ZREM', 'davit:queue', job) + call('ZREM', 'davit:held:' .. repo, job) > 0 then
		call('HINCRBY', 'davit:repo:' .. repo, 'vt', -cost_of(call('HGET', 'davit:repo:' .. repo, 'weight')))
	end
	call('ZREM', 'davit:delayed', job)
end

-- A running job gives its slot back: one that its repository's limit held takes its old place in the queue.
local function queue_release(job, repo)
	call('ZREM', 'davit:running', job)
	call('HINCRBY', 'davit:repo:' .. repo, 'running', -1)
	local held = call('ZPOPMIN', 'davit:held:' .. repo)
	if held[1] then
		call('ZADD', 'davit:queue', held[2], held[1])
	end
	wake('queue')
end

-- jobs --

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

