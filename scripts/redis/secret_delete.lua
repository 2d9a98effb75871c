-- ARGV: id. {ok} {none}
local id = ARGV[1]

if call('DEL', 'davit:secret:' .. id) == 0 then
	return { 'none' }
end
call('ZREM', 'davit:secrets', id)
return { 'ok' }
