-- A job has run: it ends, and with the last one its build; or it is tried again, as its pipeline says.
-- ARGV: job, token, final state, exit code, reason, log_bytes, images ('': none). {ok} {stale}
local job, token, verdict, exit_code, reason, log_bytes, images = unpack(ARGV)
local key = 'davit:job:' .. job
local state, held_by, repo = job_fields(job, 'state', 'token', 'repo')

if held_by ~= token then
	return { 'stale' }
elseif state ~= 'running' then
	return { 'ok' }
end
call('HSET', key, 'log_bytes', log_bytes)
if images ~= '' then
	call('HSET', key, 'images', images)
end
queue_release(job, repo)
job_finish(job, verdict, exit_code, reason, now_ms())
return { 'ok' }
