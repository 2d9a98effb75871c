-- The oldest build that is not planned, for one planner; the same nonce gets the same answer, since an answer may be lost.
-- ARGV: node, nonce, lease_ms. {build, its hash, its change's hash} {none}
local node, nonce, lease_ms = ARGV[1], ARGV[2], tonumber(ARGV[3])
local claim_key = 'davit:claim:' .. nonce

local function answer(n)
	local fields = call('HGETALL', 'davit:build:' .. n)
	return { 'build', fields, call('HGETALL', 'davit:change:' .. call('HGET', 'davit:build:' .. n, 'change')) }
end

local known = call('GET', claim_key)
if known and call('HGET', 'davit:build:' .. known, 'token') == nonce then
	return answer(known)
end
local n = call('ZPOPMIN', 'davit:planning')[1]
if not n then
	return { 'none' }
end
call('HSET', 'davit:build:' .. n, 'node', node, 'token', nonce)
call('HINCRBY', 'davit:build:' .. n, 'attempt', 1)
call('ZADD', 'davit:running', now_ms() + lease_ms, n)
call('SET', claim_key, n, 'PX', CLAIM_MEMORY_MS)
return answer(n)
