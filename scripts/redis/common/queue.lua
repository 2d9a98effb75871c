-- Jobs without labels wait in davit:queue, the others in a queue of their own for each set of labels; one clock orders
-- them all. davit:queues counts who waits in each of the latter, also those whom their repository's limit holds.
local function queue_key(labels)
	return labels == '' and 'davit:queue' or 'davit:queue:' .. labels
end

local function held_key(repo, labels)
	return 'davit:held:' .. repo .. (labels == '' and '' or ':' .. labels)
end

-- All sets of labels with which jobs wait, the empty one first.
local function queue_labels()
	return { '', unpack(call('HKEYS', 'davit:queues')) }
end

local function queue_count(labels, by)
	if labels ~= '' and call('HINCRBY', 'davit:queues', labels, by) <= 0 then
		call('HDEL', 'davit:queues', labels)
	end
end

-- Whether an engine with the labels offered may run a job with the labels wanted; both lists are sorted, with commas.
local function labels_fit(wanted, offered)
	for label in wanted:gmatch('[^,]+') do
		if not (',' .. offered .. ','):find(',' .. label .. ',', 1, true) then
			return false
		end
	end
	return true
end

-- Whether a job with these labels may wait; all queues are looked at by each claim.
local function queue_is_open(labels)
	return labels == '' or call('HEXISTS', 'davit:queues', labels) == 1 or call('HLEN', 'davit:queues') < LABEL_SETS_MAX
end

-- Fair among repositories: a job's tag is its repository's own clock, which never lags behind that of the queue, plus
-- what the job costs; the smallest tag is claimed first and moves the queue's clock (self-clocked fair queueing).
local function cost_of(weight)
	return math.floor(COST / math.max(1, tonumber(weight or 1)))
end

local function queue_clock()
	return tonumber(call('GET', 'davit:vclock') or 0)
end

-- 0 is the first. A repository that says nothing is in the middle; what nobody waits for comes behind.
local function priority_of(repo, event)
	local own = tonumber(call('HGET', 'davit:repo:' .. repo, 'priority') or 0)
	return math.min(PRIORITY_LAST, (own == 0 and PRIORITY or own) + (event == 'cron' and PRIORITY_CRON or 0))
end

local function queue_put(job, labels, score)
	call('ZADD', queue_key(labels), score, job)
	queue_count(labels, 1)
	wake('queue')
end

local function queue_add(job, repo, priority, labels)
	local key = 'davit:repo:' .. repo
	local vt, weight = unpack(call('HMGET', key, 'vt', 'weight'))
	local tag = math.max(tonumber(vt or 0), queue_clock()) + cost_of(weight)

	call('HSET', key, 'vt', tag)
	queue_put(job, labels, priority * CLASS + tag)
end

-- A further attempt was paid for by the first.
local function queue_add_again(job, priority, labels)
	queue_put(job, labels, priority * CLASS + queue_clock())
end

-- A queued job leaves without having run; its repository gets back what it cost.
local function queue_remove(job, repo, labels)
	if call('ZREM', queue_key(labels), job) + call('ZREM', held_key(repo, labels), job) > 0 then
		call('HINCRBY', 'davit:repo:' .. repo, 'vt', -cost_of(call('HGET', 'davit:repo:' .. repo, 'weight')))
		queue_count(labels, -1)
	end
	call('ZREM', 'davit:delayed', job)
end

-- A running job gives its slot back: of those that its repository's limit held, the first of each queue takes its old
-- place there, since not every queue may have an engine just now.
local function queue_release(job, repo)
	call('ZREM', 'davit:running', job)
	call('HINCRBY', 'davit:repo:' .. repo, 'running', -1)
	for _, labels in ipairs(queue_labels()) do
		local held = call('ZPOPMIN', held_key(repo, labels))
		if held[1] then
			call('ZADD', queue_key(labels), held[2], held[1])
		end
	end
	wake('queue')
end

-- Whether a daemon that was heard lately has an engine with these labels.
local function labels_are_known(labels, now)
	for _, node in ipairs(call('ZRANGEBYSCORE', 'davit:nodes', now - NODE_AWAY_MS, '+inf')) do
		for offered in (call('HGET', 'davit:node:' .. node, 'labels') or ''):gmatch('[^;]+') do
			if labels_fit(labels, offered) then
				return true
			end
		end
	end
	return false
end
