-- A new build of the same change.
-- ARGV: build, nonce, max_planning. {new, build} {none} {open} {full}
local old, nonce, max_planning = ARGV[1], ARGV[2], tonumber(ARGV[3])
local claim_key = 'davit:claim:' .. nonce

local known = call('GET', claim_key)
if known then
	return { 'new', known }
end
local names = { 'ref', 'branch', 'commit', 'title', 'author', 'event', 'state', 'repo', 'change' }
local values = call('HMGET', 'davit:build:' .. old, unpack(names))
local state, repo, change = values[7], values[8], values[9]
if not state or call('EXISTS', 'davit:repo:' .. repo) == 0 then
	return { 'none' }
elseif not RANK[state] then
	return { 'open' }
elseif call('ZCARD', 'davit:planning') >= max_planning then
	return { 'full' }
end

local build = call('INCR', 'davit:seq:build')
local fields = { 'rerun_of', old }
for i = 1, 6 do
	fields[#fields + 1] = names[i]
	fields[#fields + 1] = values[i] or ''
end
call('HINCRBY', 'davit:change:' .. change, 'builds', 1)
build_add(build, repo, change, now_ms(), fields)
call('SET', claim_key, build, 'PX', CLAIM_MEMORY_MS)
return { 'new', build }
