-- How a running job comes out is known before its container is touched: who does not find that any more tells the same.
-- ARGV: job, token, final state, exit code, reason. {ok} {stale}
local job, token, verdict, exit_code, reason = unpack(ARGV)
local state, held_by = job_fields(job, 'state', 'token')

if held_by ~= token then
	return { 'stale' }
elseif state == 'running' then
	call('HSET', 'davit:job:' .. job, 'verdict', verdict, 'verdict_exit', exit_code, 'verdict_reason', reason)
end
return { 'ok' }
