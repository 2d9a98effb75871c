-- A daemon starts: older processes of its name are shut out, what they were planning is planned again, and what they were
-- sending is sent again.
-- ARGV: node, url, version, engines in words, labels of each engine with ; between, process. {ok, epoch}
local node, url, version, engines, labels, process = unpack(ARGV)
local now = now_ms()
local epoch = call('INCR', 'davit:epoch')

call('HSET', 'davit:node:' .. node, 'node', node, 'epoch', epoch, 'url', url, 'version', version, 'engines', engines,
	'labels', labels, 'process', process, 'started_ms', now)
call('ZADD', 'davit:nodes', now, node)
for _, id in ipairs(call('ZRANGE', 'davit:running', 0, -1)) do
	if not id:find('.', 1, true) and call('HGET', 'davit:build:' .. id, 'node') == node then
		planning_lost(id, now)
	end
end
outbox_lost(node, now)
return { 'ok', epoch }
