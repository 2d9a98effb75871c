-- A job has run: it ends, and with the last one its build; or it is tried again, as its pipeline says.
-- ARGV: job, token, final state, exit code, reason, log_bytes. {ok} {stale}
local job, token, verdict, exit_code, reason, log_bytes = unpack(ARGV)
local key = 'davit:job:' .. job
local RETRY_WORD = { error = 'infrastructure', failed = 'failure', timed_out = 'timeout' }
local state, held_by, repo, cancel, cancel_why, retries, retry_max, retry_on = unpack(call('HMGET', key, 'state', 'token',
	'repo', 'cancel', 'cancel_why', 'retries', 'retry_max', 'retry_on'))

if held_by ~= token then
	return { 'stale' }
elseif state ~= 'running' then
	return { 'ok' }
end
local now = now_ms()
local word = RETRY_WORD[verdict]
retries = tonumber(retries or 0)
call('HSET', key, 'log_bytes', log_bytes)
queue_release(job, repo)
if word and cancel ~= '1' and retries < tonumber(retry_max or 0) and (retry_on or ''):find(word, 1, true) then
	call('HSET', key, 'retries', retries + 1)
	job_again(job, math.min(RETRY_FIRST_MS * 2 ^ math.min(retries, 16), RETRY_MOST_MS), ' ' .. verdict, reason, now)
else
	job_end(job, verdict, exit_code, verdict == 'cancelled' and cancel_why or reason, now)
end
return { 'ok' }
