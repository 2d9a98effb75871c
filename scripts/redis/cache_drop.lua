-- A cache's file is missing or damaged.
-- ARGV: id. {ok}
cache_forget(ARGV[1])
return { 'ok' }
