-- What the tests of a job said; the build's figures are the sums of its jobs'.
-- ARGV: job, token, field, value... {ok} {stale}
local job, token = ARGV[1], ARGV[2]
local held_by, build = unpack(call('HMGET', 'davit:job:' .. job, 'token', 'build'))
local build_key = 'davit:build:' .. (build or 0)

if held_by ~= token then
	return { 'stale' }
end
call('DEL', 'davit:report:' .. job)
call('HSET', 'davit:report:' .. job, 'job', job, unpack(ARGV, 3))

local tests, failed, lines, covered = 0, 0, 0, 0
for k = 1, tonumber(call('HGET', build_key, 'jobs')) do
	local of = call('HMGET', 'davit:report:' .. build .. '.' .. k, 'tests', 'failures', 'errors', 'lines', 'covered')
	tests = tests + (of[1] or 0)
	failed = failed + (of[2] or 0) + (of[3] or 0)
	lines = lines + (of[4] or 0)
	covered = covered + (of[5] or 0)
end
call('HSET', build_key, 'tests', tests, 'tests_failed', failed)
if lines == 0 then
	return { 'ok' }
end

-- The last build of the same branch that had any.
local function coverage_before()
	local repo, ref = unpack(call('HMGET', build_key, 'repo', 'ref'))
	local list = 'davit:repo:' .. repo .. ':builds'

	for _, other in ipairs(call('ZREVRANGEBYSCORE', list, '(' .. build, '-inf', 'LIMIT', 0, PREVIOUS_MAX)) do
		local other_ref, coverage = unpack(call('HMGET', 'davit:build:' .. other, 'ref', 'coverage'))
		if other_ref == ref and coverage then
			return coverage
		end
	end
	return ''
end
call('HSET', build_key, 'coverage', math.floor(covered * 10000 / lines), 'coverage_before', coverage_before())
return { 'ok' }
