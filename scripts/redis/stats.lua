-- {name, count...}
local held = 0

for _, repo in ipairs(call('ZRANGE', 'davit:repos', 0, -1)) do
	held = held + call('ZCARD', 'davit:held:' .. repo)
end
return {
	'repos', call('ZCARD', 'davit:repos'), 'builds', call('ZCARD', 'davit:builds'), 'planning', call('ZCARD', 'davit:planning'),
	'queued', call('ZCARD', 'davit:queue'), 'held', held, 'delayed', call('ZCARD', 'davit:delayed'),
	'running', call('ZCARD', 'davit:running'), 'outbox', call('ZCARD', 'davit:outbox'), 'dead', call('LLEN', 'davit:outbox:dead'),
	'nodes', call('ZCARD', 'davit:nodes'),
}
