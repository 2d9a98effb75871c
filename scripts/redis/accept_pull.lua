-- A pull request becomes a build, once, as any change (accept.lua); a fork's waits for an approval first, and one that waits on the
-- same ref gives way.
-- ARGV: as for accept.lua, with the seconds that a fork's waits, where the repository does not say, behind those to remember.
local repo, delivery, body, max_planning, keep_s, approval_s, n_change =
	ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7])

if call('EXISTS', 'davit:repo:' .. repo) == 0 then
	return { 'no_repo' }
end
local known = delivery_known(repo, delivery, body, keep_s)
if known then
	return known
end
local change = change_of(7, n_change)
local forks, own_s = unpack(call('HMGET', 'davit:repo:' .. repo, 'forks', 'approval_s'))
local waits = change.trust == 'fork' and forks ~= 'allow' -- somebody who may has asked for all else
if call('ZCARD', waits and 'davit:waiting' or 'davit:planning') >= max_planning then
	return { 'full' }
end
local now = now_ms()
local build = build_new(repo, now, waits and 'waiting' or 'planning', 7, n_change)
waiting_supersede(repo, change.ref, build, now)
if waits then
	own_s = tonumber(own_s or 0)
	waiting_add(build, repo, change.ref, now + 1000 * (own_s > 0 and own_s or approval_s))
else
	planning_add(build)
end
delivery_remember(repo, delivery, body, build, keep_s)
return { 'new', build }
