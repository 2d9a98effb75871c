-- A job whose container is gone is to run again, unless it is known how it came out, or somebody wants it to end. A
-- deployment that had begun is not made again on our own account, unless its pipeline asks for that: who knows how far it
-- came.
-- ARGV: job, token, delay_ms, reason. {ok} {stale}
local job, token, delay_ms, reason = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local state, held_by, repo, cancel, cancel_why = job_fields(job, 'state', 'token', 'repo', 'cancel', 'cancel_why')
local deployment, started_ms, retry_max, retry_on, verdict, exit_code, why =
	job_fields(job, 'deployment', 'started_ms', 'retry_max', 'retry_on', 'verdict', 'verdict_exit', 'verdict_reason')

if held_by ~= token or state ~= 'running' then
	return { 'stale' }
end
local now = now_ms()
queue_release(job, repo)
if verdict then
	job_finish(job, verdict, exit_code, why, now)
elseif cancel == '1' then
	call('HDEL', 'davit:job:' .. job, 'token', 'node', 'engine', 'container')
	job_end(job, 'cancelled', -1, cancel_why or 'cancelled; ' .. reason, now)
elseif deployment and started_ms ~= '0' and not (retry_max and (retry_on or ''):find('infrastructure', 1, true)) then
	call('HDEL', 'davit:job:' .. job, 'token')
	job_end(job, 'error', -1, 'interrupted, so what it did is not known: ' .. reason, now)
else
	job_again(job, delay_ms, '', reason, now)
end
return { 'ok' }
