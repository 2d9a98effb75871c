#include "proto/cache_key.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proto/crypto.h"

#define OPEN "${checksum:"

/* Where the next checksum begins, with its end in *end; NULL: there is none. */
static const char *
find(struct str s, const char **end)
{
	const char *p = memmem(s.p, s.len, OPEN, strlen(OPEN));

	if (p == NULL)
		return NULL;
	*end = memchr(p, '}', s.len - (size_t)(p - s.p));
	return *end != NULL && *end > p + strlen(OPEN) ? p : NULL;
}

bool
cache_key_next(struct str *rest, struct str *text, struct str *pattern)
{
	const char *end = NULL, *at = find(*rest, &end);
	size_t len = at != NULL ? (size_t)(at - rest->p) : rest->len;

	*text = *pattern = (struct str){ "", 0 };
	if (rest->len == 0)
		return false;
	if (len > 0) {
		*text = (struct str){ rest->p, len };
		*rest = (struct str){ rest->p + len, rest->len - len };
	} else {
		*pattern = (struct str){ at + strlen(OPEN), (size_t)(end - at) - strlen(OPEN) };
		*rest = (struct str){ end + 1, rest->len - (size_t)(end + 1 - rest->p) };
	}
	return true;
}

void
cache_key_add_file(struct digest *hash, struct str id, struct str path)
{
	digest_add(hash, id);
	digest_add(hash, STR(" "));
	digest_add(hash, path);
	digest_add(hash, STR("\n"));
}

bool
cache_path_is_valid(const char *path)
{
	static const char *const own[] = { "proc", "sys", "dev", "davit", "tmp" };
	struct str rest = str_of(path), first = { "", 0 };
	size_t depth = 0;

	while (rest.len > 0) {
		struct str part = str_cut(&rest, '/');

		if (str_is(part, ".."))
			return false;
		if (part.len == 0 || str_is(part, "."))
			continue;
		if (depth++ == 0)
			first = part;
	}
	if (depth == 0)
		return false;
	for (size_t i = 0; path[0] == '/' && i < sizeof(own) / sizeof(own[0]); i++)
		if (str_is(first, own[i]))
			return false;
	return true;
}

bool
cache_paths_are_valid(const struct strings *paths)
{
	for (size_t i = 0; i < paths->count; i++)
		if (!cache_path_is_valid(paths->items[i]))
			return false;
	return paths->count > 0;
}

void
cache_scope(const struct change *change, char ret[CACHE_SCOPE_SIZE])
{
	const char *parts[] = { change != NULL ? change->fetch_url : NULL, change != NULL ? change->ref : NULL };
	struct digest *hash;
	char hex[SHA256_HEX_SIZE];

	if (change != NULL && change->pull_number > 0) {
		snprintf(ret, CACHE_SCOPE_SIZE, "fork-%" PRId64, change->pull_number);
		return;
	}
	hash = digest_new(DIGEST_SHA256);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		digest_add(hash, str_of(parts[i] != NULL ? parts[i] : ""));
		digest_add(hash, STR("\n"));
	}
	digest_finish(&hash, hex);
	snprintf(ret, CACHE_SCOPE_SIZE, "fork-x%.16s", hex);
}
