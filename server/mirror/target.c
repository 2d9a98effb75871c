#include "server/mirror/target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"
#include "proto/registry_path.h"
#include "proto/url.h"

#define TAG_FRESH_S 60

static char *
lower_host(struct str host)
{
	char *text = str_dup(host);

	for (char *p = text; *p != '\0'; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p |= 0x20;
	return text;
}

static char *
join(const char *const *parts, size_t count)
{
	size_t len = 0;
	char *text, *end;

	for (size_t i = 0; i < count; i++)
		len += strlen(parts[i]);
	text = end = xcalloc(1, len + 1);
	for (size_t i = 0; i < count; i++)
		end = stpcpy(end, parts[i]);
	return text;
}

/* Made for each request: without printf. */
static void
set_key(struct target *t)
{
	char name[ORIGIN_SIZE];
	const char *const parts[] = { t->as != NULL ? t->as->identity : "", t->as != NULL ? " " : "",
		t->is_tag ? "HEAD " : "", t->links != NULL ? t->links : "", t->links != NULL ? " " : "", name,
		t->path };

	origin_print(&t->origin, name);
	t->key = join(parts, sizeof(parts) / sizeof(parts[0]));
}

void
target_fini(struct target *t)
{
	free((char *)(uintptr_t)t->origin.host);
	free(t->path);
	free(t->alternate);
	free(t->key);
	free(t->scope);
	free(t->links);
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
	if (t->form != TARGET_PROXY)
		t->origin.is_tls = !rule->is_clear;
	t->origin.port = port != 0 ? port : t->origin.is_tls ? 443 : 80;
	return true;
}

static bool
is_absolute(const struct http1_head *request)
{
	return request->target.len > 0 && request->target.p[0] != '/' && request->target.p[0] != '*';
}

/* A text that names URLs names ours in their place. To PyPI's clients a path will do; the others want the whole URL,
 * which is that by which the client has come. */
static void
apply_policy(struct target *t, enum package_kind kind, const struct http1_head *request)
{
	struct package_policy policy = package_policy_of(kind, str_of(t->path));

	t->kind = kind;
	t->fresh_s = policy.fresh_s;
	memcpy(t->digest, policy.digest, sizeof(policy.digest));
	if (policy.has_urls && kind == PACKAGE_PYPI)
		t->links = xstrdup("/pypi/");
	else if (policy.has_urls)
		t->links =
		    xasprintf("http://%.*s/%s/", (int)request->host.len, request->host.p, package_kind_name(kind));
}

static bool
has_end(const char *path, const char *end)
{
	size_t len = strlen(path), end_len = strlen(end);

	return len >= end_len && strcmp(path + len - end_len, end) == 0;
}

static bool
read_proxy(const struct http1_head *request, const struct upstreams *upstreams, struct target *t, struct err *err)
{
	t->form = TARGET_PROXY;
	t->origin.is_tls = (request->target.p[4] | 0x20) == 's';
	t->path = str_dup(request->path);
	if (strstr(t->path, "/dists/") != NULL || has_end(t->path, ".deb") || has_end(t->path, ".udeb"))
		apply_policy(t, PACKAGE_APT, request);
	return set_host(t, request->host, upstreams, err);
}

/* --- registries --- */

/* Docker Hub has several names, and the one that is configured in its place. */
/* As a path has it: pip writes the colon before a port as %3A. */
static bool
set_host_of_path(struct target *t, struct str segment, const struct upstreams *upstreams, struct err *err)
{
	struct buf host;
	bool ok;

	if (segment.len == 0 || memchr(segment.p, '%', segment.len) == NULL)
		return set_host(t, segment, upstreams, err);
	buf_init(&host, 300);
	ok = (url_decode(&host, segment) || err_set(err, ERR_INPUT, 0, "the upstream's host is malformed")) &&
	     set_host(t, buf_str(&host), upstreams, err);
	buf_fini(&host);
	return ok;
}

static bool
is_default_registry(struct str name)
{
	return name.len == 0 || str_is(name, "docker.io") || str_is(name, "index.docker.io") ||
	       str_is(name, "registry-1.docker.io");
}

static bool
set_registry(struct target *t, struct str name, const struct upstreams *upstreams, struct err *err)
{
	const struct origin *origin = upstreams_registry(upstreams);

	if (is_default_registry(name)) {
		t->origin = *origin;
		t->origin.host = xstrdup(origin->host);
		return true;
	}
	return set_host_of_path(t, name, upstreams, err);
}

static bool
is_hub_host(const char *host)
{
	return has_end(host, "docker.io");
}

static void
set_registry_path(struct target *t, const struct registry_path *path)
{
	static const char *const parts[] = { [REGISTRY_ROOT] = "",
		[REGISTRY_MANIFEST] = "manifests",
		[REGISTRY_BLOB] = "blobs",
		[REGISTRY_TAGS] = "tags",
		[REGISTRY_REFERRERS] = "referrers" };
	bool is_hub = is_hub_host(t->origin.host);
	const char *prefix = is_hub && memchr(path->name.p, '/', path->name.len) == NULL ? "library/" : "";
	char origin[ORIGIN_SIZE];
	struct str hex;

	origin_print(&t->origin, origin);
	t->scope = xasprintf("%s/%s%.*s", origin, prefix, (int)path->name.len, path->name.p);
	t->path = xasprintf("/v2/%s%.*s/%s/%.*s%s%.*s", prefix, (int)path->name.len, path->name.p, parts[path->kind],
	    (int)path->reference.len, path->reference.p, path->query.len > 0 ? "?" : "", (int)path->query.len,
	    path->query.p);
	t->is_tag = path->kind == REGISTRY_MANIFEST && !path->is_digest;
	t->fresh_s = path->is_digest && path->kind != REGISTRY_REFERRERS ? TARGET_FOREVER : TAG_FRESH_S;
	if (path->kind != REGISTRY_REFERRERS && registry_digest_read(path->reference, &hex))
		snprintf(t->digest, sizeof(t->digest), "%.*s", (int)hex.len, hex.p);
}

static bool
read_registry(const struct http1_head *request, const struct upstreams *upstreams, struct target *t, struct err *err)
{
	struct registry_path path;

	t->form = TARGET_REGISTRY;
	t->follows = true;
	if (!registry_path_read(request->path, &path) || path.kind == REGISTRY_ROOT)
		return err_set(err, ERR_NOT_FOUND, 0, "the path is none of a registry's pull");
	if (path.kind == REGISTRY_MANIFEST || path.kind == REGISTRY_BLOB)
		path.query = STR("");
	if (!set_registry(t, path.registry, upstreams, err))
		return false;
	set_registry_path(t, &path);
	return true;
}

static bool
read_own(const struct http1_head *request, const struct upstreams *upstreams, struct target *t, struct err *err)
{
	struct str rest = request->path, host;
	enum package_kind kind;
	const char *slash;

	if (str_has_prefix(rest, "/v2/"))
		return read_registry(request, upstreams, t, err);

	str_cut(&rest, '/');
	t->form = TARGET_PACKAGES;
	if (!package_kind_from_name(str_cut(&rest, '/'), &kind))
		return err_set(
		    err, ERR_NOT_FOUND, 0, "the mirror has no such path; ask for /generic/HOST/PATH, or as of a proxy");
	slash = rest.len > 0 ? memchr(rest.p, '/', rest.len) : NULL;
	host = (struct str){ rest.p, slash != NULL ? (size_t)(slash - rest.p) : rest.len };
	t->path = slash != NULL ? str_dup((struct str){ slash, rest.len - host.len }) : xstrdup("/");
	t->follows = kind != PACKAGE_GENERIC;
	apply_policy(t, kind, request);
	return set_host_of_path(t, host, upstreams, err);
}

bool
target_read(const struct http1_head *request, const struct upstreams *upstreams, struct target *ret, struct err *err)
{
	bool ok;

	*ret = (struct target){ .fresh_s = TARGET_BY_HTTP };
	if (is_absolute(request))
		ok = read_proxy(request, upstreams, ret, err);
	else if (request->path.len > 0 && request->path.p[0] == '/')
		ok = read_own(request, upstreams, ret, err);
	else
		ok = err_set(err, ERR_INPUT, 0, "the mirror serves paths and absolute URLs");
	if (!ok)
		target_fini(ret);
	else
		set_key(ret);
	return ok;
}

void
target_ask_as(struct target *t, const struct upstream_rule *rule)
{
	char *scope = t->scope;

	t->as = rule;
	if (scope != NULL)
		t->scope = xasprintf("%s %s", rule->identity, scope);
	free(scope);
	free(t->key);
	set_key(t);
}

void
target_copy(struct target *to, const struct target *from)
{
	*to = *from;
	to->origin.host = xstrdup(from->origin.host);
	to->path = xstrdup(from->path);
	to->alternate = xstrdup_null(from->alternate);
	to->key = xstrdup(from->key);
	to->scope = xstrdup_null(from->scope);
	to->links = xstrdup_null(from->links);
}

enum digest_kind
target_digest_kind(const struct target *t)
{
	switch (strlen(t->digest)) {
	case 0:
		return DIGEST_NONE;
	case SHA512_HEX_SIZE - 1:
		return DIGEST_SHA512;
	}
	return DIGEST_SHA256;
}

const char *
target_digest_name(const struct target *t)
{
	return target_digest_kind(t) == DIGEST_SHA512 ? "sha512" : "sha256";
}

void
target_beside(const struct target *from, const char *path, struct target *ret)
{
	struct package_policy policy = package_policy_of(from->kind, str_of(path));

	target_copy(ret, from);
	free(ret->path);
	free(ret->key);
	free(ret->alternate);
	ret->path = xstrdup(path);
	ret->alternate = NULL;
	ret->fresh_s = policy.fresh_s;
	snprintf(ret->digest, sizeof(ret->digest), "%s", policy.digest);
	set_key(ret);
}

void
target_set_version(struct target *t, const char *word)
{
	char *key = xasprintf("%s %s", word, t->key);

	free(t->key);
	t->key = key;
}

void
target_set_place(struct target *t, const char *path, bool asks)
{
	char *plain = t->path;

	t->path = xstrdup(path);
	free(t->key);
	set_key(t);
	free(t->alternate);
	t->alternate = NULL;
	if (asks) {
		t->alternate = plain;
	} else {
		free(t->path);
		t->path = plain;
	}
}

void
target_by_tag(const struct target *from, struct target *ret)
{
	target_copy(ret, from);
	ret->is_tag = false;
	free(ret->key);
	set_key(ret);
}

bool
target_by_digest(const struct target *from, struct str digest, struct target *ret)
{
	struct str hex;

	if (!registry_digest_read(digest, &hex))
		return false;
	target_copy(ret, from);
	free(ret->key);
	free(ret->path);
	ret->path = xasprintf(
	    "%.*s%.*s", (int)(strrchr(from->path, '/') + 1 - from->path), from->path, (int)digest.len, digest.p);
	ret->is_tag = false;
	ret->fresh_s = TARGET_FOREVER;
	snprintf(ret->digest, sizeof(ret->digest), "%.*s", (int)hex.len, hex.p);
	set_key(ret);
	return true;
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

	*ret = (struct target){ .form = from->form,
		.kind = from->kind,
		.fresh_s = from->fresh_s,
		.follows = from->follows,
		.scope = xstrdup_null(from->scope) };
	memcpy(ret->digest, from->digest, sizeof(ret->digest));
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
	if (ret->path != NULL && origin_is_same(&from->origin, &ret->origin))
		ret->as = from->as; /* a login goes nowhere else */
	if (ret->path != NULL)
		set_key(ret);
	else
		target_fini(ret);
	return ret->key != NULL;
}
