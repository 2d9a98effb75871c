-- In front of every script. KEYS[1]: the record of the daemon that asks; then the last of ARGV, which the script itself
-- does not see, is the epoch that it was given ('': none yet). One that was frozen, and replaced by a newer process of
-- its name, neither reads nor writes any more. One that Redis does not know, since its data are lost, goes on.
if KEYS[1] then
	local epoch = table.remove(ARGV)
	if epoch ~= '' and (redis.call('HGET', KEYS[1], 'epoch') or epoch) ~= epoch then
		return redis.error_reply('FENCED a newer davitd has started as ' .. KEYS[1])
	end
end
