-- The ids that begin so, sorted; '' for all.
local function secret_ids(beginning)
	if beginning == '' then
		return call('ZRANGE', 'davit:secrets', 0, -1)
	end
	return call('ZRANGEBYLEX', 'davit:secrets', '[' .. beginning, '(' .. beginning .. '\255')
end

