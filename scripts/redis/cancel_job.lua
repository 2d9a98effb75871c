-- ARGV: job. {ok} {none} {final, state}
local job = ARGV[1]
local state = call('HGET', 'davit:job:' .. job, 'state')

if not state then
	return { 'none' }
elseif RANK[state] then
	return state == 'cancelled' and { 'ok' } or { 'final', state }
end
job_cancel(job, now_ms())
return { 'ok' }
