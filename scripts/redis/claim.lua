-- The next job in fair order whose repository is below its limit and whose labels an engine with a free slot has; the
-- same nonce gets the same answer.
-- ARGV: node, nonce, lease_ms, then the labels of each engine with a free slot.
-- {job, its hash, its build's, its change's} {none}
local node, nonce, lease_ms = ARGV[1], ARGV[2], tonumber(ARGV[3])
local claim_key = 'davit:claim:' .. nonce
local LOOKS_MAX = 64

local function take(job, repo, labels, score)
	queue_count(labels, -1)
	call('HINCRBY', 'davit:repo:' .. repo, 'running', 1)
	call('SET', 'davit:vclock', math.max(queue_clock(), score % CLASS))
	call('HSET', 'davit:job:' .. job, 'state', 'running', 'node', node, 'token', nonce, 'started_ms', 0, 'claimed_ms', now_ms())
	deployment_follow(job, 'state', 'running')
	call('ZADD', 'davit:running', now_ms() + lease_ms, job)
	call('SET', claim_key, job, 'PX', CLAIM_MEMORY_MS)
	wake('job ' .. job .. ' running')
	return job_answer(job)
end

local function is_served(labels)
	for i = 4, #ARGV do
		if labels_fit(labels, ARGV[i]) then
			return true
		end
	end
	return false
end

local function served_labels()
	local served = {}
	for _, labels in ipairs(queue_labels()) do
		if is_served(labels) then
			served[#served + 1] = labels
		end
	end
	return served
end

-- The first job of all queues that are served, with its labels and its score; of two with one score as in one queue.
local function pop_first(served)
	local job, labels, score
	for _, those in ipairs(served) do
		local other, its_score = unpack(call('ZRANGE', queue_key(those), 0, 0, 'WITHSCORES'))
		its_score = tonumber(its_score)
		if other and (not job or its_score < score or (its_score == score and other < job)) then
			job, labels, score = other, those, its_score
		end
	end
	if job then
		call('ZREM', queue_key(labels), job)
	end
	return job, labels, score
end

local known = call('GET', claim_key)
if known and call('HGET', 'davit:job:' .. known, 'token') == nonce then
	return job_answer(known)
end
local served = served_labels()
for _ = 1, LOOKS_MAX do
	local job, labels, score = pop_first(served)
	if not job then
		return { 'none' }
	end
	local repo = call('HGET', 'davit:job:' .. job, 'repo')
	local max, running = unpack(call('HMGET', 'davit:repo:' .. repo, 'max_running', 'running'))
	if tonumber(max) == 0 or tonumber(running) < tonumber(max) then
		return take(job, repo, labels, score)
	end
	call('ZADD', held_key(repo, labels), score, job) -- each job is held once, so this comes to O(1) a job
end
wake('queue')
return { 'none' }
