#include "proto/image.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "proto/mem.h"

static bool
is_lower_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool
is_alnum(char c)
{
	return is_lower_alnum(c) || (c >= 'A' && c <= 'Z');
}

static bool
is_hex(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'f')))
			return false;
	return true;
}

/* The name may be anything: only a printable beginning of it is repeated. */
static bool
refuse(struct err *err, struct str text, const char *why)
{
	char shown[81];
	size_t len = text.len < sizeof(shown) - 1 ? text.len : sizeof(shown) - 1;

	for (size_t i = 0; i < len; i++)
		shown[i] = text.p[i] >= 0x20 && text.p[i] < 0x7f ? text.p[i] : '?';
	shown[len] = '\0';
	return err_set(err, ERR_INPUT, 0, "image \"%s%s\": %s", shown, len < text.len ? "..." : "", why);
}

static bool
host_is_valid(struct str s)
{
	if (s.len == 0 || s.p[s.len - 1] == '.')
		return false;
	while (s.len > 0) {
		struct str label = str_cut(&s, '.');

		if (label.len == 0 || !is_alnum(label.p[0]) || !is_alnum(label.p[label.len - 1]))
			return false;
		for (size_t i = 0; i < label.len; i++)
			if (!is_alnum(label.p[i]) && label.p[i] != '-')
				return false;
	}
	return true;
}

/* Of an IPv6 address without its brackets; whether it is one is the engine's to say. */
static bool
address_is_valid(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!isxdigit((unsigned char)s.p[i]) && s.p[i] != ':')
			return false;
	return s.len > 0;
}

/* HOST, HOST:PORT or [ADDRESS]:PORT. */
static bool
registry_is_valid(struct str s)
{
	bool bracket = s.p[0] == '[';
	const char *end = bracket ? memchr(s.p, ']', s.len) : memchr(s.p, ':', s.len);
	struct str host = { s.p, end != NULL ? (size_t)(end - s.p) : s.len };
	struct str port = { host.p + host.len, s.len - host.len };
	uint64_t number;

	if (bracket && end == NULL)
		return false;
	if (bracket) {
		host.p++;
		host.len--;
		port.p++;
		port.len--;
	}
	if (!(bracket ? address_is_valid(host) : host_is_valid(host)))
		return false;
	return port.len == 0 ||
	       (port.p[0] == ':' && str_to_u64((struct str){ port.p + 1, port.len - 1 }, UINT16_MAX, &number));
}

/* Lower-case letters and digits; between them ".", "_", "__" or any number of "-". */
static bool
component_is_valid(struct str s)
{
	size_t i = 0;

	if (s.len == 0 || !is_lower_alnum(s.p[0]) || !is_lower_alnum(s.p[s.len - 1]))
		return false;
	while (i < s.len) {
		size_t from = i;
		char c = s.p[i];

		while (i < s.len && s.p[i] == c)
			i++;
		if (!is_lower_alnum(c) && c != '-' && !(c == '.' && i - from == 1) && !(c == '_' && i - from <= 2))
			return false;
		if (!is_lower_alnum(c) && !is_lower_alnum(s.p[i]))
			return false;
	}
	return true;
}

static bool
repository_is_valid(struct str s)
{
	if (s.len == 0 || s.p[s.len - 1] == '/')
		return false;
	while (s.len > 0)
		if (!component_is_valid(str_cut(&s, '/')))
			return false;
	return true;
}

static bool
tag_is_valid(struct str s)
{
	if (s.len == 0 || s.len > 128 || s.p[0] == '.' || s.p[0] == '-')
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (!is_alnum(s.p[i]) && s.p[i] != '_' && s.p[i] != '.' && s.p[i] != '-')
			return false;
	return true;
}

static bool
digest_is_valid(struct str s)
{
	struct str algorithm = str_cut(&s, ':');

	return is_hex(s) &&
	       ((str_is(algorithm, "sha256") && s.len == 64) || (str_is(algorithm, "sha512") && s.len == 128));
}

static void
copy(char *to, struct str s)
{
	memcpy(to, s.p, s.len);
	to[s.len] = '\0';
}

/* Whether s names a registry and not the first part of a path on docker.io. */
static bool
is_registry(struct str s)
{
	if (str_is(s, "localhost") || memchr(s.p, '.', s.len) != NULL || memchr(s.p, ':', s.len) != NULL)
		return true;
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] >= 'A' && s.p[i] <= 'Z')
			return true;
	return false;
}

static bool
parse_name(struct str text, struct str name, struct image_ref *ret, struct err *err)
{
	struct str path = name, registry = { NULL, 0 };
	const char *slash = memchr(name.p, '/', name.len);
	int len;

	if (slash != NULL && is_registry((struct str){ name.p, (size_t)(slash - name.p) })) {
		registry = str_cut(&path, '/');
		if (!registry_is_valid(registry))
			return refuse(err, text, "the part before the first '/' is not a registry's host[:port]");
	}
	if (!repository_is_valid(path))
		return refuse(err, text,
		    "a name has lower-case letters and digits, with '.', '_', '__' or '-' between them and '/' between "
		    "parts");
	if (registry.len == 0 && slash == NULL && path.len == 64 && is_hex(path))
		return refuse(err, text, "64 hex digits are an image's id, not its name");
	if (str_is(registry, "index.docker.io") || str_is(registry, "docker.io"))
		registry = (struct str){ NULL, 0 };
	snprintf(ret->registry, sizeof(ret->registry), "%.*s", registry.len > 0 ? (int)registry.len : 9,
	    registry.len > 0 ? registry.p : "docker.io");
	len = snprintf(ret->repository, sizeof(ret->repository), "%s%.*s",
	    registry.len == 0 && memchr(path.p, '/', path.len) == NULL ? "library/" : "", (int)path.len, path.p);
	if (strlen(ret->registry) + 1 + (size_t)len > IMAGE_NAME_MAX)
		return refuse(err, text, "longer than 255 characters");
	return true;
}

bool
image_parse(struct str text, struct image_ref *ret, struct err *err)
{
	struct image_ref ref = { .registry = "" };
	struct str name, digest = text;
	const char *colon;

	if (text.len == 0)
		return err_set(err, ERR_INPUT, 0, "an image's name is missing");
	if (text.len > sizeof(ref))
		return refuse(err, text, "longer than 255 characters");
	name = str_cut(&digest, '@');
	if (name.len < text.len) {
		if (!digest_is_valid(digest))
			return refuse(err, text, "'@' must be followed by sha256: and 64 lower-case hex digits");
		copy(ref.digest, digest);
	}
	colon = memrchr(name.p, ':', name.len);
	if (colon != NULL && memchr(colon, '/', name.len - (size_t)(colon - name.p)) == NULL) {
		struct str tag = { colon + 1, name.len - (size_t)(colon + 1 - name.p) };
		if (!tag_is_valid(tag))
			return refuse(err, text,
			    "a tag has 1 to 128 letters, digits, '_', '.' and '-', the first of them no '.' or '-'");
		copy(ref.tag, tag);
		name.len = (size_t)(colon - name.p);
	} else if (ref.digest[0] == '\0') {
		copy(ref.tag, STR("latest"));
	}
	if (name.len > IMAGE_NAME_MAX)
		return refuse(err, text, "longer than 255 characters");
	if (!parse_name(text, name, &ref, err))
		return false;
	*ret = ref;
	return true;
}

size_t
image_first_beside(const struct strings *names, const char *name)
{
	struct image_ref ref, other;
	size_t i = 0;

	if (!image_parse(str_of(name), &ref, NULL))
		ref = (struct image_ref){ .tag = "" }; /* beside none but itself */
	while (i < names->count && strcmp(names->items[i], name) != 0 &&
	       !(image_parse(str_of(names->items[i]), &other, NULL) && strcmp(other.registry, ref.registry) == 0 &&
		   strcmp(other.repository, ref.repository) == 0))
		i++;
	return i;
}

char *
image_print(const struct image_ref *ref)
{
	return xasprintf("%s/%s%s%s%s%s", ref->registry, ref->repository, ref->tag[0] != '\0' ? ":" : "", ref->tag,
	    ref->digest[0] != '\0' ? "@" : "", ref->digest);
}
