-- Nothing is deployed to a locked environment but what has its turn already; unlocked, the first that waits has it.
-- ARGV: repo, name, who locks it or empty to unlock, reason. {ok} {none}
local repo, name, who, reason = unpack(ARGV)
local key = environment_key(repo, name)

if call('EXISTS', key) == 0 then
	return { 'none' }
elseif who ~= '' then
	call('HSET', key, 'locked_by', who, 'lock_reason', reason, 'locked_ms', now_ms())
else
	call('HDEL', key, 'locked_by', 'lock_reason', 'locked_ms')
	group_hand_on(repo, group_keys(repo, 'environment:' .. name), now_ms())
end
wake('repo ' .. repo)
return { 'ok' }
