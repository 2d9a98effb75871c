-- The artifacts of a build's jobs (job 0: of all) that their last attempts made; of a job whose result was taken over,
-- those of the job that ran.
-- ARGV: build, job's number. {hash...}
local build, wanted = ARGV[1], tonumber(ARGV[2])
local rows = {}

for k = 1, tonumber(call('HGET', 'davit:build:' .. build, 'jobs') or 0) do
	local job = job_ran(build .. '.' .. k)
	local count, attempt = unpack(call('HMGET', 'davit:job:' .. job, 'artifacts', 'attempt'))
	for i = 0, (wanted == 0 or wanted == k) and tonumber(count or 0) - 1 or -1 do
		local key = 'davit:artifact:' .. job .. '.' .. i
		if call('HGET', key, 'attempt') == attempt then
			rows[#rows + 1] = call('HGETALL', key)
		end
	end
end
return rows
