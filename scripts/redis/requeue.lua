-- A job whose container is gone is to run again, unless somebody wants it to end.
-- ARGV: job, token, delay_ms, reason. {ok} {stale}
local job, token, delay_ms, reason = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local key = 'davit:job:' .. job
local state, held_by, repo, priority, cancel = unpack(call('HMGET', key, 'state', 'token', 'repo', 'priority', 'cancel'))

if held_by ~= token or state ~= 'running' then
	return { 'stale' }
end
local now = now_ms()
call('HDEL', key, 'token', 'node', 'engine', 'container')
queue_release(job, repo)
if cancel == '1' then
	job_end(job, 'cancelled', -1, 'cancelled; ' .. reason, now)
	return { 'ok' }
end
call('HSET', key, 'state', 'queued', 'reason', reason, 'started_ms', 0)
call('HINCRBY', key, 'attempt', 1)
if delay_ms > 0 then
	call('ZADD', 'davit:delayed', now + delay_ms, job)
	wake('delayed')
else
	queue_add_again(job, tonumber(priority))
end
wake('job ' .. job .. ' queued')
return { 'ok' }
