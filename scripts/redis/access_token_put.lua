-- Adds an access token, or gives its name a new one.
-- ARGV: name, how many there may be, then names and values. {ok} {many}
local name, max = ARGV[1], tonumber(ARGV[2])
local key = 'davit:access_token:' .. name

if not call('ZSCORE', 'davit:access_tokens', name) and call('ZCARD', 'davit:access_tokens') >= max then
	return { 'many' }
end
call('HSET', key, 'name', name, 'created_ms', now_ms(), unpack(ARGV, 3))
call('ZADD', 'davit:access_tokens', 0, name)
wake('access_tokens')
return { 'ok' }
