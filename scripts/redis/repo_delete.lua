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
stats_forget(id, '', now_ms())
call('DEL', key, heads_key(id))
call('ZREM', 'davit:repos', id)
call('ZREM', 'davit:poll', id)
secrets_forget('repo:' .. id .. ':')
secrets_forget('environment:' .. id .. '/')
repo_caches_forget(id)
if call('EXISTS', key .. ':builds') == 1 then
	call('SADD', 'davit:repos:gone', id)
end
wake('repo ' .. id)
return { 'ok' }
