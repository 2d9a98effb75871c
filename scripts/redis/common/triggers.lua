-- What makes builds: changes, of which those of forks wait for an approval, and schedules.

-- A change and its first build: n_change values for the change's hash stand behind ARGV[at], then those of the build's.
local function build_new(repo, now, state, at, n_change)
	local build = call('INCR', 'davit:seq:build')

	call('HSET', 'davit:change:' .. build, 'builds', 1, unpack(ARGV, at + 1, at + n_change))
	build_add(build, repo, build, now, { unpack(ARGV, at + n_change + 1) }, state)
	return build
end

-- The fields of a change, as a table.
local function change_of(at, n_change)
	local change = {}

	for i = at + 1, at + n_change, 2 do
		change[ARGV[i]] = ARGV[i + 1]
	end
	return change
end

local function waiting_add(n, repo, ref, until_ms)
	call('ZADD', 'davit:waiting', until_ms, n)
	call('SET', waiting_key(repo, ref), n)
	call('HSET', 'davit:build:' .. n, 'reason', 'it is a pull request of a fork')
end

-- One that waits on the same ref is of no use any more.
local function waiting_supersede(repo, ref, build, now)
	local older = call('GET', waiting_key(repo, ref))

	if older then
		build_end(older, 'cancelled', 'superseded by build ' .. build, now)
	end
end

-- Nobody said yes or no.
local function waiting_expire(now, limit)
	for _, n in ipairs(call('ZRANGEBYSCORE', 'davit:waiting', '-inf', now, 'LIMIT', 0, limit)) do
		local days = (now - call('HGET', 'davit:build:' .. n, 'created_ms')) / 86400000
		build_end(n, 'cancelled', ('rejected: nobody approved it within %.4g days'):format(days), now)
	end
end

local function cron_key(repo, name)
	return 'davit:cron:' .. repo .. ':' .. name
end

local function cron_remove(repo, name)
	call('DEL', cron_key(repo, name))
	call('ZREM', 'davit:cron', repo .. ' ' .. name)
	call('SREM', 'davit:repo:' .. repo .. ':crons', name)
end

-- What the pipeline that was planned last lets people choose; a fork's has no say in it.
local function repo_asks(n, repo, parameters)
	local key = 'davit:repo:' .. repo
	local trust = call('HGET', 'davit:change:' .. call('HGET', 'davit:build:' .. n, 'change'), 'trust')

	if trust ~= 'fork' and call('EXISTS', key) == 1 and (call('HGET', key, 'parameters') or '') ~= parameters then
		call('HSET', key, 'parameters', parameters)
		wake('repo ' .. repo)
	end
end
