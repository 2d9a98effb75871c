-- Adds a schedule or changes it.
-- ARGV: repo, name, max, next_ms, then names and values. {ok} {none} {many}
local repo, name, max, next_ms = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local names = 'davit:repo:' .. repo .. ':crons'

if call('EXISTS', 'davit:repo:' .. repo) == 0 then
	return { 'none' }
elseif call('SISMEMBER', names, name) == 0 and call('SCARD', names) >= max then
	return { 'many' }
end
call('SADD', names, name)
call('HSET', cron_key(repo, name), 'next_ms', next_ms, unpack(ARGV, 5))
call('ZADD', 'davit:cron', next_ms, repo .. ' ' .. name)
wake('cron')
wake('repo ' .. repo)
return { 'ok' }
