-- ARGV: build. {build, its hash, its change's, job...} {none}
local n = ARGV[1]
local change, jobs = unpack(call('HMGET', 'davit:build:' .. n, 'change', 'jobs'))

if not change then
	return { 'none' }
end
local now = now_ms()
local answer = { 'build', call('HGETALL', 'davit:build:' .. n), call('HGETALL', 'davit:change:' .. change) }
for k = 1, tonumber(jobs or 0) do
	answer[3 + k] = job_row(n .. '.' .. k, now)
end
return answer
