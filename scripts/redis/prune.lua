-- Forgets finished builds but the newest of each repository; those of deleted repositories all. A build of which a
-- newer one has taken over results stays as long as that one.
-- ARGV: keep, limit. {build...}
local keep, limit = tonumber(ARGV[1]), tonumber(ARGV[2])
local pruned = {}

local function forget(n, list_key)
	local jobs, change = unpack(call('HMGET', 'davit:build:' .. n, 'jobs', 'change'))

	for source in (call('HGET', 'davit:build:' .. n, 'reuses') or ''):gmatch('%d+') do
		call('HINCRBY', 'davit:build:' .. source, 'reused_by', -1)
	end
	for k = 1, tonumber(jobs or 0) do
		job_files_forget(n .. '.' .. k)
		call('DEL', 'davit:job:' .. n .. '.' .. k)
	end
	if call('HINCRBY', 'davit:change:' .. change, 'builds', -1) == 0 then
		call('DEL', 'davit:change:' .. change)
	end
	call('DEL', 'davit:build:' .. n)
	call('ZREM', 'davit:builds', n)
	call('ZREM', list_key, n)
	pruned[#pruned + 1] = n
end

local function prune(repo, keep_here)
	local list_key = 'davit:repo:' .. repo .. ':builds'
	local excess = math.min(call('ZCARD', list_key) - keep_here, limit - #pruned)

	if excess <= 0 then
		return
	end
	for _, n in ipairs(call('ZRANGE', list_key, 0, excess - 1)) do
		local state, reused_by = unpack(call('HMGET', 'davit:build:' .. n, 'state', 'reused_by'))
		if RANK[state] and tonumber(reused_by or 0) == 0 then
			forget(n, list_key)
		end
	end
end

for _, repo in ipairs(call('ZRANGE', 'davit:repos', 0, -1)) do
	prune(repo, keep)
end
for _, repo in ipairs(call('SMEMBERS', 'davit:repos:gone')) do
	prune(repo, 0)
	if call('EXISTS', 'davit:repo:' .. repo .. ':builds') == 0 then
		call('SREM', 'davit:repos:gone', repo)
	end
end
return pruned
