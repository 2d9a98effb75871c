-- heads: where a repository's branches and tags are, by the pushes that were told and by looking at them.
-- davit:heads:<repo> has for each "HEAD PUSHED...": where it is as far as is known ("-": nowhere), and commits that were
-- pushed to it as well, by pushes that do not follow on that one: told in another order, or after one that nobody told.

local PUSHED_MAX = 8

local function heads_key(repo)
	return 'davit:heads:' .. repo
end

-- Its build was made by looking.
local function recovered_key(repo, ref, commit)
	return 'davit:recovered:' .. repo .. ':' .. commit .. ':' .. ref
end

local function head_split(value)
	local head, pushed = value:match('^(%S+) ?(.*)$')

	return (head == '-' or not head) and '' or head, pushed or ''
end

local function head_get(repo, ref)
	return call('HGET', heads_key(repo), ref) or ''
end

-- head '' and nothing pushed: there is no such branch.
local function head_put(repo, ref, head, pushed)
	if head == '' and pushed == '' then
		call('HDEL', heads_key(repo), ref)
	else
		call('HSET', heads_key(repo), ref, (head == '' and '-' or head) .. (pushed == '' and '' or ' ' .. pushed))
	end
end

local function head_has_pushed(pushed, commit)
	return commit ~= '' and (' ' .. pushed .. ' '):find(' ' .. commit .. ' ', 1, true) ~= nil
end

local function head_add_pushed(pushed, commit)
	local list = {}

	for known in (pushed .. ' ' .. commit):gmatch('%S+') do
		list[#list + 1] = known
	end
	return table.concat(list, ' ', math.max(1, #list - PUSHED_MAX + 1))
end

-- A push is told; before is '' for a new branch. Gives the build that was made of it already, when looking was faster:
-- a push that follows on what is known is another one to the same commit.
local function head_pushed(repo, ref, before, commit)
	local head, pushed = head_split(head_get(repo, ref))
	local build

	if before == head then
		head_put(repo, ref, commit, pushed)
	else
		build = call('GET', recovered_key(repo, ref, commit))
		if not build and not head_has_pushed(pushed, commit) then
			head_put(repo, ref, head, head_add_pushed(pushed, commit))
		end
	end
	return build
end
