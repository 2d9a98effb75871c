-- deliveries: which were accepted lately, by their name and by their body's SHA-256, of which either may be empty.

local function delivery_key(repo, delivery)
	return 'davit:delivery:' .. repo .. ':' .. delivery
end

local function body_key(repo, body)
	return 'davit:body:' .. repo .. ':' .. body
end

local function delivery_remember(repo, delivery, body, build, keep_s)
	if delivery ~= '' then
		call('SET', delivery_key(repo, delivery), (body == '' and '-' or body) .. ' ' .. build, 'EX', keep_s)
	end
	if body ~= '' then
		call('SET', body_key(repo, body), build, 'NX', 'EX', keep_s)
	end
end

-- The answer to one that was accepted already.
local function delivery_known(repo, delivery, body, keep_s)
	local by_name, by_body = unpack(call('MGET', delivery_key(repo, delivery), body_key(repo, body)))

	if by_name then
		local known_body, build = by_name:match('^(%S+) (%d+)$')
		return known_body == (body == '' and '-' or body) and { 'duplicate', build } or { 'conflict' }
	elseif by_body then
		delivery_remember(repo, delivery, body, by_body, keep_s)
		return { 'duplicate', by_body }
	end
end
