-- ARGV: repo, name. {environment, its hash} {none}
local fields = call('HGETALL', environment_key(ARGV[1], ARGV[2]))

return #fields > 0 and { 'environment', fields } or { 'none' }
