-- A repository's environments, by name, each with the deployment that it has now (or nothing).
-- ARGV: repo. {its hash, the deployment's hash, ...}
local repo = ARGV[1]
local names = call('SMEMBERS', 'davit:repo:' .. repo .. ':environments')
local answer = {}

table.sort(names)
for _, name in ipairs(names) do
	local key = environment_key(repo, name)
	answer[#answer + 1] = call('HGETALL', key)
	answer[#answer + 1] = call('HGETALL', 'davit:deployment:' .. (call('HGET', key, 'deployed') or ''))
end
return answer
