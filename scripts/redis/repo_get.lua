-- ARGV: id. {repo, its hash} {none}
local fields = call('HGETALL', 'davit:repo:' .. ARGV[1])

return fields[1] and { 'repo', fields } or { 'none' }
