#include "server/conf_private.h"

#include <arpa/inet.h>
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"
#include "proto/platform.h"
#include "proto/units.h"

static_assert(sizeof(enum conf_pull) == sizeof(unsigned), "an enum is stored as unsigned");

bool
conf_wants(struct conf_reader *r, const struct conf_option *o, const struct yml_node *node, const char *what)
{
	if (yml_type(node) == YML_SCALAR)
		return yml_err(
		    r->doc, node, r->err, "%s: \"%.40s\" is not %s (%s)", o->key, yml_text(node), what, o->help);
	return yml_err(r->doc, node, r->err, "%s: wants %s, not %s (%s)", o->key, what, yml_type_name(node), o->help);
}

void
conf_replace(char **field, const char *text)
{
	free(*field);
	*field = xstrdup(text);
}

static bool
set_text(struct conf_reader *r, const struct conf_option *o, char **field, const struct yml_node *node)
{
	if (yml_type(node) != YML_SCALAR && yml_type(node) != YML_NULL)
		return conf_wants(r, o, node, "a text");
	conf_replace(field, yml_type(node) == YML_NULL ? "" : yml_text(node));
	return true;
}

/* scheme://rest with a rest that names something. */
static bool
url_fits(const struct conf_option *o, const char *url)
{
	for (size_t i = 0; o->words[i] != NULL; i++) {
		size_t len = strlen(o->words[i]);

		if (strncmp(url, o->words[i], len) == 0 && strncmp(url + len, "://", 3) == 0)
			return strcspn(url, " \t\r\n") == strlen(url) &&
			       (strcmp(o->words[i], "unix") == 0 ? url[len + 3] == '/' && url[len + 4] != '\0'
								 : strcspn(url + len + 3, "/:") > 0);
	}
	return false;
}

static bool
set_url(struct conf_reader *r, const struct conf_option *o, char **field, const struct yml_node *node)
{
	bool may_be_empty = o->fallback != NULL;
	char what[80] = "an address that begins with";
	size_t len;

	if (!set_text(r, o, field, node))
		return false;
	len = strlen(*field);
	if (len == 0 && may_be_empty)
		return true;
	if (!url_fits(o, *field)) {
		for (size_t i = 0; o->words[i] != NULL; i++)
			snprintf(what + strlen(what), sizeof(what) - strlen(what), "%s %s://", i > 0 ? " or" : "",
			    o->words[i]);
		return conf_wants(r, o, node, what);
	}
	while (strncmp(*field, "http", 4) == 0 && (*field)[len - 1] == '/')
		(*field)[--len] = '\0';
	return true;
}

static bool
is_listen_address(const char *s)
{
	const char *colon = strrchr(s, ':');
	uint64_t port;

	if (strncmp(s, "unix:", 5) == 0)
		return s[5] == '/' && s[6] != '\0';
	if (colon == NULL || colon == s || !str_to_u64(str_of(colon + 1), 65535, &port))
		return false;
	return s[0] == '[' ? colon[-1] == ']' : memchr(s, ':', (size_t)(colon - s)) == NULL;
}

static void
strings_fini(struct conf_strings *strings)
{
	for (size_t i = 0; i < strings->count; i++)
		free(strings->items[i]);
	free(strings->items);
	*strings = (struct conf_strings){ 0 };
}

/* As the system writes it, so that it can be compared as a text; free() it. NULL: it is none. */
static char *
listen_address(const char *s)
{
	return is_listen_address(s) ? xstrdup(s) : NULL;
}

static char *
ip_address(const char *s)
{
	int family = strchr(s, ':') != NULL ? AF_INET6 : AF_INET;
	unsigned char address[sizeof(struct in6_addr)];
	char text[INET6_ADDRSTRLEN];

	if (inet_pton(family, s, address) != 1)
		return NULL;
	return xstrdup(inet_ntop(family, address, text, sizeof(text)));
}

/* IPv4, since jobs have no other: an address, or a network without bits behind its length. */
static char *
network(const char *s)
{
	struct str length = str_of(s), address = str_cut(&length, '/');
	char *text = str_dup(address);
	struct in_addr in;
	uint64_t bits = 32;
	bool ok = inet_pton(AF_INET, text, &in) == 1 && (address.len == strlen(s) || str_to_u64(length, 32, &bits)) &&
		  bits > 0 && (bits == 32 || (ntohl(in.s_addr) & (UINT32_MAX >> bits)) == 0);

	free(text);
	return ok ? xstrdup(s) : NULL;
}

static char *
platform(const char *s)
{
	struct platform platform;

	return platform_parse(str_of(s), &platform, NULL) ? xstrdup(platform.text) : NULL;
}

static const struct {
	char *(*read)(const char *text);
	const char *wants;
	bool may_be_empty;
} lists[] = {
	[LISTEN] = { listen_address, "an address such as 127.0.0.1:8080, [::1]:8080 or unix:/path", false },
	[ADDRESSES] = { ip_address, "an IP address such as 10.0.0.2 or fd00::2", true },
	[PLATFORMS] = { platform, "a platform such as linux/amd64, linux/arm64 or linux/arm/v7", true },
	[NETWORKS] = { network, "an IPv4 address or network such as 10.0.0.0/8", true },
};

static bool
set_strings(struct conf_reader *r, const struct conf_option *o, struct conf_strings *field, const struct yml_node *node)
{
	bool single = yml_type(node) == YML_SCALAR;
	size_t count = single ? 1 : yml_count(node);
	bool may_be_empty = lists[o->type].may_be_empty || strcmp(o->fallback, "[]") == 0;

	if ((!single && yml_type(node) != YML_SEQUENCE) || (count == 0 && !may_be_empty))
		return conf_wants(r, o, node, o->type == PLATFORMS ? "a list of platforms" : "a list of addresses");
	if (o->max != 0 && count > o->max)
		return yml_err(r->doc, node, r->err, "%s: more than %u items", o->key, (unsigned)o->max);
	strings_fini(field);
	field->items = xcalloc(count + 1, sizeof(*field->items));
	for (size_t i = 0; i < count; i++) {
		const struct yml_node *item = single ? node : yml_at(node, i);

		field->items[i] = yml_type(item) == YML_SCALAR ? lists[o->type].read(yml_text(item)) : NULL;
		if (field->items[i] == NULL)
			return conf_wants(r, o, item, lists[o->type].wants);
		field->count++;
	}
	return true;
}

static void
map_fini(struct conf_map *map)
{
	for (size_t i = 0; i < map->count; i++) {
		free(map->pairs[i].name);
		free(map->pairs[i].value);
	}
	free(map->pairs);
	*map = (struct conf_map){ 0 };
}

static bool
set_map(struct conf_reader *r, const struct conf_option *o, struct conf_map *field, const struct yml_node *node)
{
	if (yml_type(node) != YML_MAPPING && yml_type(node) != YML_NULL)
		return conf_wants(r, o, node, "a mapping of texts");
	map_fini(field);
	field->pairs = xcalloc(yml_count(node), sizeof(*field->pairs));
	for (size_t i = 0; i < yml_count(node); i++) {
		const struct yml_node *value = yml_at(node, i);

		if (yml_type(value) != YML_SCALAR)
			return conf_wants(r, o, value, "a text");
		field->pairs[field->count++] =
		    (struct conf_pair){ xstrdup(yml_text(yml_key_at(node, i))), xstrdup(yml_text(value)) };
	}
	return true;
}

static bool
set_word(struct conf_reader *r, const struct conf_option *o, unsigned *field, const struct yml_node *node)
{
	char what[80] = "one of";

	for (unsigned i = 0; yml_type(node) == YML_SCALAR && o->words[i] != NULL; i++) {
		if (strcmp(yml_text(node), o->words[i]) == 0) {
			*field = i;
			return true;
		}
	}
	for (size_t i = 0; o->words[i] != NULL; i++)
		snprintf(what + strlen(what), sizeof(what) - strlen(what), "%s %s", i > 0 ? "," : "", o->words[i]);
	return conf_wants(r, o, node, what);
}

/* A number of processors, with up to three digits behind the point, in thousandths. */
static bool
cpus_parse(struct str s, uint64_t max, uint64_t *ret)
{
	struct str fraction = s, whole = str_cut(&fraction, '.');
	uint64_t ones, part = 0;

	if (!str_to_u64(whole, max / 1000, &ones) || fraction.len > 3)
		return false;
	if (whole.len < s.len && !str_to_u64(fraction, 999, &part))
		return false;
	for (size_t i = fraction.len; i < 3; i++)
		part *= 10;
	*ret = ones * 1000 + part;
	return *ret <= max;
}

static bool
out_of_range(struct conf_reader *r, const struct conf_option *o, const struct yml_node *node, bool low)
{
	static const char *const units[] = { [DURATION] = " seconds", [SIZE] = " bytes", [CPUS] = "/1000" };
	const char *unit = o->type == NUMBER ? "" : units[o->type];

	return yml_err(r->doc, node, r->err, "%s: %.40s is %s %" PRIu64 "%s (%s)", o->key, yml_text(node),
	    low ? "less than" : "more than", low ? o->min : o->max, unit, o->help);
}

/* The four types that are numbers behind different spellings. */
static bool
set_amount(struct conf_reader *r, const struct conf_option *o, char *field, const struct yml_node *node)
{
	struct str text = str_of(yml_text(node));
	const char *what = "a whole number";
	uint64_t n = 0;
	bool ok;

	if (o->type == DURATION) {
		what = "a duration such as 90s, 20m or 1h30m";
		ok = units_duration(text, UINT64_MAX, &n);
	} else if (o->type == SIZE) {
		what = "a size such as 512k, 64M or 2g";
		ok = units_size(text, UINT64_MAX, &n);
	} else if (o->type == CPUS) {
		what = "a number such as 2 or 1.5";
		ok = cpus_parse(text, UINT32_MAX, &n);
	} else {
		ok = str_to_u64(text, UINT64_MAX, &n);
	}
	if (!ok)
		return conf_wants(r, o, node, what);
	if (n < o->min || n > o->max)
		return out_of_range(r, o, node, n < o->min);
	if (o->type == SIZE)
		*(uint64_t *)(void *)field = n;
	else
		*(unsigned *)(void *)field = (unsigned)n;
	return true;
}

bool
conf_set_value(struct conf_reader *r, const struct conf_option *o, void *field, const struct yml_node *node)
{
	switch (o->type) {
	case TEXT:
		return set_text(r, o, field, node);
	case URL:
		return set_url(r, o, field, node);
	case LISTEN:
	case ADDRESSES:
	case NETWORKS:
	case PLATFORMS:
		return set_strings(r, o, field, node);
	case MAP:
		return set_map(r, o, field, node);
	case WORD:
		return set_word(r, o, field, node);
	case BOOL:
		return yml_to_bool(node, field) || conf_wants(r, o, node, "true or false");
	case NUMBER:
	case DURATION:
	case SIZE:
	case CPUS:
		return set_amount(r, o, field, node);
	case LIST:
		break;
	}
	assert(!"a list is no value");
	return false;
}

void
conf_value_fini(const struct conf_option *o, void *field)
{
	switch (o->type) {
	case TEXT:
	case URL:
		free(*(char **)field);
		break;
	case LISTEN:
	case ADDRESSES:
	case NETWORKS:
	case PLATFORMS:
		strings_fini(field);
		break;
	case MAP:
		map_fini(field);
		break;
	case WORD:
	case BOOL:
	case NUMBER:
	case DURATION:
	case SIZE:
	case CPUS:
	case LIST:
		break;
	}
}
