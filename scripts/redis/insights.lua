-- What was counted on the last days, of one repository and of its environments, or of all (ARGV[1] is ''): of so many
-- of either as are asked for.
-- ARGV: repository, days, how many. {insights, {repository, environment or '', {day, name, count...}...}...} {none}
local repo, days, most = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local answer = { 'insights' }
local today = math.floor(now_ms() / DAY_MS)

local function add(id, environment)
	local row = { id, environment }
	for day = today - days + 1, today do
		local counts = call('HGETALL', stats_key(id, environment, day))
		if counts[1] then
			table.insert(counts, 1, stats_date(day))
			row[#row + 1] = counts
		end
	end
	answer[#answer + 1] = row
end

local function add_all(id)
	add(id, '')
	local names = call('SMEMBERS', 'davit:repo:' .. id .. ':environments')
	table.sort(names)
	for _, name in ipairs(names) do
		if #answer > most then
			break
		end
		add(id, name)
	end
end

if repo ~= '' and call('EXISTS', 'davit:repo:' .. repo) == 0 then
	return { 'none' }
end
for _, id in ipairs(repo ~= '' and { repo } or call('ZRANGE', 'davit:repos', 0, most - 1)) do
	if #answer > most then
		break
	end
	add_all(id)
end
return answer
