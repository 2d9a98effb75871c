-- All jobs that wait: those in line, those held by their repository's limit, the delayed ones.
-- ARGV: limit. {job...}
local limit = tonumber(ARGV[1])
local now = now_ms()
local jobs = {}

local function add(key)
	if #jobs < limit then
		for _, job in ipairs(call('ZRANGE', key, 0, limit - #jobs - 1)) do
			jobs[#jobs + 1] = job_row(job, now)
		end
	end
end

add('davit:queue')
for _, repo in ipairs(call('ZRANGE', 'davit:repos', 0, -1)) do
	add('davit:held:' .. repo)
end
add('davit:delayed')
return jobs
