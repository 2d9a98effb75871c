#include "server/app_mirror.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base64.h"
#include "proto/crypto.h"
#include "proto/mem.h"
#include "proto/wiring.h"
#include "server/app_conf.h"
#include "server/builder/box.h"
#include "server/conf.h"

#define ADDRESS_MAX 15 /* of IPv4 */
#define WIRING_MAX 16384
#define LOGIN_MAX 8192

/* --- what it may ask, and with which logins --- */

static char *
print_login(const char *user, const char *password)
{
	char *pair = xasprintf("%s:%s", user, password), *login;
	struct buf text;

	buf_init(&text, LOGIN_MAX);
	buf_adds(&text, "Basic ");
	base64_encode(str_of(pair), BASE64_STANDARD, &text);
	crypto_wipe_free(&pair);
	login = buf_take(&text, NULL);
	buf_fini(&text);
	return login;
}

/* Keys name who asks, not with what: a new password leaves what is stored where it is. */
static char *
print_identity(const char *user, const char *token)
{
	char digest[SHA256_HEX_SIZE];

	sha256_hex(str_of(user[0] != '\0' ? user : token), digest);
	return xasprintf("as:%s%.16s", user[0] != '\0' ? "" : "token:", digest);
}

static bool
read_login(const struct conf_upstream *u, struct upstream_rule *rule, struct err *err)
{
	const char *path = u->user[0] != '\0' ? u->password_file : u->token_file;
	char *secret;

	if (!app_conf_secret(path, &secret, err))
		return false;
	if (secret == NULL)
		return true;
	rule->authorization = u->user[0] != '\0' ? print_login(u->user, secret) : xasprintf("Bearer %s", secret);
	rule->identity = print_identity(u->user, secret);
	rule->realm = app_conf_file(u->realm);
	rule->is_for_jobs = u->is_for_jobs;
	crypto_wipe_free(&secret);
	return true;
}

static struct upstream_rule *
plain_rules(const struct conf *conf)
{
	struct upstream_rule *rules = xcalloc(conf->mirror.upstream_count, sizeof(*rules));

	for (size_t i = 0; i < conf->mirror.upstream_count; i++) {
		const struct conf_upstream *u = &conf->mirror.upstreams[i];

		rules[i] = (struct upstream_rule){ u->host, .is_private = u->is_private, .is_clear = u->is_clear,
			.requests = u->requests, .rate = u->rate };
	}
	return rules;
}

struct upstream_rule *
app_mirror_upstreams(const struct conf *conf, struct err *err)
{
	struct upstream_rule *rules = plain_rules(conf);

	for (size_t i = 0; i < conf->mirror.upstream_count; i++)
		if (!read_login(&conf->mirror.upstreams[i], &rules[i], err)) {
			*err = err_prefix(*err, "mirror.upstreams: %s", conf->mirror.upstreams[i].host);
			app_mirror_upstreams_free(&rules, conf->mirror.upstream_count);
			return NULL;
		}
	return rules;
}

void
app_mirror_upstreams_free(struct upstream_rule **rules, size_t count)
{
	for (size_t i = 0; *rules != NULL && i < count; i++) {
		char *authorization = (char *)(uintptr_t)(*rules)[i].authorization;

		crypto_wipe_free(&authorization);
		free((char *)(uintptr_t)(*rules)[i].identity);
	}
	free(*rules);
	*rules = NULL;
}

/* --- how it is reached --- */

static bool
cut_prefix(struct str *text, const char *prefix)
{
	if (!str_has_prefix(*text, prefix))
		return false;
	text->p += strlen(prefix);
	text->len -= strlen(prefix);
	return true;
}

/* Of an address at which the mirror listens: its port, and how the machine's containers reach it. Empty where it is not
 * known before it listens. */
struct listening_at {
	struct str port;
	struct str address; /* empty: any */
	bool is_loopback;
};

static struct listening_at
read_listening(const char *address)
{
	struct listening_at at = { .port = str_of(address) };

	if (cut_prefix(&at.port, "0.0.0.0:") || cut_prefix(&at.port, "*:") || cut_prefix(&at.port, "[::]:"))
		;
	else if (cut_prefix(&at.port, "127.0.0.1:"))
		at.is_loopback = true;
	else
		at.address = str_cut(&at.port, ':');
	if (str_is(at.port, "0") || memchr(at.port.p, ':', at.port.len) != NULL || at.address.len > ADDRESS_MAX)
		at.port.len = 0; /* one of IPv6 or a unix socket: networks of jobs have neither */
	return at;
}

/* Engines take a registry of 127.0.0.1 without TLS, whatever else they are told. */
static void
find_for_pulls(const struct conf *conf, struct builder_engine_conf *ret)
{
	for (size_t i = 0; i < conf->mirror.listen.count && ret->mirror == NULL; i++) {
		struct listening_at at = read_listening(conf->mirror.listen.items[i]);

		if (at.port.len > 0 && at.address.len == 0)
			ret->mirror = xasprintf("127.0.0.1:%.*s", (int)at.port.len, at.port.p);
	}
}

static void
find_for_jobs(const struct conf *conf, struct builder_engine_conf *ret)
{
	for (size_t i = 0; i < conf->mirror.listen.count && ret->relay_port == NULL; i++) {
		struct listening_at at = read_listening(conf->mirror.listen.items[i]);

		if (at.port.len == 0 || at.is_loopback)
			continue;
		ret->relay_port = str_dup(at.port);
		ret->relay_address = at.address.len > 0 ? str_dup(at.address) : NULL;
	}
}

static void
find_elsewhere(const struct conf *conf, const char *where, struct builder_engine_conf *ret)
{
	struct str port = str_of(where);
	char *address = str_dup(str_cut(&port, ':'));
	struct in_addr ip;

	ret->mirror = xstrdup(where);
	if (conf->mirror.jobs && inet_pton(AF_INET, address, &ip) == 1 && ntohl(ip.s_addr) >> 24 != IN_LOOPBACKNET) {
		ret->relay_port = str_dup(port);
		ret->relay_address = xstrdup(address);
	}
	free(address);
}

static bool
has_login_for_jobs(const struct conf *conf)
{
	for (size_t i = 0; i < conf->mirror.upstream_count; i++)
		if (conf->mirror.upstreams[i].is_for_jobs)
			return true;
	return false;
}

void
app_mirror_find(
    const struct conf *conf, const struct conf_engine *e, const char *token, struct builder_engine_conf *ret)
{
	if (strcmp(e->mirror, "off") == 0)
		return;
	if (e->mirror[0] != '\0') {
		find_elsewhere(conf, e->mirror, ret);
	} else if (strncmp(e->url, "unix:", strlen("unix:")) == 0) {
		find_for_pulls(conf, ret);
		ret->mirror_token = ret->mirror != NULL && has_login_for_jobs(conf) ? token : NULL;
		if (conf->mirror.jobs)
			find_for_jobs(conf, ret);
	}
}

void
app_mirror_forget(struct builder_engine_conf *engine)
{
	free((char *)engine->mirror);
	free((char *)engine->relay_port);
	free((char *)engine->relay_address);
}

/* --- what jobs are told --- */

struct rules {
	struct upstream_rule *list;
	size_t count;
};

static bool
allows(const void *arg, const char *host)
{
	const struct rules *rules = arg;

	return upstream_rules_find(rules->list, rules->count, host, 443) != NULL;
}

char *
app_mirror_wiring(const struct conf *conf)
{
	struct rules rules = { plain_rules(conf), conf->mirror.upstream_count };
	struct buf text;
	char *copy;

	buf_init(&text, WIRING_MAX);
	if (conf->mirror.listen.count > 0 && conf->mirror.jobs)
		wiring_write(&text, BOX_FOLDER, allows, &rules);
	copy = text.len > 0 ? str_dup(buf_str(&text)) : NULL;
	buf_fini(&text);
	free(rules.list);
	return copy;
}
