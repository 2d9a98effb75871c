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
	call('HDEL', 'davit:sending', target)
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

-- Whatever a daemon was sending when it died is due at once: its lease would keep the target's order waiting.
local function outbox_lost(node, now)
	for _, target in ipairs(call('HKEYS', 'davit:sending')) do
		if call('HGET', 'davit:sending', target) == node then
			call('HDEL', 'davit:sending', target)
			call('ZADD', 'davit:outbox', 'XX', now, target)
			wake('outbox')
		end
	end
end
