-- A push that nobody told becomes a build, once: whoever comes second finds another value.
-- ARGV: repo, ref, its value when it was compared, commit, its object ('': the commit itself), max_planning, seconds for
-- which a delivery may come late, n, n values for the change's hash, the rest for the build's.
-- {new, build} {stale}: something was pushed meanwhile {full} {none}
local repo, ref, value, commit, object, max_planning, late_s, n_change =
	ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[6]), ARGV[7], tonumber(ARGV[8])

if call('EXISTS', 'davit:repo:' .. repo) == 0 then
	return { 'none' }
elseif head_get(repo, ref) ~= value then
	return { 'stale' }
elseif call('ZCARD', 'davit:planning') >= max_planning then
	return { 'full' }
end
local build = build_new(repo, now_ms(), 'planning', 8, n_change)
local _, pushed = head_split(value)
planning_add(build)
head_put(repo, ref, commit, pushed)
call('SET', recovered_key(repo, ref, commit), build, 'EX', late_s)
if object ~= '' then -- what some forges tell of an annotated tag
	call('SET', recovered_key(repo, ref, object), build, 'EX', late_s)
end
return { 'new', build }
