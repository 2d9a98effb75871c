-- The next job in fair order whose repository is below its limit; the same nonce gets the same answer.
-- ARGV: node, epoch, nonce, lease_ms. {job, its hash, its build's, its change's} {none} {stale}
local node, epoch, nonce, lease_ms = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local claim_key = 'davit:claim:' .. nonce
local LOOKS_MAX = 64

local function answer(job)
	local build = call('HGETALL', 'davit:build:' .. call('HGET', 'davit:job:' .. job, 'build'))
	local change
	for i = 1, #build, 2 do
		change = build[i] == 'change' and build[i + 1] or change
	end
	return { 'job', call('HGETALL', 'davit:job:' .. job), build, call('HGETALL', 'davit:change:' .. change) }
end

local function take(job, repo, score)
	call('HINCRBY', 'davit:repo:' .. repo, 'running', 1)
	call('SET', 'davit:vclock', math.max(queue_clock(), score % CLASS))
	call('HSET', 'davit:job:' .. job, 'state', 'running', 'node', node, 'token', nonce, 'started_ms', 0)
	call('ZADD', 'davit:running', now_ms() + lease_ms, job)
	call('SET', claim_key, job, 'PX', CLAIM_MEMORY_MS)
	wake('job ' .. job .. ' running')
	return answer(job)
end

if node_is_stale(node, epoch) then
	return { 'stale' }
end
local known = call('GET', claim_key)
if known and call('HGET', 'davit:job:' .. known, 'token') == nonce then
	return answer(known)
end
for _ = 1, LOOKS_MAX do
	local job, score = unpack(call('ZPOPMIN', 'davit:queue'))
	if not job then
		return { 'none' }
	end
	local repo = call('HGET', 'davit:job:' .. job, 'repo')
	local max, running = unpack(call('HMGET', 'davit:repo:' .. repo, 'max_running', 'running'))
	if tonumber(max) == 0 or tonumber(running) < tonumber(max) then
		return take(job, repo, tonumber(score))
	end
	call('ZADD', 'davit:held:' .. repo, score, job) -- each job is held once, so this comes to O(1) a job
end
wake('queue')
return { 'none' }
