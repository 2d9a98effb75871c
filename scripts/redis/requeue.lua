-- A job whose container is gone is to run again, unless somebody wants it to end.
-- ARGV: job, token, delay_ms, reason. {ok} {stale}
local job, token, delay_ms, reason = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local state, held_by, repo, cancel, cancel_why = job_fields(job, 'state', 'token', 'repo', 'cancel', 'cancel_why')

if held_by ~= token or state ~= 'running' then
	return { 'stale' }
end
local now = now_ms()
queue_release(job, repo)
if cancel == '1' then
	call('HDEL', 'davit:job:' .. job, 'token', 'node', 'engine', 'container')
	job_end(job, 'cancelled', -1, cancel_why or 'cancelled; ' .. reason, now)
else
	job_again(job, delay_ms, '', reason, now)
end
return { 'ok' }
