#include "server/mirror/upstreams.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <uthash.h>

#include "proto/mem.h"
#include "proto/rate_limit.h"
#include "proto/url.h"
#include "server/core/log.h"
#include "server/core/loop.h"
#include "server/mirror/breaker.h"
#include "server/mirror/pace.h"

enum { SERVERS_MAX = 256, IDLE_MAX = 8 };

struct upstream_turn {
	TAILQ_ENTRY(upstream_turn) link;
	struct server *server;
	struct upstreams *upstreams;
	struct deferred *call; /* it is its turn */
	bool is_waiting;
	bool is_try;    /* of the breaker */
	bool is_again;  /* it is not asked */
	int64_t since;  /* loop_mono_ms: it waits */
	struct err err; /* why there is no server */
	upstream_fn *fn;
	void *arg;
};

TAILQ_HEAD(turn_queue, upstream_turn);

struct server {
	UT_hash_handle hh; /* in the order of use: the first was used longest ago */
	char *name;
	struct httpc *httpc;
	struct upstreams *upstreams;
	unsigned active;
	unsigned active_max;
	struct turn_queue waiting;
	unsigned waiting_count;
	struct timer *wake; /* when one may go on, or has waited too long */
	struct pace pace;
	struct breaker breaker;
	struct rate_limit limit; /* as it said last */
	int64_t limit_until;     /* loop_mono_ms: that is believed */
	uint64_t requests, failures;
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
	timer_free(&s->wake);
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

static void on_wake(void *arg);

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
	s->upstreams = u;
	s->name = xstrdup(name);
	s->httpc = httpc;
	s->active_max = rule != NULL && rule->requests > 0 ? rule->requests : UPSTREAM_REQUESTS;
	s->pace.rate = rule != NULL ? rule->rate : 0;
	s->wake = timer_new(u->conf.loop, on_wake, s);
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
stop_waiting(struct upstream_turn *turn)
{
	TAILQ_REMOVE(&turn->server->waiting, turn, link);
	turn->server->waiting_count--;
	turn->is_waiting = false;
}

/* The turn comes to nothing: err, by its callback. */
static void
refuse(struct upstream_turn *turn, struct err err)
{
	if (turn->is_waiting)
		stop_waiting(turn);
	if (turn->is_try)
		breaker_give_up(&turn->server->breaker);
	turn->is_try = false;
	turn->server = NULL;
	turn->err = err;
	turn->call = deferred_call(turn->upstreams->conf.loop, on_turn, turn);
}

static struct err
away(const struct server *s)
{
	int64_t left = s->breaker.until - loop_mono_ms();

	return err_make(ERR_UNAVAILABLE, 0, "%.80s did not answer %u times in a row, and is not asked again for %lld s",
	    s->name, s->breaker.failures, (long long)(left > 0 ? (left + 999) / 1000 : 0));
}

/* Those that wait go on as far as they may. */
static void
call_waiting(struct server *s)
{
	int64_t now = loop_mono_ms(), pause = 0, left;
	struct upstream_turn *turn;

	while ((turn = TAILQ_FIRST(&s->waiting)) != NULL && now - turn->since >= UPSTREAM_WAIT_MS)
		refuse(turn, err_make(ERR_TIMEOUT, 0, "too many requests wait for %.80s", s->name));
	while (s->active < s->active_max && (turn = TAILQ_FIRST(&s->waiting)) != NULL) {
		pause = pace_take(&s->pace, now);
		if (pause > 0)
			break;
		stop_waiting(turn);
		s->active++;
		s->requests++;
		turn->call = deferred_call(s->upstreams->conf.loop, on_turn, turn);
	}
	timer_stop(s->wake);
	if (turn == NULL)
		return;
	left = turn->since + UPSTREAM_WAIT_MS - now;
	timer_start(s->wake, pause > 0 && pause < left ? pause : left);
}

static void
on_wake(void *arg)
{
	call_waiting(arg);
}

static void
wait_turn(struct upstream_turn *turn)
{
	struct server *s = turn->server;

	turn->since = loop_mono_ms();
	turn->is_waiting = true;
	TAILQ_INSERT_TAIL(&s->waiting, turn, link);
	s->waiting_count++;
	call_waiting(s);
}

static bool
is_admitted(struct upstream_turn *turn)
{
	struct server *s = turn->server;

	switch (turn->is_again ? BREAKER_GO : breaker_ask(&s->breaker, loop_mono_ms())) {
	case BREAKER_REFUSE:
		refuse(turn, away(s));
		return false;
	case BREAKER_TRY:
		turn->is_try = true;
		break;
	case BREAKER_GO:
		break;
	}
	return true;
}

static struct upstream_turn *
enter(struct upstream_turn *turn, const struct origin *origin)
{
	struct server *s;
	struct err err;

	turn->upstreams->turns++;
	s = turn->server = server_of(turn->upstreams, origin, &err);
	if (s == NULL)
		refuse(turn, err);
	if (s == NULL || !is_admitted(turn))
		return turn;
	if (s->waiting_count >= UPSTREAM_WAITING_MAX)
		refuse(turn, err_make(ERR_UNAVAILABLE, 0, "too many requests wait for %.80s", s->name));
	else
		wait_turn(turn);
	return turn;
}

struct upstream_turn *
upstreams_enter(struct upstreams *u, const struct origin *origin, upstream_fn *fn, void *arg)
{
	struct upstream_turn *turn = xcalloc(1, sizeof(*turn));

	*turn = (struct upstream_turn){ .upstreams = u, .fn = fn, .arg = arg };
	return enter(turn, origin);
}

struct upstream_turn *
upstreams_enter_again(struct upstreams *u, const struct origin *origin, upstream_fn *fn, void *arg)
{
	struct upstream_turn *turn = xcalloc(1, sizeof(*turn));

	*turn = (struct upstream_turn){ .upstreams = u, .is_again = true, .fn = fn, .arg = arg };
	return enter(turn, origin);
}

static void
open_breaker(struct server *s, const struct err *why)
{
	struct upstream_turn *waits, *next;

	log_warn("mirror: %s: %s: it has not answered %d times in a row, and is left alone for a while", s->name,
	    why->text, BREAKER_FAILURES);
	for (waits = TAILQ_FIRST(&s->waiting); waits != NULL; waits = next) {
		next = TAILQ_NEXT(waits, link);
		if (!waits->is_again)
			refuse(waits, away(s));
	}
}

static void
succeed(struct upstream_turn *turn)
{
	struct server *s = turn->server;

	if (breaker_is_open(&s->breaker))
		log_info("mirror: %s answers again", s->name);
	turn->is_try = false;
	breaker_succeed(&s->breaker);
}

/* An address that is out of bounds is no failure of the server's, and what cannot be read is an answer. */
void
upstreams_failed(struct upstream_turn *turn, const struct err *err)
{
	struct server *s = turn->server;
	bool was_open = breaker_is_open(&s->breaker);

	if (err->code == ERR_PROTO || err->code == ERR_LIMIT)
		succeed(turn);
	if (err->code == ERR_PROTO || err->code == ERR_LIMIT || err->code == ERR_REFUSED)
		return;
	turn->is_try = false;
	s->failures++;
	breaker_fail(&s->breaker, loop_mono_ms());
	if (!was_open && breaker_is_open(&s->breaker))
		open_breaker(s, err);
}

static void
remember_limit(struct server *s, const struct http1_head *reply)
{
	int64_t believed = UPSTREAM_BELIEVED_S;
	struct rate_limit limit;

	if (!rate_limit_read(reply, &limit))
		return;
	if (limit.wait_s > 0 && limit.wait_s < believed)
		believed = limit.wait_s;
	s->limit = limit;
	s->limit_until = loop_mono_ms() + 1000 * believed;
}

void
upstreams_answered(struct upstream_turn *turn, const struct http1_head *reply)
{
	remember_limit(turn->server, reply);
	succeed(turn);
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
	if (t->is_try)
		breaker_give_up(&t->server->breaker);
	if (t->is_waiting)
		stop_waiting(t);
	else if (t->server != NULL)
		t->server->active--;
	if (t->server != NULL)
		call_waiting(t->server);
	free(t);
}

/* --- what is known of them --- */

static bool
is_believed(const struct server *s)
{
	return loop_mono_ms() < s->limit_until;
}

bool
upstreams_are_short(const struct upstreams *u, const struct origin *origin)
{
	char name[ORIGIN_SIZE];
	struct server *s;

	origin_print(origin, name);
	HASH_FIND_STR(u->servers, name, s);
	return s != NULL && is_believed(s) && rate_limit_is_short(&s->limit);
}

static struct upstream_status
status_of(const struct server *s)
{
	int64_t left = s->breaker.until - loop_mono_ms();
	bool is_away = breaker_is_open(&s->breaker);

	return (struct upstream_status){ .name = s->name,
		.is_away = is_away,
		.retry_s = is_away && left > 0 ? (left + 999) / 1000 : 0,
		.active = s->active,
		.waiting = s->waiting_count,
		.requests = s->requests,
		.failures = s->failures,
		.limit = is_believed(s) ? s->limit.limit : -1,
		.remaining = is_believed(s) ? s->limit.remaining : -1 };
}

size_t
upstreams_status(const struct upstreams *u, struct upstream_status *ret, size_t max)
{
	size_t skip = HASH_COUNT(u->servers) > max ? HASH_COUNT(u->servers) - max : 0, count = 0;
	struct server *s, *next;

	HASH_ITER(hh, u->servers, s, next)
	if (skip > 0)
		skip--;
	else
		ret[count++] = status_of(s);
	return count;
}
