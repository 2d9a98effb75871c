-- The newest deployments of an environment below a number.
-- ARGV: repo, name, number or 0, limit. {deployments, hash...} {none}
local repo, name = ARGV[1], ARGV[2]
local below = ARGV[3] == '0' and '+inf' or '(' .. ARGV[3]
local answer = { 'deployments' }

if call('EXISTS', environment_key(repo, name)) == 0 then
	return { 'none' }
end
for i, n in ipairs(call('ZREVRANGEBYSCORE', deployments_key(repo, name), below, '-inf', 'LIMIT', 0, ARGV[4])) do
	answer[1 + i] = call('HGETALL', 'davit:deployment:' .. n)
end
return answer
