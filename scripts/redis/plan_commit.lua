-- What a build is of is known: its branch and its commit, where the change did not say, and the merge that is built
-- instead of it. base, built and ref may be empty; ref is that of a branch.
-- ARGV: build, token, commit, base, built, ref. {ok} {stale}
local n, token, commit, base, built, ref = unpack(ARGV)
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
if ref ~= '' then
	local branch = ref:match('^refs/heads/(.+)$')
	call('HSET', key, 'ref', ref, 'branch', branch)
	call('HSET', 'davit:change:' .. change, 'ref', ref, 'branch', branch)
end
wake('build ' .. n .. ' planning')
return { 'ok' }
