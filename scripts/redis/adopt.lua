-- A job that an earlier process of this node has claimed goes on: its lease is renewed, its claim's token stays.
-- ARGV: node, job, token, lease_ms. {job, its hash, its build's, its change's} {stale}
local node, job, token, lease_ms = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local state, held_by, claimed_by = job_fields(job, 'state', 'token', 'node')

if state ~= 'running' or held_by ~= token or claimed_by ~= node then
	return { 'stale' }
end
call('ZADD', 'davit:running', now_ms() + lease_ms, job)
return job_answer(job)
