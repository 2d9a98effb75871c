-- A claimed job has its container, or its next one.
-- ARGV: job, token, container, engine, progress ('': the first), images that it deploys ('': none), and to which kind of
-- environment ('': a command does). {ok} {stale}
local job, token, container, engine, progress, images, kind = unpack(ARGV)
local key = 'davit:job:' .. job
local state, held_by, build, before = unpack(call('HMGET', key, 'state', 'token', 'build', 'container'))

if held_by ~= token then
	return { 'stale' }
elseif state ~= 'running' or before == container then
	return { 'ok' }
end
local now = now_ms()
call('HSET', key, 'container', container, 'engine', engine)
if progress ~= '' then
	call('HSET', key, 'progress', progress)
	return { 'ok' }
end
call('HSET', key, 'started_ms', now)
deployment_follow(job, 'started_ms', now)
if images ~= '' then
	call('HSET', key, 'images', images)
	deployment_follow(job, 'images', images)
end
if kind ~= '' then
	call('HSET', key, 'kind', kind)
	deployment_follow(job, 'kind', kind)
end
if call('HGET', 'davit:build:' .. build, 'state') == 'queued' then
	call('HSET', 'davit:build:' .. build, 'state', 'running', 'started_ms', now)
	build_changed(build, 'running', now)
else
	wake('job ' .. job .. ' running') -- again, since it has a container now
end
return { 'ok' }
