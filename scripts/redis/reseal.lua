-- Puts values that were sealed anew into the place of the old ones, unless somebody else has changed them meanwhile.
-- ARGV: "repo" or "secret", id, then field, old and new value each. {ok}
local key = 'davit:' .. ARGV[1] .. ':' .. ARGV[2]

for i = 3, #ARGV, 3 do
	if call('HGET', key, ARGV[i]) == ARGV[i + 1] then
		call('HSET', key, ARGV[i], ARGV[i + 2])
	end
end
return { 'ok' }
