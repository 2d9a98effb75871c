-- A change becomes a build, once.
-- ARGV: repo, delivery, body's SHA-256, max_planning, seconds to remember, n, n values for the change's hash,
-- the rest for the build's; delivery and body may be empty. {new, build} {duplicate, build} {conflict} {full} {no_repo}
local repo, delivery, body, max_planning, keep_s, n_change = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5], tonumber(ARGV[6])
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
if call('ZCARD', 'davit:planning') >= max_planning then
	return { 'full' }
end

local now = now_ms()
local build = call('INCR', 'davit:seq:build')
call('HSET', 'davit:change:' .. build, 'builds', 1, unpack(ARGV, 7, 6 + n_change))
build_add(build, repo, build, now, { unpack(ARGV, 7 + n_change) })
remember(build)
return { 'new', build }
