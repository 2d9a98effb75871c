-- Something was pushed to a registry: the environments that follow such a tag are asked about now, or a second after they were asked
-- about last. A registry knows itself by other names than people do, so its own is not compared.
-- ARGV: REPOSITORY:TAG, each once. {ok}
local LEAST_MS = 1000
local now = now_ms()
local told, woken = {}, false

local function is_told(image)
	local name, tag = image:match('^(.+):([^:/]+)$')

	name, tag = name or image, tag or 'latest'
	while name do
		if told[name .. ':' .. tag] then
			return true
		end
		name = name:match('/(.+)$')
	end
	return false
end

for _, name in ipairs(ARGV) do
	told[name] = true
end
for _, id in ipairs(ARGV[1] and call('ZRANGE', 'davit:watch', 0, -1) or {}) do
	local image, asked_ms = unpack(call('HMGET', environment_key(id:match('^(%S+) (%S+)$')), 'watch', 'watch_ms'))
	if is_told(image or '') then
		call('ZADD', 'davit:watch', math.max(now, tonumber(asked_ms or 0) + LEAST_MS), id)
		woken = true
	end
end
if woken then
	wake('watch')
end
return { 'ok' }
