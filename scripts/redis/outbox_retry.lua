-- A notice could not be delivered: it is tried again later, or (delay -1) never.
-- ARGV: target, notice, attempts made before, delay_ms, error. {ok}
local target, id, attempts, delay_ms, error_text = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
local key = 'davit:notice:' .. id

if not outbox_is_head(target, id) or call('HGET', key, 'attempts') ~= attempts then
	return { 'ok' }
end
local now = now_ms()
call('HSET', key, 'attempts', attempts + 1, 'last_error', error_text)
if delay_ms >= 0 then
	call('ZADD', 'davit:outbox', now + delay_ms, target)
	call('HDEL', 'davit:sending', target)
	wake('outbox')
	return { 'ok' }
end
call('LPOP', 'davit:outbox:' .. target)
call('LPUSH', 'davit:outbox:dead', id)
while call('LLEN', 'davit:outbox:dead') > DEAD_MAX do
	call('DEL', 'davit:notice:' .. call('RPOP', 'davit:outbox:dead'))
end
outbox_advance(target, now)
return { 'ok' }
