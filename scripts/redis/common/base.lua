-- What of these files a script uses stands in front of it, behind fence.lua. User data comes in ARGV only (KEYS are the
-- fence's); ids are checked before they become part of a key.
-- Every script may be run twice with the same arguments: the second time changes nothing.
local call = redis.call

local MAX_PLANNING_ATTEMPTS = 3
local PRIORITY = 3 -- of a repository that has none of its own
local PRIORITY_CRON = 2 -- is added to it
local PRIORITY_LAST = 7
local CLASS = 1e15 -- a score in davit:queue is priority * CLASS + tag
local COST = 1000 -- what one job adds to the tag of a repository of weight 1
local CLAIM_MEMORY_MS = 60000
local PREVIOUS_MAX = 50
local DEAD_MAX = 1000
local LABEL_SETS_MAX = 1000
local NODE_AWAY_MS = 90000 -- three leases
local GROUP_JOBS_MAX = 1024 -- more than a build may have
local RETRY_FIRST_MS = 5000
local RETRY_MOST_MS = 300000
local HISTORY_MAX = 2000
local NAMES_MAX = 3
local APPROVAL_MS = 7 * 86400000 -- how long a deployment waits for one
local SUPERSEDED = 'a newer build of the group took its place'

-- Of the final states the worst of a build's jobs becomes the build's; a skipped one says nothing.
local RANK = { skipped = 0, passed = 1, cancelled = 2, failed = 3, timed_out = 4, error = 5 }

local function now_ms()
	local t = call('TIME')
	return t[1] * 1000 + math.floor(t[2] / 1000)
end

local woken = {}

-- Once in a script: whoever hears it looks when all of the script has happened.
local function wake(line)
	if not woken[line] then
		woken[line] = true
		call('PUBLISH', 'davit:wake', line)
	end
end

