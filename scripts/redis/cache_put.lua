-- A cache is on this node's disk. The first one of a key stays.
-- ARGV: id, node, repo, trust, key, size. {ok} {known}
local id, node, repo, trust, name, size = unpack(ARGV)
local list = cache_list(node, repo, trust)
local known, now = call('HGET', list, name), now_ms()

if known then
	return { known == id and 'ok' or 'known' }
end
call('HSET', list, name, id)
call('HSET', 'davit:cache:' .. id, 'cache', id, 'node', node, 'repo', repo, 'trust', trust, 'key', name, 'size', size,
	'created_ms', now, 'used_ms', now)
call('ZADD', 'davit:caches:' .. node, now, id)
call('HINCRBY', 'davit:node:' .. node, 'cache_bytes', size)
return { 'ok' }
