#include "proto/ref.h"

#include <string.h>

#include "proto/hex.h"
#include "proto/utf8.h"

static bool
has_suffix(struct str s, struct str suffix)
{
	return s.len >= suffix.len && memcmp(s.p + s.len - suffix.len, suffix.p, suffix.len) == 0;
}

static bool
component_is_valid(struct str c)
{
	return c.len > 0 && c.p[0] != '.' && c.p[0] != '-' && !has_suffix(c, STR(".lock"));
}

static bool
components_are_valid(struct str ref)
{
	struct str component;

	if (ref.len == 0 || ref.p[ref.len - 1] == '/')
		return false;
	while (ref.len > 0) {
		component = str_cut(&ref, '/');
		if (!component_is_valid(component))
			return false;
	}
	return true;
}

static bool
characters_are_valid(struct str ref)
{
	size_t len;

	for (size_t at = 0; at < ref.len; at += len) {
		uint32_t c = utf8_decode((struct str){ ref.p + at, ref.len - at }, &len);

		if (c == UTF8_BAD || c <= ' ' || (c >= 0x7f && c <= 0x9f))
			return false;
		if (c < 0x7f && strchr("~^:?*[\\", (int)c) != NULL)
			return false;
	}
	return true;
}

static bool
contains(struct str s, const char *pair)
{
	for (size_t i = 0; i + 1 < s.len; i++) {
		if (s.p[i] == pair[0] && s.p[i + 1] == pair[1])
			return true;
	}
	return false;
}

bool
ref_is_valid(struct str ref)
{
	if (!str_has_prefix(ref, "refs/") || ref.len > REF_SIZE_MAX || ref.p[ref.len - 1] == '.')
		return false;
	return components_are_valid(ref) && characters_are_valid(ref) && !contains(ref, "..") && !contains(ref, "@{");
}

static bool
is_id(struct str commit)
{
	return (commit.len == 40 || commit.len == 64) && hex_is_valid(commit);
}

bool
commit_is_zero(struct str commit)
{
	for (size_t i = 0; i < commit.len; i++) {
		if (commit.p[i] != '0')
			return false;
	}
	return is_id(commit);
}

bool
commit_is_valid(struct str commit)
{
	return is_id(commit) && !commit_is_zero(commit);
}
