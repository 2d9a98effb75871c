-- A repository was looked at: when it is again; after failures later and later.
-- ARGV: repo, ms until then, most ms, error ('': none). {none} {ok, failures in a row, how many there were before}
local repo, wait_ms, most_ms, error = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local key = 'davit:repo:' .. repo
local failures = 0

if call('EXISTS', key) == 0 then
	call('ZREM', 'davit:poll', repo)
	return { 'none' }
end
local before, old = unpack(call('HMGET', key, 'poll_failures', 'poll_error'))
before = tonumber(before or 0)
if error ~= '' then
	failures = before + 1
	wait_ms = math.min(wait_ms * 2 ^ math.min(failures - 1, 20), math.max(wait_ms, most_ms))
	call('HSET', key, 'poll_error', error, 'poll_failures', failures)
elseif old then
	call('HDEL', key, 'poll_error', 'poll_failures')
end
call('ZADD', 'davit:poll', now_ms() + wait_ms, repo)
if (old or '') ~= error then
	wake('repo ' .. repo)
end
return { 'ok', failures, before }
