-- Which of these files of a node's disk are no caches of it.
-- ARGV: node, id... {id...}
local unknown = {}

for i = 2, #ARGV do
	if call('HGET', 'davit:cache:' .. ARGV[i], 'node') ~= ARGV[1] then
		unknown[#unknown + 1] = ARGV[i]
	end
end
return unknown
