-- Environments, and the history of what was deployed to them. A job that deploys has a deployment from the time on when
-- all that it needs has ended; the deployment goes through the job's states, and stays when the build is forgotten.
local DEPLOYMENTS_MAX = 1000 -- of an environment
local ROLLBACKS_MAX = 10

local function environment_key(repo, name)
	return 'davit:environment:' .. repo .. ':' .. name
end

local function deployments_key(repo, name)
	return 'davit:deployments:' .. repo .. ':' .. name
end

-- An environment's settings were changed: the tag that it follows, if any, is asked about from now on.
local function environment_watch(repo, name, before, now)
	local key, id = environment_key(repo, name), repo .. ' ' .. name
	local image = call('HGET', key, 'watch') or ''

	if image ~= before then
		call('HDEL', key, 'watch_digest', 'watch_error')
	end
	if image == '' then
		call('ZREM', 'davit:watch', id)
	else
		call('ZADD', 'davit:watch', now, id)
		wake('watch')
	end
end

-- The last ones that passed: what a rollback can go back to. Their builds are kept as long.
local function rollbacks_key(repo, name)
	return 'davit:rollbacks:' .. repo .. ':' .. name
end

local function environment_lock_words(repo, name)
	local by, reason = unpack(call('HMGET', environment_key(repo, name), 'locked_by', 'lock_reason'))

	return by and 'environment ' .. name .. ': locked by ' .. by .. ((reason or '') == '' and '' or ': ' .. reason)
end

local function rollback_forget(n)
	local build = 'davit:build:' .. (call('HGET', 'davit:deployment:' .. n, 'build') or '')

	if call('EXISTS', build) == 1 then
		call('HINCRBY', build, 'reused_by', -1)
	end
end

-- Those that a rollback can go back to stay.
local function deployments_trim(repo, name)
	local key = deployments_key(repo, name)
	local excess = call('ZCARD', key) - DEPLOYMENTS_MAX

	for _, n in ipairs(excess > 0 and call('ZRANGE', key, 0, excess - 1) or {}) do
		local state = call('HGET', 'davit:deployment:' .. n, 'state')
		if RANK[state] and not call('ZSCORE', rollbacks_key(repo, name), n) then
			call('ZREM', key, n)
			call('DEL', 'davit:deployment:' .. n)
		end
	end
end

-- Who brought it: who asked for the deployment, else who pushed.
local function deployer_of(build)
	local deployer, change, author = unpack(call('HMGET', 'davit:build:' .. build, 'deployer', 'change', 'author'))

	return deployer or call('HGET', 'davit:change:' .. change, 'sender') or author or ''
end

local function deployment_open(job, now)
	local n = call('INCR', 'davit:seq:deployment')
	local build, repo, name, image = unpack(call('HMGET', 'davit:job:' .. job, 'build', 'repo', 'environment', 'deploy_image'))
	local ref, commit, built, event, redeploys =
		unpack(call('HMGET', 'davit:build:' .. build, 'ref', 'commit', 'built', 'event', 'redeploys'))

	call('HSET', 'davit:deployment:' .. n, 'deployment', n, 'repo', repo, 'environment', name, 'build', build, 'job', job,
		'event', event, 'ref', ref, 'commit', built or commit, 'image', image or '', 'person', deployer_of(build),
		'state', 'waiting', 'attempt', 1, 'created_ms', now)
	if redeploys then
		local images = call('HGET', 'davit:deployment:' .. redeploys, 'images')
		call('HSET', 'davit:deployment:' .. n, 'redeploys', redeploys)
		call('HSET', 'davit:job:' .. job, 'images', images or '')
	end
	call('ZADD', deployments_key(repo, name), n, n)
	call('HSET', 'davit:job:' .. job, 'deployment', n)
	call('HINCRBY', environment_key(repo, name), 'open', 1)
	deployments_trim(repo, name)
	return n
end

-- What becomes of a job that deploys is written into its deployment, too: names and values.
local function deployment_follow(job, ...)
	local n = call('HGET', 'davit:job:' .. job, 'deployment')

	if n then
		call('HSET', 'davit:deployment:' .. n, ...)
	end
end

local function deployment_passed(n, repo, name, now)
	local rollbacks = rollbacks_key(repo, name)

	call('HSET', environment_key(repo, name), 'deployed', n, 'deployed_ms', now)
	call('ZADD', rollbacks, n, n)
	call('HINCRBY', 'davit:build:' .. call('HGET', 'davit:deployment:' .. n, 'build'), 'reused_by', 1)
	if call('ZCARD', rollbacks) > ROLLBACKS_MAX then
		rollback_forget(call('ZPOPMIN', rollbacks)[1])
	end
end

local function deployment_end(n, state, reason, now)
	local key = 'davit:deployment:' .. n
	local repo, name = unpack(call('HMGET', key, 'repo', 'environment'))

	stats_deployment(n, state, now)
	call('HSET', key, 'state', state, 'reason', reason, 'finished_ms', now)
	call('HINCRBY', environment_key(repo, name), 'open', -1)
	if state == 'passed' then
		deployment_passed(n, repo, name, now)
	end
end

-- Nothing may be open.
local function environment_remove(repo, name)
	stats_forget(repo, name, now_ms())
	for _, n in ipairs(call('ZRANGE', rollbacks_key(repo, name), 0, -1)) do
		rollback_forget(n)
	end
	for _, n in ipairs(call('ZRANGE', deployments_key(repo, name), 0, -1)) do
		call('DEL', 'davit:deployment:' .. n)
	end
	call('DEL', environment_key(repo, name), deployments_key(repo, name), rollbacks_key(repo, name))
	call('SREM', 'davit:repo:' .. repo .. ':environments', name)
	call('ZREM', 'davit:watch', repo .. ' ' .. name)
end
