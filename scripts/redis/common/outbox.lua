local function outbox_add(id, target, kind, build, state, payload, now)
	call('HSET', 'davit:notice:' .. id, 'notice', id, 'target', target, 'kind', kind, 'build', build, 'state', state,
		'payload', payload, 'attempts', 0, 'created_ms', now)
	call('RPUSH', 'davit:outbox:' .. target, id)
	call('ZADD', 'davit:outbox', 'NX', now, target)
	wake('outbox')
end

local function outbox_is_head(target, id)
	return call('LINDEX', 'davit:outbox:' .. target, 0) == id
end

-- The head of a target is done with: the next one is due at once.
local function outbox_advance(target, now)
	if call('LLEN', 'davit:outbox:' .. target) == 0 then
		call('ZREM', 'davit:outbox', target)
	else
		call('ZADD', 'davit:outbox', now, target)
		wake('outbox')
	end
end

local function outbox_event(build, state, now)
	outbox_add(call('INCR', 'davit:seq:notice'), 'build:' .. build, 'build', build, state, '', now)
end

