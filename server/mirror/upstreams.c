#include "server/mirror/upstreams.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <uthash.h>

#include "proto/mem.h"
#include "proto/url.h"
#include "server/core/loop.h"

enum { SERVERS_MAX = 256, IDLE_MAX = 8 };

struct upstream_turn {
	TAILQ_ENTRY(upstream_turn) link;
	struct server *server;
	struct upstreams *upstreams;
	struct deferred *call; /* it is its turn */
	bool is_waiting;
	struct err err; /* why there is no server */
	upstream_fn *fn;
	void *arg;
};

TAILQ_HEAD(turn_queue, upstream_turn);

struct server {
	UT_hash_handle hh; /* in the order of use: the first was used longest ago */
	char *name;
	struct httpc *httpc;
	unsigned active;
	struct turn_queue waiting;
};

struct upstreams {
	struct upstreams_conf conf;
	struct stream_tls *tls;
	struct url registry_url;
	struct origin registry; /* points into it */
	struct server *servers;
	unsigned turns;
};

/* --- rules --- */

static bool
has_suffix(const char *s, const char *suffix)
{
	size_t len = strlen(s), suffix_len = strlen(suffix);

	return len > suffix_len && strcmp(s + len - suffix_len, suffix) == 0;
}

static bool
rule_names(const struct upstream_rule *rule, const char *host, unsigned port)
{
	struct str name;
	unsigned rule_port;
	char *text;
	bool is;

	if (strcmp(rule->host, "*") == 0)
		return true;
	if (rule->host[0] == '*')
		return has_suffix(host, rule->host + 1);
	if (!url_split_host(str_of(rule->host), &name, &rule_port))
		return false;
	text = str_dup(name);
	is = strcasecmp(text, host) == 0 && (rule_port == 0 || rule_port == port);
	free(text);
	return is;
}

const struct upstream_rule *
upstream_rules_find(const struct upstream_rule *rules, size_t count, const char *host, unsigned port)
{
	for (size_t i = 0; i < count; i++)
		if (rule_names(&rules[i], host, port))
			return &rules[i];
	return NULL;
}

const struct upstream_rule *
upstreams_rule(const struct upstreams *u, const char *host, unsigned port)
{
	return upstream_rules_find(u->conf.rules, u->conf.rule_count, host, port);
}

bool
origin_is_same(const struct origin *a, const struct origin *b)
{
	return a->is_tls == b->is_tls && a->port == b->port && strcasecmp(a->host, b->host) == 0;
}

static bool
names_port(const struct upstream_rule *rule)
{
	struct str name;
	unsigned port;

	return url_split_host(str_of(rule->host), &name, &port) && port != 0;
}

/* A login is for one server: that of the port which the rule names, or of the scheme's own. */
const struct upstream_rule *
upstreams_authorized(const struct upstreams *u, const struct origin *origin)
{
	const struct upstream_rule *rule = upstreams_rule(u, origin->host, origin->port);

	if (rule == NULL || rule->authorization == NULL)
		return NULL;
	if (!names_port(rule) && origin->port != (origin->is_tls ? 443 : 80))
		return NULL;
	return origin->is_tls || rule->is_clear || origin_is_same(origin, &u->registry) ? rule : NULL;
}

bool
upstreams_have_logins(const struct upstreams *u)
{
	for (size_t i = 0; i < u->conf.rule_count; i++)
		if (u->conf.rules[i].authorization != NULL)
			return true;
	return false;
}

void
origin_print(const struct origin *origin, char ret[ORIGIN_SIZE])
{
	bool is_v6 = strchr(origin->host, ':') != NULL;

	snprintf(ret, ORIGIN_SIZE, "%s://%s%.255s%s:%u", origin->is_tls ? "https" : "http", is_v6 ? "[" : "",
	    origin->host, is_v6 ? "]" : "", origin->port);
}

/* --- servers --- */

static void
server_free(struct upstreams *u, struct server *s)
{
	assert(s->active == 0 && TAILQ_EMPTY(&s->waiting));
	HASH_DEL(u->servers, s);
	httpc_free(&s->httpc);
	free(s->name);
	free(s);
}

/* False when all that are kept are in use. */
static bool
make_room(struct upstreams *u)
{
	struct server *s, *next;

	if (HASH_COUNT(u->servers) < SERVERS_MAX)
		return true;
	HASH_ITER(hh, u->servers, s, next)
	if (s->active == 0 && TAILQ_EMPTY(&s->waiting)) {
		server_free(u, s);
		return true;
	}
	return false;
}

static struct server *
server_new(struct upstreams *u, const struct origin *origin, const char *name, struct err *err)
{
	const struct upstream_rule *rule = upstreams_rule(u, origin->host, origin->port);
	const struct httpc_conf conf = {
		.shared_tls = u->tls,
		.public_only = rule == NULL || !rule->is_private,
		.idle_max = IDLE_MAX,
	};
	struct httpc *httpc;
	struct server *s;

	if (!make_room(u)) {
		*err = err_make(ERR_UNAVAILABLE, 0, "mirror: %d upstreams are in use already", SERVERS_MAX);
		return NULL;
	}
	httpc = httpc_new(u->conf.loop, name, &conf, err);
	if (httpc == NULL)
		return NULL;
	s = xcalloc(1, sizeof(*s));
	s->name = xstrdup(name);
	s->httpc = httpc;
	TAILQ_INIT(&s->waiting);
	HASH_ADD_KEYPTR(hh, u->servers, s->name, strlen(s->name), s);
	return s;
}

static struct server *
server_of(struct upstreams *u, const struct origin *origin, struct err *err)
{
	char name[ORIGIN_SIZE];
	struct server *s;

	origin_print(origin, name);
	HASH_FIND_STR(u->servers, name, s);
	if (s == NULL)
		return server_new(u, origin, name, err);
	HASH_DEL(u->servers, s); /* now the last used */
	HASH_ADD_KEYPTR(hh, u->servers, s->name, strlen(s->name), s);
	return s;
}

static bool
set_registry(struct upstreams *u, const char *text, struct err *err)
{
	struct url *url = &u->registry_url;

	if (!url_parse(str_of(text), URL_NO_USERINFO, url, err))
		return false;
	if (url->scheme != URL_HTTP && url->scheme != URL_HTTPS)
		return err_set(err, ERR_INPUT, 0, "mirror.registry: %s:// is not HTTP", url_scheme_name(url->scheme));
	u->registry = (struct origin){ .is_tls = url->scheme == URL_HTTPS, .host = url->host, .port = url->port };
	return true;
}

const struct origin *
upstreams_registry(const struct upstreams *u)
{
	return &u->registry;
}

struct upstreams *
upstreams_new(const struct upstreams_conf *conf, struct err *err)
{
	const struct stream_tls_conf tls = { .ca_file = conf->ca_file };
	struct upstreams *u = xcalloc(1, sizeof(*u));

	u->conf = *conf;
	if (set_registry(u, conf->registry, err))
		u->tls = stream_tls_new(&tls, err);
	if (u->tls == NULL)
		upstreams_free(&u);
	return u;
}

void
upstreams_free(struct upstreams **upstreams)
{
	struct upstreams *u = *upstreams;
	struct server *s, *next;

	if (u == NULL)
		return;
	*upstreams = NULL;
	assert(u->turns == 0);
	HASH_ITER(hh, u->servers, s, next)
	server_free(u, s);
	stream_tls_free(&u->tls);
	url_fini(&u->registry_url);
	free(u);
}

/* --- turns --- */

static void
on_turn(void *arg)
{
	struct upstream_turn *turn = arg;

	turn->call = NULL;
	if (turn->server != NULL)
		turn->fn(turn->arg, turn->server->httpc, NULL);
	else
		turn->fn(turn->arg, NULL, &turn->err);
}

static void
call_waiting(struct upstreams *u, struct server *s)
{
	struct upstream_turn *turn;

	while (s->active < UPSTREAM_REQUESTS_MAX && (turn = TAILQ_FIRST(&s->waiting)) != NULL) {
		TAILQ_REMOVE(&s->waiting, turn, link);
		turn->is_waiting = false;
		s->active++;
		turn->call = deferred_call(u->conf.loop, on_turn, turn);
	}
}

struct upstream_turn *
upstreams_enter(struct upstreams *u, const struct origin *origin, upstream_fn *fn, void *arg)
{
	struct upstream_turn *turn = xcalloc(1, sizeof(*turn));

	*turn = (struct upstream_turn){ .upstreams = u, .fn = fn, .arg = arg };
	turn->server = server_of(u, origin, &turn->err);
	u->turns++;
	if (turn->server == NULL) {
		turn->call = deferred_call(u->conf.loop, on_turn, turn);
		return turn;
	}
	turn->is_waiting = true;
	TAILQ_INSERT_TAIL(&turn->server->waiting, turn, link);
	call_waiting(u, turn->server);
	return turn;
}

void
upstreams_leave(struct upstream_turn **turn)
{
	struct upstream_turn *t = *turn;

	*turn = NULL;
	if (t == NULL)
		return;
	deferred_cancel(&t->call);
	t->upstreams->turns--;
	if (t->is_waiting)
		TAILQ_REMOVE(&t->server->waiting, t, link);
	else if (t->server != NULL)
		t->server->active--;
	if (t->server != NULL)
		call_waiting(t->upstreams, t->server);
	free(t);
}
