-- A job has run; with the last one its build ends.
-- ARGV: job, token, final state, exit code, reason, log_bytes. {ok} {stale}
local job, token, verdict, exit_code, reason, log_bytes = unpack(ARGV)
local key = 'davit:job:' .. job
local state, held_by, repo = unpack(call('HMGET', key, 'state', 'token', 'repo'))

if held_by ~= token then
	return { 'stale' }
elseif state == 'running' then
	call('HSET', key, 'log_bytes', log_bytes)
	queue_release(job, repo)
	job_end(job, verdict, exit_code, reason, now_ms())
end
return { 'ok' }
