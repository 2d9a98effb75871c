-- A build that waits for an approval does not get it.
-- ARGV: build, who. {ok} {none} {final} {begun}
local n, who = ARGV[1], ARGV[2]
local state = call('HGET', 'davit:build:' .. n, 'state')

if not state then
	return { 'none' }
elseif state == 'cancelled' then
	return { 'ok' }
elseif state ~= 'waiting' then
	return { RANK[state] and 'final' or 'begun' }
end
build_end(n, 'cancelled', 'rejected by ' .. who, now_ms())
return { 'ok' }
