-- A schedule's time has come: a build, and the next time. Whoever comes second finds another time than it knows.
-- ARGV: repo, name, the time, the next one, max_planning, n, n values for the change's hash, the rest for the build's.
-- {new, build} {stale} {full}
local repo, name, due, next_ms, max_planning, n_change =
	ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6])
local id = repo .. ' ' .. name

if tonumber(call('ZSCORE', 'davit:cron', id) or -1) ~= due then
	return { 'stale' }
elseif call('ZCARD', 'davit:planning') >= max_planning then
	return { 'full' }
end
local now = now_ms()
local build = build_new(repo, now, 'planning', 6, n_change)
planning_add(build)
call('ZADD', 'davit:cron', next_ms, id)
call('HSET', cron_key(repo, name), 'next_ms', next_ms, 'last_ms', now, 'last_build', build)
return { 'new', build }
