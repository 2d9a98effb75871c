#include "server/conf_private.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/image_aliases.h"
#include "proto/mem.h"
#include "proto/nearest.h"
#include "proto/platform.h"

#define DAY 86400u

static const char *const log_levels[] = { "error", "warn", "info", "debug", NULL };
static const char *const buildkits[] = { "off", "isolated", "on", NULL };
static const char *const pulls[] = { "missing", "always", NULL };
static const char *const starttls[] = { "auto", "required", "off", NULL };
static const char *const web_schemes[] = { "http", "https", NULL };
static const char *const redis_schemes[] = { "unix", "redis", NULL };
static const char *const engine_schemes[] = { "unix", "tcp", NULL };
static const char *const smtp_schemes[] = { "smtp", "smtps", NULL };

#define AT(member) offsetof(struct conf, member)
#define ENGINE(member) offsetof(struct conf_engine, member)
#define UPSTREAM(member) offsetof(struct conf_upstream, member)
#define UPSTREAMS                                                                                                    \
	"[{host: \"*.debian.org\"}, {host: \"*.ubuntu.com\"}, {host: \"*.alpinelinux.org\"}, "                       \
	"{host: registry.npmjs.org}, {host: pypi.org}, {host: files.pythonhosted.org}, {host: proxy.golang.org}, "   \
	"{host: sum.golang.org}, {host: repo.maven.apache.org}, {host: index.crates.io}, {host: static.crates.io}, " \
	"{host: ghcr.io}, {host: quay.io}]"
#define ALIAS(pattern, image) "\"" pattern "\": \"" image "\""
#define NEXT_ALIAS(pattern, image) ", " ALIAS(pattern, image)
#define ALIASES "{" IMAGE_ALIASES(ALIAS, NEXT_ALIAS) "}"

#define OPTION(key_, type_, offset_, fallback_, help_, ...)                                                        \
	{                                                                                                          \
		.key = key_, .type = type_, .offset = offset_, .fallback = fallback_, .help = help_, ##__VA_ARGS__ \
	}

/* The one table: documentation and sample are checked against it (test/conf-options.sh). */
/* clang-format off */
static const struct conf_option options[] = {
	OPTION("listen", LISTEN, AT(listen), "[\"127.0.0.1:8080\"]", "addresses to listen on: host:port or unix:/path"),
	OPTION("trusted_proxies", ADDRESSES, AT(trusted_proxies), "[\"127.0.0.1\", \"::1\"]",
	  "addresses of proxies whose word for a client's address counts", .max = 64),
	OPTION("url", URL, AT(url), "\"\"", "where people and forges reach the server, for links", .words = web_schemes),
	OPTION("state_dir", TEXT, AT(state_dir), "/var/lib/davit", "folder of everything that the server keeps on disk"),
	OPTION("templates", TEXT, AT(templates), "\"\"", "folder of texts, NAME.yml, that pipelines include by name; empty: none"),
	OPTION("node", TEXT, AT(node), "\"\"", "this server's name among several on one Redis; empty: the host's name"),
	OPTION("log_level", WORD, AT(log_level), "info", "least important message that is logged", .words = log_levels),

	OPTION("redis.url", URL, AT(redis.url), "\"\"", "an external Redis; empty: a private one is started below state_dir",
	  .words = redis_schemes),
	OPTION("redis.password_file", TEXT, AT(redis.password_file), "\"\"", "file with the external Redis's password"),
	OPTION("redis.allow_weak_persistence", BOOL, AT(redis.allow_weak_persistence), "false",
	  "accept an external Redis that may lose what it confirmed"),
	OPTION("redis.private_binary", TEXT, AT(redis.private_binary), "redis-server", "program of the private Redis"),

	OPTION("engines", LIST, AT(engines), "[{url: \"unix:///var/run/docker.sock\"}]", "Docker or Podman engines that run the jobs",
	  .max = 256, .item_size = sizeof(struct conf_engine), .count_offset = AT(engine_count)),
	OPTION("engines.url", URL, ENGINE(url), NULL, "the engine's socket", .words = engine_schemes),
	OPTION("engines.slots", NUMBER, ENGINE(slots), "2", "jobs that it runs at the same time", .min = 1, .max = 1024),
	OPTION("engines.name", TEXT, ENGINE(name), "\"\"", "its name in logs and lists; empty: engine1, engine2 ..."),
	OPTION("engines.labels", MAP, ENGINE(labels), "{}", "what jobs with labels look for, as {arch: arm64}"),
	OPTION("engines.platforms", PLATFORMS, ENGINE(platforms), "[]", "platforms whose images it builds and runs, as linux/arm64; none: its own",
	  .max = PLATFORMS_MAX),
	OPTION("engines.mirror", TEXT, ENGINE(mirror), "\"\"", "HOST:PORT where it finds the mirror; off; empty: this machine's, if it can"),
	OPTION("engines.tls.ca", TEXT, ENGINE(tls.ca), "\"\"", "file with the certificates that may sign the engine's"),
	OPTION("engines.tls.cert", TEXT, ENGINE(tls.cert), "\"\"", "file with our certificate"),
	OPTION("engines.tls.key", TEXT, ENGINE(tls.key), "\"\"", "file with our certificate's key"),

	OPTION("builder.warm_images", NUMBER, AT(builder.warm_images), "2", "images for which started containers are kept ready",
	  .max = 64),
	OPTION("builder.warm_per_image", NUMBER, AT(builder.warm_per_image), "1", "how many of them for each image", .min = 1,
	  .max = 16),
	OPTION("builder.timeout", DURATION, AT(builder.timeout_s), "60m", "time limit of a job that sets none itself", .min = 1,
	  .max = 7 * DAY),
	OPTION("builder.log_limit", SIZE, AT(builder.log_limit), "64M", "size of a job's log at which the job is ended", .min = 1024,
	  .max = 1ull << 40),
	OPTION("builder.memory", SIZE, AT(builder.memory), "2g", "memory limit of a job's container; 0: none", .max = 1ull << 50),
	OPTION("builder.cpus", CPUS, AT(builder.cpu_milli), "0", "processors of a job's container; 0: all but one", .max = 1024000),
	OPTION("builder.pids", NUMBER, AT(builder.pids), "512", "processes and threads of a job's container", .min = 16,
	  .max = 1 << 20),
	OPTION("builder.blocked", NETWORKS, AT(builder.blocked), "[]", "addresses and networks that jobs must not reach, as 10.0.0.0/8",
	  .max = 64),
	OPTION("builder.pull", WORD, AT(builder.pull), "missing", "when an image is fetched from its registry", .words = pulls),
	OPTION("builder.buildkit", WORD, AT(builder.buildkit), "isolated", "what becomes of Dockerfiles that only BuildKit understands", .words = buildkits),

	OPTION("smtp.url", URL, AT(smtp.url), "\"\"", "mail server; empty: no mail is sent", .words = smtp_schemes),
	OPTION("smtp.user", TEXT, AT(smtp.user), "\"\"", "login at the mail server"),
	OPTION("smtp.password_file", TEXT, AT(smtp.password_file), "\"\"", "file with the login's password"),
	OPTION("smtp.from", TEXT, AT(smtp.from), "\"\"", "sender's address of all mail"),
	OPTION("smtp.starttls", WORD, AT(smtp.starttls), "auto", "encryption on smtp://: when offered, always, never",
	  .words = starttls),
	OPTION("smtp.ca", TEXT, AT(smtp.ca), "\"\"", "file with the certificates that may sign the mail server's; empty: the system's"),

	OPTION("image_aliases", MAP, AT(image_aliases), ALIASES, "images to take in the place of others; * stands for any text"),

	OPTION("keep.builds", NUMBER, AT(keep.builds), "1000", "finished builds kept of each repository", .min = 1, .max = 1000000),

	OPTION("artifacts.size", SIZE, AT(artifacts.size), "1g", "most that one artifact's files may have", .min = 1024,
	  .max = 1ull << 40),
	OPTION("artifacts.job_size", SIZE, AT(artifacts.job_size), "2g", "most that all artifacts of a job may have", .min = 1024,
	  .max = 1ull << 40),
	OPTION("artifacts.repo_size", SIZE, AT(artifacts.repo_size), "20g", "room on disk for the artifacts of one repository",
	  .min = 1024, .max = 1ull << 50),
	OPTION("artifacts.expire", DURATION, AT(artifacts.expire_s), "30d", "how long an artifact is kept that says nothing else",
	  .min = 60, .max = 10 * 365 * DAY),

	OPTION("caches.size", SIZE, AT(caches.size), "5g", "most that one cache may have", .min = 1024, .max = 1ull << 40),
	OPTION("caches.total_size", SIZE, AT(caches.total_size), "50g", "room on disk for all caches; the longest unused give way",
	  .min = 0, .max = 1ull << 50),
	OPTION("caches.max_age", DURATION, AT(caches.max_age_s), "30d", "how long a cache is kept that nobody uses", .min = 60,
	  .max = 10 * 365 * DAY),

	OPTION("git.full", BOOL, AT(git.full), "false", "a job's checkout has all history, not its commit alone"),
	OPTION("git.allow_local", BOOL, AT(git.allow_local), "false", "repositories may be paths and file:// URLs of this machine"),
	OPTION("git.timeout", DURATION, AT(git.timeout_s), "5m", "time limit of one fetch", .min = 1, .max = DAY),

	OPTION("forge.ca", TEXT, AT(forge.ca), "\"\"", "file with the certificates that may sign a forge's; empty: the system's"),

	OPTION("hook.max_body", SIZE, AT(hook.max_body), "26M", "largest delivery that is accepted from a forge", .min = 1024,
	  .max = 1ull << 30),
	OPTION("hook.poll", DURATION, AT(hook.poll_s), "5m", "how often missed pushes are looked for; 0s: never", .max = DAY),
	OPTION("hook.watch", DURATION, AT(hook.watch_s), "1m", "how often tags that environments follow are asked about; 0s: never",
	    .max = DAY),

	OPTION("mirror.listen", LISTEN, AT(mirror.listen), "[]", "addresses at which the mirror listens; none: there is no mirror"),
	OPTION("mirror.upstreams", LIST, AT(mirror.upstreams), UPSTREAMS, "servers that the mirror may ask",
	  .max = 1024, .item_size = sizeof(struct conf_upstream), .count_offset = AT(mirror.upstream_count)),
	OPTION("mirror.upstreams.host", TEXT, UPSTREAM(host), NULL, "a name, an address or *.domain, with :port or without"),
	OPTION("mirror.upstreams.private", BOOL, UPSTREAM(is_private), "false",
	  "its addresses may be of a private network, or this machine's"),
	OPTION("mirror.upstreams.clear", BOOL, UPSTREAM(is_clear), "false", "it is asked by http, not https"),
	OPTION("mirror.upstreams.user", TEXT, UPSTREAM(user), "\"\"", "login there, for clients that show an access token"),
	OPTION("mirror.upstreams.password_file", TEXT, UPSTREAM(password_file), "\"\"", "file with the login's password"),
	OPTION("mirror.upstreams.token_file", TEXT, UPSTREAM(token_file), "\"\"", "file with a token that is shown there in the place of a login"),
	OPTION("mirror.upstreams.realm", TEXT, UPSTREAM(realm), "\"\"", "a host outside of its domain that may have the login, to give tokens for it"),
	OPTION("mirror.upstreams.jobs", BOOL, UPSTREAM(is_for_jobs), "false", "images of any job are pulled with its login"),
	OPTION("mirror.upstreams.requests", NUMBER, UPSTREAM(requests), "32", "requests that it gets at the same time", .min = 1, .max = 1024),
	OPTION("mirror.upstreams.rate", NUMBER, UPSTREAM(rate), "0", "requests that it gets in a second; 0: any", .max = 100000),
	OPTION("mirror.size", SIZE, AT(mirror.size), "20g", "room on disk for what the mirror keeps; the longest unused give way",
	  .min = 1024 * 1024, .max = 1ull << 50),
	OPTION("mirror.max_age", DURATION, AT(mirror.max_age_s), "0s", "how long it keeps what nobody asks for; 0s: as long as there is room",
	  .max = 3650 * DAY),
	OPTION("mirror.connect", BOOL, AT(mirror.connect), "false", "CONNECT opens tunnels to the upstreams, as proxies for https do"),
	OPTION("mirror.registry", URL, AT(mirror.registry), "https://registry-1.docker.io", "registry of the images that name none", .words = web_schemes),
	OPTION("mirror.jobs", BOOL, AT(mirror.jobs), "true", "jobs reach it, and their tools ask it"),
	OPTION("mirror.access_log", TEXT, AT(mirror.access_log), "\"\"", "file with a line for each request to the mirror; empty: none"),
	OPTION("mirror.access_log_size", SIZE, AT(mirror.access_log_size), "64M", "size at which that file is renamed to FILE.1",
	  .min = 1024, .max = 1ull << 40),
	OPTION("mirror.ca", TEXT, AT(mirror.ca), "\"\"", "file with the certificates that may sign the upstreams'; empty: the system's"),
};
/* clang-format on */

#define OPTION_COUNT (sizeof(options) / sizeof(options[0]))

static bool set_option(struct conf_reader *r, const struct conf_option *o, char *base, const struct yml_node *node);

static bool
is_below(const struct conf_option *o, const char *prefix)
{
	size_t len = strlen(prefix);

	return strncmp(o->key, prefix, len) == 0 && o->key[len] == '.';
}

/* Whether the option belongs to a list's item rather than to struct conf. */
static bool
is_in_list(const struct conf_option *o)
{
	for (size_t i = 0; i < OPTION_COUNT; i++)
		if (options[i].type == LIST && is_below(o, options[i].key))
			return true;
	return false;
}

/* The options of one level: "redis." below base, or "" for the whole file. */
static bool read_level(struct conf_reader *r, const char *prefix, char *base, const struct yml_node *mapping);

static bool
set_default(struct conf_reader *r, const struct conf_option *o, char *base)
{
	struct yml *doc;
	struct conf_reader of_default = { .err = r->err };
	bool ok = yml_parse(str_of(o->fallback), o->key, &doc, r->err);

	assert(ok);
	of_default.doc = doc;
	ok = set_option(&of_default, o, base, yml_root(doc));
	yml_free(&doc);
	return ok;
}

static bool
set_item(struct conf_reader *r, const struct conf_option *list, char *item, const struct yml_node *node)
{
	char prefix[32];

	if (yml_type(node) != YML_MAPPING)
		return yml_err(
		    r->doc, node, r->err, "%s: an item is a mapping, not %s", list->key, yml_type_name(node));
	snprintf(prefix, sizeof(prefix), "%s.", list->key);
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		const char *name;

		if (!is_below(&options[i], list->key))
			continue;
		name = options[i].key + strlen(prefix);
		if (options[i].fallback != NULL && !set_default(r, &options[i], item))
			return false;
		if (options[i].fallback == NULL && yml_get(node, name) == NULL)
			return yml_err(
			    r->doc, node, r->err, "%s: this item lacks %s (%s)", list->key, name, options[i].help);
	}
	return read_level(r, prefix, item, node);
}

static void item_fini(const struct conf_option *list, char *item);

static void
list_fini(const struct conf_option *list, char *base)
{
	size_t *count = (size_t *)(void *)(base + list->count_offset);
	char **items = (char **)(void *)(base + list->offset);

	for (size_t i = 0; i < *count; i++)
		item_fini(list, *items + i * list->item_size);
	free(*items);
	*items = NULL;
	*count = 0;
}

static bool
set_list(struct conf_reader *r, const struct conf_option *o, char *base, const struct yml_node *node)
{
	size_t *count = (size_t *)(void *)(base + o->count_offset);
	char **items = (char **)(void *)(base + o->offset);

	if (yml_type(node) != YML_SEQUENCE)
		return conf_wants(r, o, node, "a list");
	if (yml_count(node) > o->max)
		return yml_err(r->doc, node, r->err, "%s: more than %u items", o->key, (unsigned)o->max);
	list_fini(o, base);
	*items = xcalloc(yml_count(node), o->item_size);
	for (size_t i = 0; i < yml_count(node); i++) {
		*count = i + 1; /* before it is filled, so that what a bad item holds is freed with the rest */
		if (!set_item(r, o, *items + i * o->item_size, yml_at(node, i)))
			return false;
	}
	return true;
}

static bool
set_option(struct conf_reader *r, const struct conf_option *o, char *base, const struct yml_node *node)
{
	return o->type == LIST ? set_list(r, o, base, node) : conf_set_value(r, o, base + o->offset, node);
}

static bool
unknown_key(struct conf_reader *r, const char *prefix, const struct yml_node *key)
{
	struct nearest near = nearest_to(yml_text(key));
	char names[OPTION_COUNT][32], hint[100];

	for (size_t i = 0; i < OPTION_COUNT; i++) {
		const char *rest;

		if (strncmp(options[i].key, prefix, strlen(prefix)) != 0)
			continue;
		rest = options[i].key + strlen(prefix);
		snprintf(names[i], sizeof(names[i]), "%.*s", (int)strcspn(rest, "."), rest);
		nearest_offer(&near, names[i]);
	}
	return yml_err(
	    r->doc, key, r->err, "unknown option \"%s%.60s\"%s", prefix, yml_text(key), nearest_hint(&near, hint));
}

/* The option of that key, or the first one of that section; NULL: neither. */
static const struct conf_option *
find(const char *key)
{
	const struct conf_option *found = NULL;

	for (size_t i = 0; i < OPTION_COUNT && found == NULL; i++)
		if (strcmp(options[i].key, key) == 0 || is_below(&options[i], key))
			found = &options[i];
	return found;
}

static bool
read_key(
    struct conf_reader *r, const char *prefix, char *base, const struct yml_node *key, const struct yml_node *value)
{
	const struct conf_option *o;
	char path[64];
	int len = snprintf(path, sizeof(path) - 1, "%s%s", prefix, yml_text(key));

	o = len > 0 && (size_t)len < sizeof(path) - 1 && strchr(yml_text(key), '.') == NULL ? find(path) : NULL;
	if (o == NULL)
		return unknown_key(r, prefix, key);
	if (strcmp(o->key, path) == 0)
		return set_option(r, o, base, value);
	path[len] = '.';
	path[len + 1] = '\0';
	return read_level(r, path, base, value);
}

static bool
read_level(struct conf_reader *r, const char *prefix, char *base, const struct yml_node *mapping)
{
	if (yml_type(mapping) != YML_MAPPING && yml_type(mapping) != YML_NULL)
		return yml_err(r->doc, mapping, r->err, "%.*s: wants a mapping of options, not %s",
		    (int)strlen(prefix) - 1, prefix[0] != '\0' ? prefix : "file", yml_type_name(mapping));
	for (size_t i = 0; i < yml_count(mapping); i++)
		if (!read_key(r, prefix, base, yml_key_at(mapping, i), yml_at(mapping, i)))
			return false;
	return true;
}

static void
option_fini(const struct conf_option *o, char *base)
{
	if (o->type == LIST)
		list_fini(o, base);
	else
		conf_value_fini(o, base + o->offset);
}

static void
item_fini(const struct conf_option *list, char *item)
{
	for (size_t i = 0; i < OPTION_COUNT; i++)
		if (is_below(&options[i], list->key))
			option_fini(&options[i], item);
}

void
conf_free(struct conf **conf)
{
	struct conf *c = *conf;

	*conf = NULL;
	if (c == NULL)
		return;
	for (size_t i = 0; i < OPTION_COUNT; i++)
		if (!is_in_list(&options[i]))
			option_fini(&options[i], (char *)c);
	free(c);
}

/* What is not written but follows from the machine or from the place in the list. */
static void
fill_names(struct conf *c)
{
	char host[256] = "davit";

	if (c->node[0] == '\0') {
		if (gethostname(host, sizeof(host) - 1) != 0)
			snprintf(host, sizeof(host), "davit");
		conf_replace(&c->node, host);
	}
	for (size_t i = 0; i < c->engine_count; i++) {
		if (c->engines[i].name[0] == '\0') {
			free(c->engines[i].name);
			c->engines[i].name = xasprintf("engine%zu", i + 1);
		}
	}
}

/* Node and engine names become parts of keys and container names. */
static bool
is_name(const char *s)
{
	size_t len = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");

	return len > 0 && len <= 64 && s[len] == '\0' && s[0] != '.' && s[0] != '-';
}

static bool
check_engines(struct conf_reader *r, const struct conf *c, const struct yml_node *node)
{
	if (c->engine_count == 0)
		return yml_err(r->doc, node, r->err, "engines: at least one is needed");
	for (size_t i = 0; i < c->engine_count; i++) {
		const struct conf_engine *e = &c->engines[i];
		const struct yml_node *item = yml_at(node, i);

		if (!is_name(e->name))
			return yml_err(
			    r->doc, item, r->err, "engines: \"%.40s\" is no name; use letters, digits, . _ -", e->name);
		if ((e->tls.cert[0] != '\0') != (e->tls.key[0] != '\0'))
			return yml_err(r->doc, item, r->err, "engines: tls.cert and tls.key go together");
		for (size_t k = 0; k < i; k++)
			if (strcmp(c->engines[k].name, e->name) == 0)
				return yml_err(r->doc, item, r->err, "engines: two have the name \"%.40s\"", e->name);
	}
	return true;
}

/* The login is of one server, and no other may get it. */
static bool
check_upstreams(struct conf_reader *r, const struct conf *c, const struct yml_node *node)
{
	for (size_t i = 0; i < c->mirror.upstream_count; i++) {
		const struct conf_upstream *u = &c->mirror.upstreams[i];
		const struct yml_node *item = yml_at(node, i);
		bool has_login = u->user[0] != '\0', has_token = u->token_file[0] != '\0';

		if (has_login != (u->password_file[0] != '\0') || (has_login && has_token))
			return yml_err(r->doc, item, r->err,
			    "mirror.upstreams: user and password_file go together, or there is a token_file");
		if ((has_login || has_token) && u->host[0] == '*')
			return yml_err(r->doc, item, r->err,
			    "mirror.upstreams: a login or token is for one host, not for %.40s", u->host);
		if (!has_login && !has_token && (u->realm[0] != '\0' || u->is_for_jobs))
			return yml_err(r->doc, item, r->err,
			    "mirror.upstreams: realm and jobs want user and password_file, or a token_file");
	}
	return true;
}

/* What no single option can say. */
static bool
check_whole(struct conf_reader *r, const struct conf *c)
{
	const struct yml_node *root = yml_root(r->doc), *smtp = yml_get(root, "smtp");

	if (c->state_dir[0] != '/')
		return yml_err(r->doc, yml_get(root, "state_dir"), r->err, "state_dir: must be an absolute path");
	if (c->templates[0] != '\0' && c->templates[0] != '/')
		return yml_err(r->doc, yml_get(root, "templates"), r->err, "templates: must be an absolute path");
	if (c->mirror.access_log[0] != '\0' && c->mirror.access_log[0] != '/')
		return yml_err(r->doc, yml_get(yml_get(root, "mirror"), "access_log"), r->err,
		    "mirror.access_log: must be an absolute path");
	if (!is_name(c->node))
		return yml_err(r->doc, yml_get(root, "node"), r->err,
		    "node: \"%.40s\" is no name; use letters, digits, . _ -", c->node);
	if (c->smtp.url[0] != '\0' && strchr(c->smtp.from, '@') == NULL)
		return yml_err(
		    r->doc, smtp, r->err, "smtp: url is set, so from must be an address such as davit@example.org");
	if ((c->smtp.user[0] != '\0') != (c->smtp.password_file[0] != '\0'))
		return yml_err(r->doc, smtp, r->err, "smtp: user and password_file go together");
	return check_engines(r, c, yml_get(root, "engines")) &&
	       check_upstreams(r, c, yml_get(yml_get(root, "mirror"), "upstreams"));
}

static bool
read_doc(struct conf_reader *r, struct conf *c)
{
	for (size_t i = 0; i < OPTION_COUNT; i++)
		if (!is_in_list(&options[i]) && !set_default(r, &options[i], (char *)c))
			return false;
	if (!read_level(r, "", (char *)c, yml_root(r->doc)))
		return false;
	fill_names(c);
	return check_whole(r, c);
}

bool
conf_parse(struct str text, const char *file, struct conf **ret, struct err *err)
{
	struct conf *c = xcalloc(1, sizeof(*c));
	struct yml *doc;
	struct conf_reader r = { .err = err };
	bool ok = yml_parse(text, file, &doc, err);

	if (ok) {
		r.doc = doc;
		ok = read_doc(&r, c);
		yml_free(&doc);
	}
	if (ok)
		*ret = c;
	else
		conf_free(&c);
	return ok;
}

bool
conf_load(const char *path, struct conf **ret, struct err *err)
{
	char *text = xcalloc(1, YML_MAX_BYTES + 1);
	FILE *file = fopen(path, "re");
	size_t len = 0;
	bool ok = file != NULL;

	if (ok) {
		len = fread(text, 1, YML_MAX_BYTES + 1, file);
		ok = ferror(file) == 0;
	}
	if (!ok)
		*err = err_errno("configuration %s", path);
	if (file != NULL)
		fclose(file);
	if (ok)
		ok = conf_parse((struct str){ text, len }, path, ret, err);
	free(text);
	return ok;
}

const char *
conf_option(size_t i, const char **fallback, const char **help)
{
	if (i >= OPTION_COUNT)
		return NULL;
	if (fallback != NULL)
		*fallback = options[i].fallback;
	if (help != NULL)
		*help = options[i].help;
	return options[i].key;
}
