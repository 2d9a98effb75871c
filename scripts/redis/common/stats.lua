-- What became of builds, jobs and deployments, counted by day: davit:stats:<repo>:<day>, and of an environment
-- davit:stats:<repo>:<environment>:<day>. A time is counted on a scale of four steps to the octave (proto/histogram.h).
-- Each is counted by the script that ends it, and a day's counts go by themselves.
local STATS_DAYS = 400
local STATS_STEPS = 4
local DAY_MS = 86400000

-- "2026-11-29", of a number of days since 1970.
local function stats_date(days)
	local year, month = 1970, 1
	local function is_leap()
		return year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0)
	end

	while days >= (is_leap() and 366 or 365) do
		days = days - (is_leap() and 366 or 365)
		year = year + 1
	end
	local months = { 31, is_leap() and 29 or 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }
	while days >= months[month] do
		days = days - months[month]
		month = month + 1
	end
	return ('%04d-%02d-%02d'):format(year, month, days + 1)
end

-- environment: '' for the repository itself.
local function stats_key(repo, environment, days)
	return 'davit:stats:' .. repo .. ':' .. (environment == '' and '' or environment .. ':') .. stats_date(days)
end

-- Counts of names, and times in milliseconds.
local function stats_add(repo, environment, now, counts, times)
	local key = stats_key(repo, environment, math.floor(now / DAY_MS))

	for _, name in ipairs(counts) do
		call('HINCRBY', key, name, 1)
	end
	for name, ms in pairs(times) do
		ms = math.max(0, math.floor(ms))
		call('HINCRBY', key, name .. '.' .. (ms < 1 and 0 or math.floor(math.log(ms) / math.log(2) * STATS_STEPS) + 1), 1)
		call('HINCRBY', key, name .. '.ms', ms)
	end
	call('PEXPIRE', key, STATS_DAYS * DAY_MS)
end

local function stats_forget(repo, environment, now)
	local keys, today = {}, math.floor(now / DAY_MS)

	for i = 0, STATS_DAYS do
		keys[i + 1] = stats_key(repo, environment, today - i)
	end
	call('DEL', unpack(keys))
end

-- Of one that has run; of a further attempt it is not known how long it waited.
local function stats_job(repo, environment, now, job)
	local attempt, queued, claimed, started = unpack(call('HMGET', 'davit:job:' .. job, 'attempt', 'queued_ms', 'claimed_ms', 'started_ms'))
	local times = {}

	if not claimed or (started or '0') == '0' then
		return
	elseif attempt == '1' then
		times.queue = claimed - queued
	end
	times.prepare = started - claimed
	times.run = now - started
	stats_add(repo, '', now, {}, times)
	if environment then
		stats_add(repo, environment, now, {}, times)
	end
end

-- Whether a deployment that passed has taken back what was there, and nothing had failed since.
local function stats_takes_back(redeploys, live, broken_ms)
	return redeploys and live and live ~= redeploys and not broken_ms
end

-- From its commit on; of one that is there already, or was before, nothing is to be learned.
local function stats_lead(build, commit, redeploys, live, now)
	local commit_ms = call('HGET', 'davit:build:' .. build, 'commit_ms')
	local is_there = live and commit == call('HGET', 'davit:deployment:' .. live, 'commit')

	return not redeploys and commit_ms and not is_there and now - commit_ms or nil
end

-- Before the environment's own record knows of the end. A change is what was brought and was not there before; it has
-- failed when it did not pass, and also when it is taken back afterwards. An environment is broken from the first
-- deployment on that failed, or from the one on that is taken back, until one passes. What never began has changed
-- nothing.
local function stats_deployment(n, state, now)
	local repo, name, build, commit, redeploys, started_ms =
		unpack(call('HMGET', 'davit:deployment:' .. n, 'repo', 'environment', 'build', 'commit', 'redeploys', 'started_ms'))
	local key = 'davit:environment:' .. repo .. ':' .. name
	local live, live_ms, broken_ms = unpack(call('HMGET', key, 'deployed', 'deployed_ms', 'broken_ms'))
	local counts, times = { 'deployments_' .. state }, {}
	local counts_as_change = state == 'passed' or (started_ms and state ~= 'cancelled')

	if counts_as_change and not redeploys then
		counts[#counts + 1] = 'changes'
	end
	if counts_as_change and state ~= 'passed' then
		counts[#counts + 1] = not redeploys and 'changes_failed' or nil
		call('HSETNX', key, 'broken_ms', now)
	elseif state == 'passed' then
		if stats_takes_back(redeploys, live, broken_ms) then
			counts[#counts + 1] = 'changes_failed'
			broken_ms = live_ms
		end
		times.restore = broken_ms and now - broken_ms or nil
		times.lead = stats_lead(build, commit, redeploys, live, now)
		call('HDEL', key, 'broken_ms')
	end
	stats_add(repo, name, now, counts, times)
end
