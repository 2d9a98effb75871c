-- A job that waits for an approval to deploy does not get it.
-- ARGV: job, who. {ok} {none} {final} {begun}
local job, who = ARGV[1], ARGV[2]
local state = job_fields(job, 'state')

if not state then
	return { 'none' }
elseif state == 'cancelled' then
	return { 'ok' }
elseif not call('ZSCORE', 'davit:approvals', job) then
	return { RANK[state] and 'final' or 'begun' }
end
job_end(job, 'cancelled', -1, 'rejected by ' .. who, now_ms())
return { 'ok' }
