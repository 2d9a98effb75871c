-- A build that waits for an approval has it: it is planned.
-- ARGV: build, who, max_planning. {ok} {none} {final} {begun} {full}
local n, who, max_planning = ARGV[1], ARGV[2], tonumber(ARGV[3])
local key = 'davit:build:' .. n
local state, approved_by, repo, ref = unpack(call('HMGET', key, 'state', 'approved_by', 'repo', 'ref'))

if not state then
	return { 'none' }
elseif approved_by then
	return { 'ok' }
elseif state ~= 'waiting' then
	return { RANK[state] and 'final' or 'begun' }
elseif call('ZCARD', 'davit:planning') >= max_planning then
	return { 'full' }
end
waiting_end(n, repo, ref)
call('HSET', key, 'state', 'planning', 'approved_by', who)
call('HDEL', key, 'reason')
planning_add(n)
build_changed(n, 'planning', now_ms())
return { 'ok' }
