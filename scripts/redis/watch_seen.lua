-- What the tag that an environment follows is at, or why that is not known.
-- ARGV: repo, name, the image that was asked about, its digest, error; '' for what there is not. {ok} {none}
local repo, name, image, digest, error = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local key = environment_key(repo, name)
local watch, before = unpack(call('HMGET', key, 'watch', 'watch_error'))

if watch ~= image then
	return { 'none' } -- it is gone, or follows another one
end
if digest ~= '' then
	call('HSET', key, 'watch_digest', digest)
end
if (before or '') ~= error then
	call('HSET', key, 'watch_error', error)
	wake('repo ' .. repo)
end
return { 'ok' }
