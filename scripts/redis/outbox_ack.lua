-- A notice was delivered, or turned into others: those in ARGV take its place, each with an id that follows from it.
-- ARGV: target, notice, then target, kind, payload of each. {ok}
local target, id = ARGV[1], ARGV[2]

if not outbox_is_head(target, id) then
	return { 'ok' }
end
local now = now_ms()
local build, state = unpack(call('HMGET', 'davit:notice:' .. id, 'build', 'state'))
for i = 3, #ARGV, 3 do
	outbox_add(id .. '.' .. i / 3, ARGV[i], ARGV[i + 1], build, state, ARGV[i + 2], now)
end
call('LPOP', 'davit:outbox:' .. target)
call('DEL', 'davit:notice:' .. id)
outbox_advance(target, now)
return { 'ok' }
