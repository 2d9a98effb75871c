-- A push is told of which nothing is built, or a branch was deleted (commit '').
-- ARGV: repo, ref, before ('': it is not said, or a new branch), commit. {ok}
local repo, ref, before, commit = unpack(ARGV)
local head, pushed = head_split(head_get(repo, ref))

if call('EXISTS', 'davit:repo:' .. repo) == 0 then
	return { 'ok' }
elseif commit == '' then
	if before == '' or before == head or head_has_pushed(pushed, before) then
		head_put(repo, ref, '', '')
	end
elseif before == head then
	head_put(repo, ref, commit, pushed)
elseif commit ~= head and not head_has_pushed(pushed, commit) then
	head_put(repo, ref, head, head_add_pushed(pushed, commit))
end
return { 'ok' }
