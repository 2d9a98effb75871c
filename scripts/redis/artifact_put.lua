-- A job's artifact is on disk. Its repository's may take repo_max bytes together.
-- ARGV: job, token, index, repo_max, expire_s, field, value... {ok} {stale} {over}
local job, token, index, repo_max, expire_s = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local id, job_key = job .. '.' .. index, 'davit:job:' .. job
local held_by, repo, artifacts = unpack(call('HMGET', job_key, 'token', 'repo', 'artifacts'))

if held_by ~= token then
	return { 'stale' }
end
artifact_forget(id)
local fields, size, node, now = { unpack(ARGV, 6) }, 0, '', now_ms()
for i = 1, #fields, 2 do
	size = fields[i] == 'size' and tonumber(fields[i + 1]) or size
	node = fields[i] == 'node' and fields[i + 1] or node
end
if tonumber(call('HGET', 'davit:repo:' .. repo, 'artifact_bytes') or 0) + size > repo_max then
	return { 'over' }
end
local expires = now + expire_s * 1000
call('HSET', 'davit:artifact:' .. id, 'artifact', id, 'job', job, 'repo', repo, 'created_ms', now, 'expires_ms', expires,
	unpack(fields))
call('ZADD', 'davit:artifacts:' .. node, expires, id)
call('HSET', job_key, 'artifacts', math.max(tonumber(artifacts or 0), index + 1))
artifact_account(repo, size)
return { 'ok' }
