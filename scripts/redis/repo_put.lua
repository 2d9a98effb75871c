-- Adds a repository or changes its settings.
-- ARGV: id, then names and values. {ok}
local id = ARGV[1]
local key = 'davit:repo:' .. id
local now = now_ms()

call('HSET', key, 'id', id, unpack(ARGV, 2))
call('HSETNX', key, 'created_ms', now)
call('HSETNX', key, 'running', 0)
call('HSETNX', key, 'open', 0)
call('ZADD', 'davit:repos', 'NX', now, id)
call('SREM', 'davit:repos:gone', id)
-- The limit may be another one now: the next claims find out.
call('ZUNIONSTORE', 'davit:queue', 2, 'davit:queue', 'davit:held:' .. id)
call('DEL', 'davit:held:' .. id)
wake('repo ' .. id)
wake('queue')
return { 'ok' }
