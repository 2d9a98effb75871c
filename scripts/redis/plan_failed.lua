-- A build ends without a pipeline.
-- ARGV: build, token, final state, reason. {ok} {stale}
local n, token, verdict, reason = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local state, held_by = unpack(call('HMGET', 'davit:build:' .. n, 'state', 'token'))

if held_by ~= token then
	return { 'stale' }
elseif state == 'planning' then
	build_end(n, verdict, reason, now_ms())
end
return { 'ok' }
