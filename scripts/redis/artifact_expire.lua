-- Forgets artifacts of this node whose time is over, and gives them: their files may go.
-- ARGV: node, limit. {hash...}
local rows = {}

for _, id in ipairs(call('ZRANGEBYSCORE', 'davit:artifacts:' .. ARGV[1], '-inf', now_ms(), 'LIMIT', 0, ARGV[2])) do
	rows[#rows + 1] = call('HGETALL', 'davit:artifact:' .. id)
	artifact_forget(id)
end
return rows
