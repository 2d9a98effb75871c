-- A new build of the same change; while it is not finished, asking again gives the same one.
-- ARGV: build, max_planning. {new, build} {none} {open} {full}
local old, max_planning = ARGV[1], tonumber(ARGV[2])
local names = { 'ref', 'branch', 'commit', 'title', 'author', 'event' }
local values = call('HMGET', 'davit:build:' .. old, unpack(names))
local state, repo, change, rerun = unpack(call('HMGET', 'davit:build:' .. old, 'state', 'repo', 'change', 'rerun'))

if not state or call('EXISTS', 'davit:repo:' .. repo) == 0 then
	return { 'none' }
elseif not RANK[state] then
	return { 'open' }
end
local rerun_state = rerun and call('HGET', 'davit:build:' .. rerun, 'state')
if rerun_state and not RANK[rerun_state] then
	return { 'new', rerun }
elseif call('ZCARD', 'davit:planning') >= max_planning then
	return { 'full' }
end

local build = call('INCR', 'davit:seq:build')
local fields = { 'rerun_of', old }
for i, name in ipairs(names) do
	if values[i] then
		fields[#fields + 1] = name
		fields[#fields + 1] = values[i]
	end
end
call('HINCRBY', 'davit:change:' .. change, 'builds', 1)
call('HSET', 'davit:build:' .. old, 'rerun', build)
build_add(build, repo, change, now_ms(), fields, 'planning')
planning_add(build)
return { 'new', build }
