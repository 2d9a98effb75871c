-- The ids that begin so, sorted; '' for all.
local function secret_ids(beginning)
	if beginning == '' then
		return call('ZRANGE', 'davit:secrets', 0, -1)
	end
	return call('ZRANGEBYLEX', 'davit:secrets', '[' .. beginning, '(' .. beginning .. '\255')
end

-- Whoever takes the owner's name next must not have them.
local function secrets_forget(beginning)
	for _, secret in ipairs(secret_ids(beginning)) do
		call('DEL', 'davit:secret:' .. secret)
		call('ZREM', 'davit:secrets', secret)
	end
end

