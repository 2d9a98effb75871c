-- The newest builds below a number.
-- ARGV: repo or empty for all, number or 0, limit. {hash...}
local key = ARGV[1] == '' and 'davit:builds' or 'davit:repo:' .. ARGV[1] .. ':builds'
local below = ARGV[2] == '0' and '+inf' or '(' .. ARGV[2]
local builds = {}

for i, n in ipairs(call('ZREVRANGEBYSCORE', key, below, '-inf', 'LIMIT', 0, ARGV[3])) do
	builds[i] = call('HGETALL', 'davit:build:' .. n)
end
return builds
