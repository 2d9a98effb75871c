-- What is remembered of requests with a key, by caller.
local function idempotency_key(who, key)
	return 'davit:idempotency:' .. who .. ':' .. key
end

local function idempotency_keep(who, key, now, ms)
	local list = 'davit:idempotency:' .. who

	call('PEXPIRE', idempotency_key(who, key), ms)
	call('ZADD', list, now + ms, key)
	call('PEXPIRE', list, ms)
end
