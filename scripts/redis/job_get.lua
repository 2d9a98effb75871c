-- ARGV: job. {job, its hash} {none}
local job = ARGV[1]
local row = job_row(job, now_ms())

if #row == 0 then
	return { 'none' }
end
row[#row + 1] = 'spec'
row[#row + 1] = call('HGET', 'davit:job:' .. job, 'spec')
return { 'job', row }
