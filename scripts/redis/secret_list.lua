-- Without the values.
-- ARGV: beginning of the ids ("repo:app:"; "" for all), limit. {hash...}, by id
local secrets = {}

for i, id in ipairs(secret_ids(ARGV[1])) do
	if i > tonumber(ARGV[2]) then
		break
	end
	local fields, kept = call('HGETALL', 'davit:secret:' .. id), {}
	for k = 1, #fields, 2 do
		if fields[k] ~= 'value' then
			kept[#kept + 1] = fields[k]
			kept[#kept + 1] = fields[k + 1]
		end
	end
	secrets[i] = kept
end
return secrets
