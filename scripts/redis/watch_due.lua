-- The environments whose tag in a registry is to be asked about. They are the caller's until they are due again.
-- ARGV: limit, ms until then. {ms until the next, or -1; of each its hash, and that of the deployment that it has}
local limit, wait_ms = ARGV[1], tonumber(ARGV[2])
local now = now_ms()
local answer = {}

for _, id in ipairs(call('ZRANGEBYSCORE', 'davit:watch', '-inf', now, 'LIMIT', 0, limit)) do
	local key = environment_key(id:match('^(%S+) (%S+)$'))
	call('ZADD', 'davit:watch', now + wait_ms, id)
	call('HSET', key, 'watch_ms', now)
	answer[#answer + 1] = call('HGETALL', key)
	answer[#answer + 1] = call('HGETALL', 'davit:deployment:' .. (call('HGET', key, 'deployed') or ''))
end
local score = call('ZRANGE', 'davit:watch', 0, 0, 'WITHSCORES')[2]
return { score and math.max(0, tonumber(score) - now) or -1, unpack(answer) }
