-- A repository's schedules, by name.
-- ARGV: repo. {hash...}
local repo = ARGV[1]
local names = call('SMEMBERS', 'davit:repo:' .. repo .. ':crons')
local crons = {}

table.sort(names)
for i, name in ipairs(names) do
	crons[i] = call('HGETALL', cron_key(repo, name))
end
return crons
