-- Adds an environment or changes it.
-- ARGV: repo, name, add or set, how many a repository may have, then names and values. {ok} {none} {exists} {many}
local repo, name, how, max = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local key = environment_key(repo, name)
local names = 'davit:repo:' .. repo .. ':environments'
local exists = call('EXISTS', key) == 1

if call('EXISTS', 'davit:repo:' .. repo) == 0 or (how == 'set' and not exists) then
	return { 'none' }
elseif how == 'add' and exists then
	return { 'exists' }
elseif not exists and call('SCARD', names) >= max then
	return { 'many' }
end
local now, watched = now_ms(), call('HGET', key, 'watch') or ''
call('SADD', names, name)
call('HSET', key, 'repo', repo, 'name', name, unpack(ARGV, 5))
call('HSETNX', key, 'created_ms', now)
call('HSETNX', key, 'open', 0)
environment_watch(repo, name, watched, now)
wake('repo ' .. repo)
return { 'ok' }
