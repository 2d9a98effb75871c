-- The jobs under a lease.
-- ARGV: node or empty for all. {job...}
local node = ARGV[1]
local now = now_ms()
local jobs = {}

for _, id in ipairs(call('ZRANGE', 'davit:running', 0, -1)) do
	if id:find('.', 1, true) and (node == '' or call('HGET', 'davit:job:' .. id, 'node') == node) then
		jobs[#jobs + 1] = job_row(id, now)
	end
end
return jobs
