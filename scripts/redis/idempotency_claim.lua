-- Who comes first with a key may do its request; who comes later hears what became of that. It ends of itself.
-- ARGV: who, key, claim (process.number), request (sealed), node, how long it may be under way and how long it is remembered
-- (ms), how many of one caller. {new} {many} {held, claim, request, status (0: no answer), answer, 1: it may be under way}
local who, key, claim, request, node = unpack(ARGV)
local id, list, now = idempotency_key(who, key), 'davit:idempotency:' .. who, now_ms()
local held = call('HMGET', id, 'claim', 'request', 'status', 'answer', 'node', 'created_ms', 'until_ms')

-- Another process of that node has started since; one that is about to start serves before it is registered.
local function is_replaced()
	local record = call('HMGET', 'davit:node:' .. held[5], 'process', 'started_ms')

	return record[1] and record[1] ~= held[1]:match('^[^.]*') and tonumber(record[2]) >= tonumber(held[6])
end

if held[1] and held[1] ~= claim then
	local is_under_way = now < tonumber(held[7]) and not is_replaced()
	return { 'held', held[1], held[2], held[3] or 0, held[4] or '', is_under_way and 1 or 0 }
end
call('ZREMRANGEBYSCORE', list, '-inf', now)
if not held[1] and call('ZCARD', list) >= tonumber(ARGV[8]) then
	return { 'many' }
end
call('HSET', id, 'claim', claim, 'request', request, 'node', node, 'until_ms', now + ARGV[6], 'created_ms', now)
idempotency_keep(who, key, now, ARGV[7])
return { 'new' }
