-- All, by name. {hash...}
local tokens = {}

for i, name in ipairs(call('ZRANGE', 'davit:access_tokens', 0, -1)) do
	tokens[i] = call('HGETALL', 'davit:access_token:' .. name)
end
return tokens
