-- With its history and its secrets.
-- ARGV: repo, name. {ok} {none} {deploying}
local repo, name = ARGV[1], ARGV[2]
local open = call('HGET', environment_key(repo, name), 'open')

if not open then
	return { 'none' }
elseif open ~= '0' then
	return { 'deploying' }
end
environment_remove(repo, name)
secrets_forget('environment:' .. repo .. '/' .. name .. ':')
wake('repo ' .. repo)
return { 'ok' }
