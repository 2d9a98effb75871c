-- The deployment that a rollback makes again: the last that passed before the one that is there. One that has begun and
-- did not pass left who knows what behind: then it is the last that passed at all. But an application's (which alone has
-- images) goes back by itself, unless it ends as an error.
-- ARGV: repo, name. {deployment, its hash} {none} {first}
local repo, name = ARGV[1], ARGV[2]
local LOOKS_MAX = 1000

local function fields_of(n, ...)
	return unpack(call('HMGET', 'davit:deployment:' .. n, ...))
end

local WENT_BACK = { failed = true, cancelled = true, timed_out = true }

local function newest_begun()
	for _, n in ipairs(call('ZREVRANGE', deployments_key(repo, name), 0, LOOKS_MAX)) do
		local started_ms, state, images = fields_of(n, 'started_ms', 'state', 'images')
		if started_ms and not (images and WENT_BACK[state]) then
			return n
		end
	end
end

-- What was made again is what is there: a second rollback goes further back.
local function origin_of(n)
	for _ = 1, LOOKS_MAX do
		local older = fields_of(n, 'redeploys')
		if not older or call('EXISTS', 'davit:deployment:' .. older) == 0 then
			break
		end
		n = older
	end
	return n
end

if call('EXISTS', environment_key(repo, name)) == 0 then
	return { 'none' }
end
local newest = newest_begun()
if not newest then
	return { 'first' }
end
local state, commit, image, images = fields_of(newest, 'state', 'commit', 'image', 'images')
local is_there = state == 'passed'
local before = is_there and origin_of(newest) or newest
for _, n in ipairs(call('ZREVRANGEBYSCORE', rollbacks_key(repo, name), '(' .. before, '-inf')) do
	local other_commit, other_image, other_images = fields_of(n, 'commit', 'image', 'images')
	if not is_there or other_commit ~= commit or other_image ~= image or other_images ~= images then
		return { 'deployment', call('HGETALL', 'davit:deployment:' .. n) }
	end
end
return { 'first' }
