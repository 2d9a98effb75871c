-- Adds a secret or replaces it, with its rules.
-- ARGV: scope, owner, name, how many an owner may have, then names and values. {ok} {none, no such repository or environment} {many}
local scope, owner, name = ARGV[1], ARGV[2], ARGV[3]
local id = scope .. ':' .. owner .. ':' .. name
local key = 'davit:secret:' .. id
local now = now_ms()

if scope == 'repo' and call('EXISTS', 'davit:repo:' .. owner) == 0 then
	return { 'none' }
elseif scope == 'environment' and call('EXISTS', environment_key(owner:match('^([^/]*)/(.*)$'))) == 0 then
	return { 'none' }
elseif call('EXISTS', key) == 0 and #secret_ids(scope .. ':' .. owner .. ':') >= tonumber(ARGV[4]) then
	return { 'many' }
end
call('HSET', key, 'scope', scope, 'owner', owner, 'name', name, 'changed_ms', now, unpack(ARGV, 5))
call('HSETNX', key, 'created_ms', now)
call('ZADD', 'davit:secrets', 0, id)
return { 'ok' }
