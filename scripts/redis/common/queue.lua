-- Fair among repositories: a job's tag is its repository's own clock, which never lags behind that of the queue, plus
-- what the job costs; the smallest tag is claimed first and moves the queue's clock (self-clocked fair queueing).
local function cost_of(weight)
	return math.floor(COST / math.max(1, tonumber(weight or 1)))
end

local function queue_clock()
	return tonumber(call('GET', 'davit:vclock') or 0)
end

local function queue_add(job, repo, priority)
	local key = 'davit:repo:' .. repo
	local vt, weight = unpack(call('HMGET', key, 'vt', 'weight'))
	local tag = math.max(tonumber(vt or 0), queue_clock()) + cost_of(weight)

	call('HSET', key, 'vt', tag)
	call('ZADD', 'davit:queue', priority * CLASS + tag, job)
end

-- A further attempt was paid for by the first.
local function queue_add_again(job, priority)
	call('ZADD', 'davit:queue', priority * CLASS + queue_clock(), job)
end

-- A queued job leaves without having run; its repository gets back what it cost.
local function queue_remove(job, repo)
	if call('ZREM', 'davit:queue', job) + call('ZREM', 'davit:held:' .. repo, job) > 0 then
		call('HINCRBY', 'davit:repo:' .. repo, 'vt', -cost_of(call('HGET', 'davit:repo:' .. repo, 'weight')))
	end
	call('ZREM', 'davit:delayed', job)
end

-- A running job gives its slot back: one that its repository's limit held takes its old place in the queue.
local function queue_release(job, repo)
	call('ZREM', 'davit:running', job)
	call('HINCRBY', 'davit:repo:' .. repo, 'running', -1)
	local held = call('ZPOPMIN', 'davit:held:' .. repo)
	if held[1] then
		call('ZADD', 'davit:queue', held[2], held[1])
	end
	wake('queue')
end

