-- A change becomes a build, once.
-- ARGV: repo, delivery, body's SHA-256, max_planning, seconds to remember, seconds that a fork's waits for an approval
-- where the repository does not say, n, n values for the change's hash, the rest for the build's; delivery and body may be empty. {new, build} {duplicate, build} {conflict} {full} {no_repo}
local repo, delivery, body, max_planning, keep_s, approval_s, n_change =
	ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7])
local delivery_key = 'davit:delivery:' .. repo .. ':' .. delivery
local body_key = 'davit:body:' .. repo .. ':' .. body

local function remember(build)
	if delivery ~= '' then
		call('SET', delivery_key, (body == '' and '-' or body) .. ' ' .. build, 'EX', keep_s)
	end
	if body ~= '' then
		call('SET', body_key, build, 'NX', 'EX', keep_s)
	end
end

if call('EXISTS', 'davit:repo:' .. repo) == 0 then
	return { 'no_repo' }
end
local known = delivery ~= '' and call('GET', delivery_key)
if known then
	local known_body, build = known:match('^(%S+) (%d+)$')
	return known_body == (body == '' and '-' or body) and { 'duplicate', build } or { 'conflict' }
end
known = body ~= '' and call('GET', body_key)
if known then
	remember(known)
	return { 'duplicate', known }
end
local change = {}
for i = 8, 6 + n_change, 2 do
	change[ARGV[i]] = ARGV[i + 1]
end
local forks, own_s = unpack(call('HMGET', 'davit:repo:' .. repo, 'forks', 'approval_s'))
-- somebody who may has asked for all else
local waits = change.trust == 'fork' and change.event == 'pull_request' and forks ~= 'allow'
if call('ZCARD', waits and 'davit:waiting' or 'davit:planning') >= max_planning then
	return { 'full' }
end

-- a delivery that comes late, of a push that was found meanwhile
known = (change.event == 'push' or change.event == 'tag') and head_pushed(repo, change.ref, change.before or '', change.commit)
if known then
	remember(known)
	return { 'duplicate', known }
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
remember(build)
return { 'new', build }
