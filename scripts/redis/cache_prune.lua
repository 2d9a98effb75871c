-- Forgets caches of this node: those unused for max_age_ms, and the longest unused while all take more than max_bytes.
-- What it gives is gone: the files may go.
-- ARGV: node, max_bytes, max_age_ms, limit. {id...}
local node, max_bytes, max_age_ms, limit = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local oldest, gone = now_ms() - max_age_ms, {}

for _, id in ipairs(call('ZRANGE', 'davit:caches:' .. node, 0, limit - 1)) do
	local bytes = tonumber(call('HGET', 'davit:node:' .. node, 'cache_bytes') or 0)
	if bytes <= max_bytes and tonumber(call('ZSCORE', 'davit:caches:' .. node, id)) >= oldest then
		break
	end
	cache_forget(id)
	gone[#gone + 1] = id
end
return gone
