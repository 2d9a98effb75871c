-- What is known of a repository's branches and tags, against what they are. The first look takes them as they are, but
-- for those of which a push was told.
-- ARGV: repo, max, then of each: ref, commit, its object ('': the commit itself).
-- {recorded} {none} {ok, how many differ, {kind, ref, value, commit, object}... at most max}
-- kind: gone; known (a push there was told, if not in order); new (nobody told)
local repo, max = ARGV[1], tonumber(ARGV[2])
local key = 'davit:repo:' .. repo
local differs, count, there = {}, 0, {}

if call('EXISTS', key) == 0 then
	return { 'none' }
end
local is_first = call('HEXISTS', key, 'looked_ms') == 0
call('HSET', key, 'looked_ms', now_ms())
if is_first then
	for i = 3, #ARGV, 3 do
		call('HSETNX', heads_key(repo), ARGV[i], ARGV[i + 1])
	end
	return { 'recorded' }
end

local function differ(kind, ref, value, commit, object)
	count = count + 1
	if count <= max then
		differs[count] = { kind, ref, value, commit, object }
	end
end

local known = {}
local pairs_of = call('HGETALL', heads_key(repo))
for i = 1, #pairs_of, 2 do
	known[pairs_of[i]] = pairs_of[i + 1]
end
for i = 3, #ARGV, 3 do
	local ref, commit, object = ARGV[i], ARGV[i + 1], ARGV[i + 2]
	local value = known[ref] or ''
	if value ~= commit then
		local head, pushed = head_split(value)
		if head_has_pushed(pushed, commit) or head_has_pushed(pushed, object)
			or (pushed ~= '' and (head == commit or head == object)) then
			differ('known', ref, value, commit, object)
		elseif head ~= object or object == '' then
			differ('new', ref, value, commit, object)
		end
	end
	there[ref] = true
end
for i = 1, #pairs_of, 2 do
	if not there[pairs_of[i]] then
		differ('gone', pairs_of[i], pairs_of[i + 1], '', '')
	end
end
return { 'ok', count, unpack(differs) }
