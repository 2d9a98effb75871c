-- A change becomes a build, once; that of a pull request by accept_pull.lua.
-- ARGV: repo, delivery, body's SHA-256, max_planning, seconds to remember, n, n values for the change's hash, the rest for the
-- build's; delivery and body may be empty. {new, build} {duplicate, build} {conflict} {full} {no_repo}
local repo, delivery, body, max_planning, keep_s, n_change =
	ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5], tonumber(ARGV[6])

if call('EXISTS', 'davit:repo:' .. repo) == 0 then
	return { 'no_repo' }
end
local known = delivery_known(repo, delivery, body, keep_s)
if known then
	return known
elseif call('ZCARD', 'davit:planning') >= max_planning then
	return { 'full' }
end

-- a delivery that comes late, of a push that was found meanwhile
local change = change_of(6, n_change)
local build = (change.event == 'push' or change.event == 'tag') and head_pushed(repo, change.ref, change.before or '', change.commit)
if build then
	delivery_remember(repo, delivery, body, build, keep_s)
	return { 'duplicate', build }
end
build = build_new(repo, now_ms(), 'planning', 6, n_change)
planning_add(build)
delivery_remember(repo, delivery, body, build, keep_s)
return { 'new', build }
