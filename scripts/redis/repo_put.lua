-- Adds a repository or changes its settings.
-- ARGV: id, then names and values. {ok}
local id = ARGV[1]
local key = 'davit:repo:' .. id
local now = now_ms()

local url = call('HGET', key, 'url')
call('HSET', key, 'id', id, unpack(ARGV, 2))
if url ~= call('HGET', key, 'url') then -- what is known of the other one's branches says nothing
	call('DEL', heads_key(id))
	call('HDEL', key, 'looked_ms', 'poll_error', 'poll_failures')
	call('ZADD', 'davit:poll', now, id)
	wake('poll')
end
call('HSETNX', key, 'created_ms', now)
call('HSETNX', key, 'running', 0)
call('HSETNX', key, 'open', 0)
call('ZADD', 'davit:repos', 'NX', now, id)
call('SREM', 'davit:repos:gone', id)
-- The limit may be another one now: the next claims find out.
for _, labels in ipairs(queue_labels()) do
	call('ZUNIONSTORE', queue_key(labels), 2, queue_key(labels), held_key(id, labels))
	call('DEL', held_key(id, labels))
end
wake('repo ' .. id)
wake('queue')
return { 'ok' }
