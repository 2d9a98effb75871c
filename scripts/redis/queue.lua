-- Jobs that wait: those in line, in the order of claims if all engines were free; those held by their repository's
-- limit; the delayed ones; those that wait for jobs of their build or of their group, build by build.
-- ARGV: limit. {job...}
local limit = tonumber(ARGV[1])
local now = now_ms()
local BUILDS_MAX = 1000 -- of a repository that are looked at for jobs in no queue
local LOOKS_MAX = 10000 -- at builds and jobs, so that nobody waits long for Redis
local jobs, line, listed = {}, {}, {}

local function add(job)
	if #jobs < limit and not listed[job] then
		listed[job] = true
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

local looked = 0
local function add_others(repo)
	for _, n in ipairs(call('ZREVRANGE', 'davit:repo:' .. repo .. ':builds', 0, BUILDS_MAX - 1)) do
		if #jobs >= limit or looked >= LOOKS_MAX then
			return
		end
		local state, jobs_of = unpack(call('HMGET', 'davit:build:' .. n, 'state', 'jobs'))
		local count = (state == 'queued' or state == 'running') and tonumber(jobs_of) or 0
		looked = looked + 1 + count
		for k = 1, count do
			local job_state = job_fields(n .. '.' .. k, 'state')
			if job_state == 'waiting' or job_state == 'queued' then
				add(n .. '.' .. k)
			end
		end
	end
end

for _, repo in ipairs(call('ZRANGE', 'davit:repos', 0, -1)) do
	if tonumber(call('HGET', 'davit:repo:' .. repo, 'open') or 0) > 0 then
		add_others(repo)
	end
end
return jobs
