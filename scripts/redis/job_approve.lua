-- A job that waits for an approval to deploy has it: its environment's turn is next.
-- ARGV: job, who. {ok} {none} {final} {begun}
local job, who = ARGV[1], ARGV[2]
local state, approved_by = job_fields(job, 'state', 'approved_by')

if not state then
	return { 'none' }
elseif approved_by then
	return { 'ok' }
elseif call('ZREM', 'davit:approvals', job) == 0 then
	return { RANK[state] and 'final' or 'begun' }
end
call('HSET', 'davit:job:' .. job, 'approved_by', who)
deployment_follow(job, 'approved_by', who)
job_ready(job, now_ms())
wake('job ' .. job .. ' ' .. job_fields(job, 'state'))
return { 'ok' }
