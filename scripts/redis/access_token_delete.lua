-- ARGV: name. {ok} {none}
local name = ARGV[1]

if call('ZREM', 'davit:access_tokens', name) == 0 then
	return { 'none' }
end
call('DEL', 'davit:access_token:' .. name)
wake('access_tokens')
return { 'ok' }
