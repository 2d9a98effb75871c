-- files: artifacts, caches and reports, whose bytes lie on a daemon's disk --

-- What a repository's artifacts take on disk. One that is gone has no account, and one that came in its place owes it
-- nothing for what is still there.
local function artifact_account(repo, bytes)
	local key = 'davit:repo:' .. repo

	if call('EXISTS', key) == 1 and call('HINCRBY', key, 'artifact_bytes', bytes) < 0 then
		call('HSET', key, 'artifact_bytes', 0)
	end
end

local function artifact_forget(id)
	local key = 'davit:artifact:' .. id
	local repo, size, node = unpack(call('HMGET', key, 'repo', 'size', 'node'))

	if size then
		artifact_account(repo, -size)
		call('DEL', key)
		call('ZREM', 'davit:artifacts:' .. node, id)
	end
end

-- All files of a job that is forgotten.
local function job_files_forget(job)
	for i = 0, tonumber(call('HGET', 'davit:job:' .. job, 'artifacts') or 0) - 1 do
		artifact_forget(job .. '.' .. i)
	end
	call('DEL', 'davit:report:' .. job)
end

local function cache_list(node, repo, trust)
	return 'davit:caches:' .. node .. ':' .. repo .. ':' .. trust
end

local function cache_forget(id)
	local key = 'davit:cache:' .. id
	local node, repo, trust, name, size = unpack(call('HMGET', key, 'node', 'repo', 'trust', 'key', 'size'))

	if not node then
		return
	end
	if call('HGET', cache_list(node, repo, trust), name) == id then
		call('HDEL', cache_list(node, repo, trust), name)
	end
	call('ZREM', 'davit:caches:' .. node, id)
	call('HINCRBY', 'davit:node:' .. node, 'cache_bytes', -size)
	call('DEL', key)
end

-- Nobody finds the caches of a deleted repository any more; each node's next pruning takes them.
local function repo_caches_forget(repo)
	for _, node in ipairs(call('ZRANGE', 'davit:nodes', 0, -1)) do
		for _, id in ipairs(call('ZRANGE', 'davit:caches:' .. node, 0, -1)) do
			local owner, trust = unpack(call('HMGET', 'davit:cache:' .. id, 'repo', 'trust'))
			if owner == repo then
				call('DEL', cache_list(node, repo, trust))
				call('ZADD', 'davit:caches:' .. node, 0, id)
			end
		end
	end
end
