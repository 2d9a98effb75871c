#include "server/mirror/target.h"

#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"
#include "proto/url.h"

static const struct mirror_kind kinds[] = {
	{ "proxy", false }, /* the form of a proxy; not a name in URLs */
	{ "generic", false },
	{ "apt", true },
};

static const struct mirror_kind *
find_kind(struct str name)
{
	for (size_t i = 1; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (str_is(name, kinds[i].name))
			return &kinds[i];
	return NULL;
}

static char *
lower_host(struct str host)
{
	char *text = str_dup(host);

	for (char *p = text; *p != '\0'; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p |= 0x20;
	return text;
}

static void
set_key(struct target *t)
{
	char name[ORIGIN_SIZE];

	origin_print(&t->origin, name);
	t->key = xasprintf("%s%s", name, t->path);
}

void
target_fini(struct target *t)
{
	free((char *)(uintptr_t)t->origin.host);
	free(t->path);
	free(t->key);
	*t = (struct target){ 0 };
}

static bool
set_host(struct target *t, struct str authority, const struct upstreams *upstreams, struct err *err)
{
	const struct upstream_rule *rule;
	struct str host;
	unsigned port;

	if (!url_split_host(authority, &host, &port) || host.len > 255)
		return err_set(err, ERR_INPUT, 0, "the upstream's host is malformed");
	t->origin.host = lower_host(host);
	rule = upstreams_rule(upstreams, t->origin.host, port);
	if (rule == NULL && port == 0)
		rule = upstreams_rule(upstreams, t->origin.host, t->origin.is_tls ? 443 : 80);
	if (rule == NULL)
		return err_set(err, ERR_REFUSED, 0, "%.100s is not among the mirror's upstreams (mirror.upstreams)",
		    t->origin.host);
	if (t->kind != &kinds[0])
		t->origin.is_tls = !rule->is_clear;
	t->origin.port = port != 0 ? port : t->origin.is_tls ? 443 : 80;
	return true;
}

static bool
is_absolute(const struct http1_head *request)
{
	return request->target.len > 0 && request->target.p[0] != '/' && request->target.p[0] != '*';
}

static bool
read_proxy(const struct http1_head *request, const struct upstreams *upstreams, struct target *t, struct err *err)
{
	t->kind = &kinds[0];
	t->origin.is_tls = (request->target.p[4] | 0x20) == 's';
	t->path = str_dup(request->path);
	return set_host(t, request->host, upstreams, err);
}

static bool
read_own(const struct http1_head *request, const struct upstreams *upstreams, struct target *t, struct err *err)
{
	struct str rest = request->path, host;
	const char *slash;

	str_cut(&rest, '/');
	t->kind = find_kind(str_cut(&rest, '/'));
	if (t->kind == NULL)
		return err_set(
		    err, ERR_NOT_FOUND, 0, "the mirror has no such path; ask for /generic/HOST/PATH, or as of a proxy");
	slash = rest.len > 0 ? memchr(rest.p, '/', rest.len) : NULL;
	host = (struct str){ rest.p, slash != NULL ? (size_t)(slash - rest.p) : rest.len };
	t->path = slash != NULL ? str_dup((struct str){ slash, rest.len - host.len }) : xstrdup("/");
	return set_host(t, host, upstreams, err);
}

bool
target_read(const struct http1_head *request, const struct upstreams *upstreams, struct target *ret, struct err *err)
{
	bool ok;

	*ret = (struct target){ 0 };
	if (is_absolute(request))
		ok = read_proxy(request, upstreams, ret, err);
	else if (request->path.len > 0 && request->path.p[0] == '/')
		ok = read_own(request, upstreams, ret, err);
	else
		ok = err_set(err, ERR_INPUT, 0, "the mirror serves paths and absolute URLs");
	if (ok)
		set_key(ret);
	else
		target_fini(ret);
	return ok;
}

static void
take_url(struct target *t, const struct url *url)
{
	t->origin =
	    (struct origin){ .is_tls = url->scheme == URL_HTTPS, .host = xstrdup(url->host), .port = url->port };
	t->path = xstrdup(url->path[0] != '\0' ? url->path : "/");
}

/* The path's folder and what stands in it; enough for what servers send. */
static char *
join_path(const char *from, struct str location)
{
	size_t len = strcspn(from, "?");

	if (location.len > 0 && location.p[0] == '/')
		return str_dup(location);
	if (location.len == 0 || location.p[0] == '?')
		return xasprintf("%.*s%.*s", (int)len, from, (int)location.len, location.p);
	while (len > 0 && from[len - 1] != '/')
		len--;
	return xasprintf("%.*s%.*s", (int)len, from, (int)location.len, location.p);
}

/* A colon in front of the path. */
static bool
has_scheme(struct str location)
{
	for (size_t i = 0; i < location.len && location.p[i] != '/' && location.p[i] != '?'; i++)
		if (location.p[i] == ':')
			return true;
	return false;
}

bool
target_resolve(const struct target *from, struct str location, struct target *ret)
{
	struct url url;
	struct err err;
	char *text = NULL;
	struct str whole = str_cut(&location, '#');

	*ret = (struct target){ .kind = from->kind };
	if (str_has_prefix(whole, "//")) {
		text = xasprintf("%s:%.*s", from->origin.is_tls ? "https" : "http", (int)whole.len, whole.p);
		whole = str_of(text);
	}
	if (url_parse(whole, URL_NO_USERINFO, &url, &err)) {
		if (url.scheme == URL_HTTP || url.scheme == URL_HTTPS)
			take_url(ret, &url);
		url_fini(&url);
	} else if (!has_scheme(whole)) {
		ret->origin = from->origin;
		ret->origin.host = xstrdup(from->origin.host);
		ret->path = join_path(from->path, whole);
	}
	free(text);
	if (ret->path != NULL)
		set_key(ret);
	return ret->path != NULL;
}
