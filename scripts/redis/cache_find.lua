-- The cache of a key on this node, or of the first beginning of a key that some have: of these the newest. Of two places
-- (trusts) the first that has any goes first. What is found counts as used.
-- ARGV: node, repo, how many trusts, trust..., key, beginning... {hash} {none}
local node, repo, trusts = ARGV[1], ARGV[2], tonumber(ARGV[3])

local function answer(id)
	local now = now_ms()

	call('HSET', 'davit:cache:' .. id, 'used_ms', now)
	call('ZADD', 'davit:caches:' .. node, now, id)
	return { 'cache', call('HGETALL', 'davit:cache:' .. id) }
end

local function newest(list, beginning)
	local best, best_ms = nil, -1
	local fields = call('HGETALL', list)

	for i = 1, #fields, 2 do
		if string.sub(fields[i], 1, #beginning) == beginning then
			local created = tonumber(call('HGET', 'davit:cache:' .. fields[i + 1], 'created_ms'))
			if created > best_ms then
				best, best_ms = fields[i + 1], created
			end
		end
	end
	return best
end

for i = 4, 3 + trusts do
	local id = call('HGET', cache_list(node, repo, ARGV[i]), ARGV[4 + trusts])
	if id then
		return answer(id)
	end
end
for k = 5 + trusts, #ARGV do
	for i = 4, 3 + trusts do
		local id = newest(cache_list(node, repo, ARGV[i]), ARGV[k])
		if id then
			return answer(id)
		end
	end
end
return { 'none' }
