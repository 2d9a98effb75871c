-- What the request of a claim was answered. Status 0: nothing, and it is not under way any more; -1: it was refused and is as if
-- it had never come.
-- ARGV: who, key, claim, status, answer (sealed, or empty: it is not kept), how long it is remembered (ms). {ok} {stale}
local who, key, claim, status, answer = unpack(ARGV)
local id = idempotency_key(who, key)

if call('HGET', id, 'claim') ~= claim then
	return { 'stale' }
end
if status == '-1' then
	call('DEL', id)
	call('ZREM', 'davit:idempotency:' .. who, key)
	return { 'ok' }
end
call('HSET', id, 'until_ms', 0, 'status', status, 'answer', answer)
idempotency_keep(who, key, now_ms(), ARGV[6])
return { 'ok' }
