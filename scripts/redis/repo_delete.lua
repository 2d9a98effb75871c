-- ARGV: id. {ok} {none} {open}
local id = ARGV[1]
local key = 'davit:repo:' .. id
local open = call('HGET', key, 'open')

if not open then
	return { 'none' }
elseif open ~= '0' then
	return { 'open' }
end
for _, name in ipairs(call('SMEMBERS', key .. ':crons')) do
	cron_remove(id, name)
end
for _, name in ipairs(call('SMEMBERS', key .. ':environments')) do
	environment_remove(id, name)
end
call('DEL', key, heads_key(id))
call('ZREM', 'davit:repos', id)
call('ZREM', 'davit:poll', id)
-- Whoever takes the id next must not have them.
for _, secret in ipairs(secret_ids('repo:' .. id .. ':')) do
	call('DEL', 'davit:secret:' .. secret)
	call('ZREM', 'davit:secrets', secret)
end
repo_caches_forget(id)
if call('EXISTS', key .. ':builds') == 1 then
	call('SADD', 'davit:repos:gone', id)
end
wake('repo ' .. id)
return { 'ok' }
