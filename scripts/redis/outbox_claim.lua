-- The first notice of the target that is due first; the target is the caller's for the lease.
-- ARGV: lease_ms, node. {notice, its hash} {none, ms until one is due or -1}
local lease_ms, node = tonumber(ARGV[1]), ARGV[2]
local now = now_ms()

local target, score = unpack(call('ZRANGE', 'davit:outbox', 0, 0, 'WITHSCORES'))
if not target then
	return { 'none', -1 }
elseif tonumber(score) > now then
	return { 'none', tonumber(score) - now }
end
call('ZADD', 'davit:outbox', now + lease_ms, target)
call('HSET', 'davit:sending', target, node)
return { 'notice', call('HGETALL', 'davit:notice:' .. call('LINDEX', 'davit:outbox:' .. target, 0)) }
