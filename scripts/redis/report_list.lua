-- What the tests of a build's jobs said; of a job whose result was taken over, those of the job that ran.
-- ARGV: build. {hash...}
local rows = {}

for k = 1, tonumber(call('HGET', 'davit:build:' .. ARGV[1], 'jobs') or 0) do
	local row = call('HGETALL', 'davit:report:' .. job_ran(ARGV[1] .. '.' .. k))
	if #row > 0 then
		rows[#rows + 1] = row
	end
end
return rows
