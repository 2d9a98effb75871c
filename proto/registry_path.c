#include "proto/registry_path.h"

#include <stddef.h>
#include <string.h>

#include "proto/hex.h"

#define NAME_MAX_LEN 255

static bool
is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* Components of lower-case letters and digits, with . _ - between; no two dots in a row, which would lead upwards. */
static bool
is_name(struct str s)
{
	char before = '/';

	if (s.len == 0 || s.len > NAME_MAX_LEN)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		char c = s.p[i];

		if (!is_word(c) && c != '/' && c != '.' && c != '_' && c != '-')
			return false;
		if (!is_word(c) && (before == '/' || before == '.') && c != '_')
			return false;
		before = c;
	}
	return is_word(before);
}

static bool
is_tag(struct str s)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = s.p[i];

		if (!is_word(c) && !(c >= 'A' && c <= 'Z') && c != '_' && (i == 0 || (c != '.' && c != '-')))
			return false;
	}
	return s.len > 0 && s.len <= 128;
}

bool
registry_digest_read(struct str s, struct str *hex)
{
	struct str algorithm;

	*hex = s;
	algorithm = str_cut(hex, ':');
	return hex_is_valid(*hex) &&
	       ((str_is(algorithm, "sha256") && hex->len == 64) || (str_is(algorithm, "sha512") && hex->len == 128));
}

/* What stands behind the last sep; *rest becomes what stands in front of it. */
static struct str
cut_last(struct str *rest, char sep)
{
	size_t at = rest->len;
	struct str last;

	while (at > 0 && rest->p[at - 1] != sep)
		at--;
	last = (struct str){ rest->p + at, rest->len - at };
	rest->len = at > 0 ? at - 1 : 0;
	return last;
}

/* Of its own it looks like a host: with a dot or a port, or localhost. */
static void
split_registry(struct registry_path *ret)
{
	struct str rest = ret->name, first = str_cut(&rest, '/');

	if (rest.len == 0)
		return;
	if (memchr(first.p, '.', first.len) == NULL && memchr(first.p, ':', first.len) == NULL &&
	    !str_is(first, "localhost"))
		return;
	ret->registry = first;
	ret->name = rest;
}

static void
read_query(struct str query, struct registry_path *ret)
{
	struct str rest = query;

	ret->query = query;
	while (rest.len > 0) {
		struct str value = str_cut(&rest, '&'), name = str_cut(&value, '=');

		if (!str_is(name, "ns"))
			continue;
		ret->registry = value;
		if (value.p + value.len == query.p + query.len && name.p == query.p)
			ret->query = STR("");
	}
}

static bool
read_kind(struct str rest, struct registry_path *ret)
{
	static const struct {
		const char *name;
		enum registry_kind kind;
	} kinds[] = { { "manifests", REGISTRY_MANIFEST }, { "blobs", REGISTRY_BLOB }, { "tags", REGISTRY_TAGS },
		{ "referrers", REGISTRY_REFERRERS } };
	struct str name;

	ret->reference = cut_last(&rest, '/');
	name = cut_last(&rest, '/');
	ret->name = rest;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (str_is(name, kinds[i].name)) {
			ret->kind = kinds[i].kind;
			return true;
		}
	return false;
}

static bool
check_reference(struct registry_path *ret)
{
	struct str hex;

	ret->is_digest = registry_digest_read(ret->reference, &hex);
	switch (ret->kind) {
	case REGISTRY_MANIFEST:
		return ret->is_digest || is_tag(ret->reference);
	case REGISTRY_BLOB:
	case REGISTRY_REFERRERS:
		return ret->is_digest;
	case REGISTRY_TAGS:
		return str_is(ret->reference, "list");
	case REGISTRY_ROOT:
		break;
	}
	return false;
}

bool
registry_path_read(struct str path, struct registry_path *ret)
{
	struct str query = path, rest = str_cut(&query, '?');

	*ret = (struct registry_path){ .kind = REGISTRY_ROOT };
	if (str_is(rest, "/v2/") || str_is(rest, "/v2"))
		return true;
	if (!str_has_prefix(rest, "/v2/") || !read_kind((struct str){ rest.p + 4, rest.len - 4 }, ret))
		return false;
	read_query(query, ret);
	if (ret->registry.len == 0)
		split_registry(ret);
	return is_name(ret->name) && check_reference(ret);
}
