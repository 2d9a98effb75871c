-- A node lives, and so do its claims.
-- ARGV: node, lease_ms, labels of each engine with ; between, then id and token of each claim. {ok, (ok|cancel|lost)...} {none}: the node's
-- record is lost, and it has to register again
local node, lease_ms, labels = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local now = now_ms()
local states = { 'ok' }

if not call('HGET', 'davit:node:' .. node, 'epoch') then
	return { 'none' }
end
call('HSET', 'davit:node:' .. node, 'labels', labels)
call('ZADD', 'davit:nodes', now, node)
for i = 4, #ARGV, 2 do
	local id, token = ARGV[i], ARGV[i + 1]
	local key = (id:find('.', 1, true) and 'davit:job:' or 'davit:build:') .. id
	local held_by, cancel = unpack(call('HMGET', key, 'token', 'cancel'))
	if held_by ~= token or not call('ZSCORE', 'davit:running', id) then
		states[#states + 1] = 'lost'
	else
		call('ZADD', 'davit:running', now + lease_ms, id)
		states[#states + 1] = cancel == '1' and 'cancel' or 'ok'
	end
end
return states
