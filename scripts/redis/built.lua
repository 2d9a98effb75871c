-- A job's image is built, and may be pushed: an attempt that follows on this engine need not build it again.
-- ARGV: job, token, engine, the image's id. {ok} {stale}
local job, token, engine, id = unpack(ARGV)
local state, held_by = job_fields(job, 'state', 'token')

if held_by ~= token or state ~= 'running' then
	return { 'stale' }
end
call('HSET', 'davit:job:' .. job, 'built', id, 'built_on', engine)
return { 'ok' }
