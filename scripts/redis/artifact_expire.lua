-- Forgets artifacts of this node whose time is over, and gives them: their files may go.
-- ARGV: node, limit. {hash...}
local node, limit = ARGV[1], tonumber(ARGV[2])
local rows = {}

for _, id in ipairs(call('ZRANGEBYSCORE', 'davit:artifacts', '-inf', now_ms(), 'LIMIT', 0, limit)) do
	if call('HGET', 'davit:artifact:' .. id, 'node') == node then
		rows[#rows + 1] = call('HGETALL', 'davit:artifact:' .. id)
		artifact_forget(id)
	end
end
return rows
