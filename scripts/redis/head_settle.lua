-- A branch or tag was looked at and needs no build: it is there, with nothing else pushed; or it is gone (commit '').
-- ARGV: repo, ref, its value when it was compared, commit. {ok} {stale}: something was pushed meanwhile
local repo, ref, value, commit = unpack(ARGV)

if head_get(repo, ref) ~= value or call('EXISTS', 'davit:repo:' .. repo) == 0 then
	return { 'stale' }
end
head_put(repo, ref, commit, '')
return { 'ok' }
