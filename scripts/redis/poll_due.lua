-- The repositories whose branches and tags are to be looked at. They are the caller's for a while; when it is gone
-- without a word, others look.
-- ARGV: limit, ms for which they are the caller's, 1: all are due (a daemon has started). {ms until the next, or -1, repo...}
local limit, mine_ms, all = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local now = now_ms()

if all == '1' then
	call('ZUNIONSTORE', 'davit:poll', 1, 'davit:repos', 'WEIGHTS', 0)
end
local due = call('ZRANGEBYSCORE', 'davit:poll', '-inf', now, 'LIMIT', 0, limit)
for _, repo in ipairs(due) do
	call('ZADD', 'davit:poll', now + mine_ms, repo)
end
local score = call('ZRANGE', 'davit:poll', 0, 0, 'WITHSCORES')[2]
return { score and math.max(0, tonumber(score) - now) or -1, unpack(due) }
