-- ARGV: build. {ok} {none} {final, state}
local n = ARGV[1]
local key = 'davit:build:' .. n
local state, jobs = unpack(call('HMGET', key, 'state', 'jobs'))

if not state then
	return { 'none' }
elseif RANK[state] then
	return state == 'cancelled' and { 'ok' } or { 'final', state }
end
local now = now_ms()
call('HSET', key, 'cancel', 1)
if state == 'planning' or state == 'waiting' then
	call('HDEL', key, 'token', 'node')
	build_end(n, 'cancelled', 'cancelled before it was planned', now)
	return { 'ok' }
end
for k = 1, tonumber(jobs) do
	job_cancel(n .. '.' .. k, now)
end
return { 'ok' }
