-- What a build is of is known: its commit, where the change did not say, and the merge that is built instead of it.
-- ARGV: build, token, commit, base, built. {ok} {stale}
local n, token, commit, base, built = unpack(ARGV)
local key = 'davit:build:' .. n
local held_by, change = unpack(call('HMGET', key, 'token', 'change'))

if held_by ~= token then
	return { 'stale' }
end
call('HSET', key, 'commit', commit)
if built ~= '' then
	call('HSET', key, 'base', base, 'built', built)
end
call('HSETNX', 'davit:change:' .. change, 'commit', commit)
wake('build ' .. n .. ' planning')
return { 'ok' }
