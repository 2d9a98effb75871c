-- {name, count...}
local queued, held = 0, 0

for _, labels in ipairs(queue_labels()) do
	queued = queued + call('ZCARD', queue_key(labels))
	for _, repo in ipairs(call('ZRANGE', 'davit:repos', 0, -1)) do
		held = held + call('ZCARD', held_key(repo, labels))
	end
end
return {
	'repos', call('ZCARD', 'davit:repos'), 'builds', call('ZCARD', 'davit:builds'), 'planning', call('ZCARD', 'davit:planning'),
	'queued', queued, 'held', held, 'delayed', call('ZCARD', 'davit:delayed'),
	'running', call('ZCARD', 'davit:running'), 'outbox', call('ZCARD', 'davit:outbox'), 'dead', call('LLEN', 'davit:outbox:dead'),
	'nodes', call('ZCARD', 'davit:nodes'),
}
