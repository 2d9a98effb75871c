-- A pull request was closed: its build that waits for an approval ends, and of builds that have not begun the jobs whose
-- concurrency group lets newer ones cancel them.
-- ARGV: repo, ref. {ok, how many builds}
local repo, ref = ARGV[1], ARGV[2]
local WHY = 'its pull request was closed'
local now = now_ms()
local count = 0

local function cancel_jobs(n)
	local any = 0
	for k = 1, tonumber(call('HGET', 'davit:build:' .. n, 'jobs')) do
		local job = n .. '.' .. k
		local state, cancels = job_fields(job, 'state', 'group_cancel')
		if cancels == '1' and not RANK[state] then
			job_cancel(job, now, WHY)
			any = 1
		end
	end
	return any
end

local waits = call('GET', waiting_key(repo, ref))
if waits then
	build_end(waits, 'cancelled', WHY, now)
	count = 1
end
for _, n in ipairs(call('ZREVRANGE', 'davit:repo:' .. repo .. ':builds', 0, PREVIOUS_MAX - 1)) do
	local of, state = unpack(call('HMGET', 'davit:build:' .. n, 'ref', 'state'))
	if of == ref and state == 'queued' then
		count = count + cancel_jobs(n)
	end
end
return { 'ok', count }
