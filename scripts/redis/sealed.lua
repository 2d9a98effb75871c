-- What holds sealed values: {repo ids, secret ids}
return { call('ZRANGE', 'davit:repos', 0, -1), call('ZRANGE', 'davit:secrets', 0, -1) }
