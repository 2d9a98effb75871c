-- ARGV: repo, name. {ok} {none}
local repo, name = ARGV[1], ARGV[2]

if call('SISMEMBER', 'davit:repo:' .. repo .. ':crons', name) == 0 then
	return { 'none' }
end
cron_remove(repo, name)
wake('repo ' .. repo)
return { 'ok' }
