-- ARGV: id... {secrets, hash...}, in their order, an empty one for what is not there
local secrets = { 'secrets' }

for i, id in ipairs(ARGV) do
	secrets[i + 1] = call('HGETALL', 'davit:secret:' .. id)
end
return secrets
