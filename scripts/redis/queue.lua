-- Jobs that wait: those in line, in the order of claims if all engines were free; those held by their repository's
-- limit; the delayed ones.
-- ARGV: limit. {job...}
local limit = tonumber(ARGV[1])
local now = now_ms()
local jobs, line = {}, {}

local function add(job)
	if #jobs < limit then
		jobs[#jobs + 1] = job_row(job, now)
	end
end

local function add_all(key)
	for _, job in ipairs(call('ZRANGE', key, 0, limit - 1)) do
		add(job)
	end
end

for _, labels in ipairs(queue_labels()) do
	local queue = call('ZRANGE', queue_key(labels), 0, limit - 1, 'WITHSCORES')
	for i = 1, #queue, 2 do
		line[#line + 1] = { job = queue[i], score = tonumber(queue[i + 1]) }
	end
end
table.sort(line, function(a, b)
	return a.score < b.score or (a.score == b.score and a.job < b.job)
end)
for _, place in ipairs(line) do
	add(place.job)
end
for _, labels in ipairs(queue_labels()) do
	for _, repo in ipairs(call('ZRANGE', 'davit:repos', 0, -1)) do
		add_all(held_key(repo, labels))
	end
end
add_all('davit:delayed')
return jobs
