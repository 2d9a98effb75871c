-- Without the secrets.
-- ARGV: limit. {hash...}, by id
local ids = call('ZRANGE', 'davit:repos', 0, ARGV[1] - 1)
local repos = {}

table.sort(ids)
for i, id in ipairs(ids) do
	local fields, kept = call('HGETALL', 'davit:repo:' .. id), {}
	for k = 1, #fields, 2 do
		if fields[k] ~= 'secret' and fields[k] ~= 'token' then
			kept[#kept + 1] = fields[k]
			kept[#kept + 1] = fields[k + 1]
		end
	end
	repos[i] = kept
end
return repos
