#include "server/builder/sandbox.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "proto/mem.h"
#include "server/builder/pause.h"
#include "server/builder/relay.h"
#include "server/core/crash.h"
#include "server/core/log.h"
#include "server/core/loop.h"

enum { FIREWALL_TRIES = 4, FIREWALL_MS = 300 /* more after each */ };

enum sandbox_state {
	SANDBOX_NETWORK, /* is made */
	SANDBOX_PAUSE,   /* its holder is made */
	SANDBOX_RELAY,   /* its way to the mirror is made, */
	SANDBOX_RELAY_START,
	SANDBOX_RELAY_FIND, /* and its address asked for, where no resolver tells it */
	SANDBOX_IDLE,
	SANDBOX_LENT,
	SANDBOX_UNPAUSE, /* the holder is removed */
	SANDBOX_UNRELAY,
	SANDBOX_REMOVE,
	SANDBOX_DONE,
};

struct sandbox {
	TAILQ_ENTRY(sandbox) next;
	struct sandboxes *set;
	enum sandbox_state state;
	struct docker_op *op;
	struct pause *pause;
	bool is_adopted;
	const char *network;
	unsigned tries; /* to make it */
	struct timer *again;
	const char *relay;      /* name of its way to the mirror; NULL: there is none */
	bool has_relay;         /* it was made and started */
	char relay_address[46]; /* "": the engine's resolver knows it by its name */
	struct host_labels labels, relay_labels;
	char mode[sizeof("container:") + DOCKER_ID_SIZE];
	struct err err; /* why it is going */
};

struct sandbox_claim {
	TAILQ_ENTRY(sandbox_claim) next;
	struct sandboxes *set;
	sandbox_fn *fn;
	void *arg;
};

struct sandboxes {
	struct host *host;
	unsigned max;
	unsigned count;  /* of all */
	unsigned making; /* up to SANDBOX_RELAY_FIND */
	TAILQ_HEAD(, sandbox) all;
	TAILQ_HEAD(, sandbox_claim) claims; /* the oldest first */
	struct deferred *serve;
	sandboxes_done_fn *done; /* NULL until it is ending */
	void *arg;
};

static void enter_network(struct sandbox *s);
static void enter_pause(struct sandbox *s);
static void enter_relay(struct sandbox *s);
static void enter_relay_start(struct sandbox *s);
static void enter_relay_find(struct sandbox *s);
static void enter_idle(struct sandbox *s);
static void enter_unpause(struct sandbox *s);
static void enter_unrelay(struct sandbox *s);
static void enter_remove(struct sandbox *s);
static void enter_done(struct sandbox *s);
static void enter_lent(struct sandbox *s);
static void serve_soon(struct sandboxes *set);

/* Deadlines are those of the calls and of the holder. */
/* clang-format off */
static const struct {
	void (*enter)(struct sandbox *s);
	enum sandbox_state next;
} states[] = {
	[SANDBOX_NETWORK]     = { enter_network,     SANDBOX_PAUSE },
	[SANDBOX_PAUSE]       = { enter_pause,       SANDBOX_RELAY },
	[SANDBOX_RELAY]       = { enter_relay,       SANDBOX_RELAY_START },
	[SANDBOX_RELAY_START] = { enter_relay_start, SANDBOX_RELAY_FIND },
	[SANDBOX_RELAY_FIND]  = { enter_relay_find,  SANDBOX_IDLE },
	[SANDBOX_IDLE]        = { enter_idle,        SANDBOX_LENT },
	[SANDBOX_LENT]        = { enter_lent,        SANDBOX_IDLE },
	[SANDBOX_UNPAUSE]     = { enter_unpause,     SANDBOX_UNRELAY },
	[SANDBOX_UNRELAY]     = { enter_unrelay,     SANDBOX_REMOVE },
	[SANDBOX_REMOVE]      = { enter_remove,      SANDBOX_DONE },
	[SANDBOX_DONE]        = { enter_done,        SANDBOX_DONE },
};
/* clang-format on */

static void
sandbox_step(struct sandbox *s, enum sandbox_state next)
{
	s->set->making -= s->state <= SANDBOX_RELAY_FIND;
	s->state = next;
	s->set->making += s->state <= SANDBOX_RELAY_FIND;
	states[next].enter(s);
}

/* The oldest claim hears of a sandbox that could not be made; the others get their own try. */
static void
tell_claim(struct sandboxes *set, const struct err *err)
{
	struct sandbox_claim *claim = TAILQ_FIRST(&set->claims);
	sandbox_fn *fn;
	void *arg;

	if (claim == NULL)
		return;
	fn = claim->fn;
	arg = claim->arg;
	sandbox_unclaim(&claim);
	fn(arg, NULL, err);
}

static void
sandbox_fail(struct sandbox *s, struct err err)
{
	bool was_made = s->state > SANDBOX_RELAY_FIND;
	struct sandboxes *set = s->set;

	if (s->err.code == ERR_NONE)
		s->err = err;
	sandbox_step(s, s->state < SANDBOX_UNPAUSE ? SANDBOX_UNPAUSE : s->state + 1);
	if (!was_made)
		tell_claim(set, &err);
}

/* Whoever else changes the machine's rules at that moment (a firewall that is reloaded, another engine that starts) has
 * the engine's own rules fail; a moment later they do not. */
static bool
is_firewall_busy(const struct err *err)
{
	return strstr(err->text, "iptables") != NULL;
}

static void
on_again(void *arg)
{
	sandbox_step(arg, SANDBOX_NETWORK);
}

/* Jobs do without the mirror rather than not at all. The holder may have gone meanwhile. */
static void
on_relay(struct sandbox *s, const union docker_result *result, const struct err *err)
{
	if (err != NULL)
		log_warn("network %s: no way to the mirror: %s", s->network, err->text);
	if (err == NULL && s->state == SANDBOX_RELAY_FIND)
		snprintf(s->relay_address, sizeof(s->relay_address), "%s", result->container.address);
	s->has_relay = s->relay_address[0] != '\0';
	if (s->pause == NULL)
		sandbox_fail(s, s->err);
	else
		sandbox_step(s, err == NULL ? states[s->state].next : SANDBOX_IDLE);
}

static void
on_reply(void *arg, const union docker_result *result, const struct err *err)
{
	struct sandbox *s = arg;

	s->op = NULL;
	if (s->state == SANDBOX_NETWORK)
		CRASH_POINT(network_made);
	if (s->state >= SANDBOX_RELAY && s->state <= SANDBOX_RELAY_FIND)
		on_relay(s, result, err);
	else if (s->state == SANDBOX_NETWORK && err != NULL && is_firewall_busy(err) && s->tries < FIREWALL_TRIES)
		timer_start(s->again, FIREWALL_MS * s->tries);
	else if (err != NULL)
		sandbox_fail(s, *err);
	else
		sandbox_step(s, states[s->state].next);
}

static void
enter_network(struct sandbox *s)
{
	CRASH_POINT(network_making);
	s->tries++;
	s->op = docker_network_create(s->set->host->docker, s->network, s->labels.list, s->labels.count, on_reply, s);
}

static void
on_pause_ready(void *arg)
{
	struct sandbox *s = arg;

	snprintf(s->mode, sizeof(s->mode), "container:%s", pause_id(s->pause));
	sandbox_step(s, states[s->state].next);
}

static void
on_pause_end(void *arg, const struct err *err)
{
	struct sandbox *s = arg;

	s->pause = NULL;
	if (s->state == SANDBOX_UNPAUSE)
		sandbox_step(s, states[s->state].next);
	else if (s->state == SANDBOX_LENT || s->op != NULL)
		s->err = *err; /* who has it will notice by the containers in it, and give it back; or see on_relay */
	else
		sandbox_fail(s, *err);
}

static const struct pause_handler pause_handler = { .on_ready = on_pause_ready, .on_end = on_pause_end };

static void
enter_pause(struct sandbox *s)
{
	struct pause_spec spec = { .network = s->network, .labels = &s->labels };

	s->pause = pause_start(s->set->host, &spec, &pause_handler, s);
}

/* Its name follows from the network's, by which a later process finds it. */
static void
own_relay(struct sandbox *s)
{
	char *name = xasprintf("%s-mirror", s->network);

	s->relay = host_adopt(s->set->host, name);
	free(name);
}

static void
enter_relay(struct sandbox *s)
{
	struct host *host = s->set->host;

	if (host->relay_port == NULL) {
		sandbox_step(s, SANDBOX_IDLE);
		return;
	}
	own_relay(s);
	s->op = relay_create(host, s->relay, s->network, &s->relay_labels, on_reply, s);
}

static void
enter_relay_start(struct sandbox *s)
{
	s->op = docker_start(s->set->host->docker, s->relay, on_reply, s);
}

/* Podman's resolver answers at the gateway, which jobs are kept from. */
static void
enter_relay_find(struct sandbox *s)
{
	struct docker *docker = s->set->host->docker;

	s->has_relay = !docker_is_podman(docker);
	if (s->has_relay)
		sandbox_step(s, states[s->state].next);
	else
		s->op = docker_inspect(docker, s->relay, on_reply, s);
}

static void
enter_idle(struct sandbox *s)
{
	CRASH_POINT(sandbox_ready);
	serve_soon(s->set);
}

static void
enter_lent(struct sandbox *s)
{
	(void)s;
}

static void
enter_unpause(struct sandbox *s)
{
	if (s->pause != NULL)
		pause_end(s->pause);
	else
		sandbox_step(s, states[s->state].next);
}

static void
enter_unrelay(struct sandbox *s)
{
	if (s->relay != NULL)
		s->op = docker_remove(s->set->host->docker, s->relay, on_reply, s);
	else
		sandbox_step(s, states[s->state].next);
}

static void
enter_remove(struct sandbox *s)
{
	s->op = docker_network_remove(s->set->host->docker, s->network, on_reply, s);
}

static void
enter_done(struct sandbox *s)
{
	struct sandboxes *set = s->set;

	assert(s->op == NULL && s->pause == NULL);
	if (s->err.code != ERR_CANCELLED && s->err.code != ERR_NONE)
		log_warn("network %s: %s", s->network, s->err.text);
	TAILQ_REMOVE(&set->all, s, next);
	set->count--;
	host_disown(set->host, &s->relay);
	host_disown(set->host, &s->network);
	timer_free(&s->again);
	free(s);
	serve_soon(set);
}

static void
sandbox_new(struct sandboxes *set)
{
	struct sandbox *s = xcalloc(1, sizeof(*s));

	s->set = set;
	s->state = SANDBOX_DONE; /* nothing is made yet */
	s->network = host_own_new(set->host, "net");
	host_labels_init(&s->labels, set->host, "network");
	host_labels_init(&s->relay_labels, set->host, "mirror");
	s->again = timer_new(set->host->loop, on_again, s);
	TAILQ_INSERT_TAIL(&set->all, s, next);
	set->count++;
	sandbox_step(s, SANDBOX_NETWORK);
}

/* --- the set --- */

static struct sandbox *
find_idle(struct sandboxes *set)
{
	struct sandbox *s;

	TAILQ_FOREACH(s, &set->all, next)
	if (s->state == SANDBOX_IDLE)
		return s;
	return NULL;
}

static unsigned
count_claims(const struct sandboxes *set)
{
	const struct sandbox_claim *claim;
	unsigned count = 0;

	TAILQ_FOREACH(claim, &set->claims, next)
	count++;
	return count;
}

/* A network that is being made has to be waited for to be removed. */
static void
end_all(struct sandboxes *set)
{
	struct sandbox *s;

	TAILQ_FOREACH(s, &set->all, next)
	if (s->state == SANDBOX_PAUSE || s->state == SANDBOX_IDLE)
		sandbox_fail(s, err_make(ERR_CANCELLED, 0, "ended"));
}

static void
set_free(struct sandboxes *set)
{
	sandboxes_done_fn *done = set->done;
	void *arg = set->arg;

	assert(TAILQ_EMPTY(&set->claims));
	free(set);
	done(arg);
}

static void
on_serve(void *arg)
{
	struct sandboxes *set = arg;
	struct sandbox_claim *claim;
	struct sandbox *s;
	sandbox_fn *fn;
	void *fn_arg;

	set->serve = NULL;
	if (set->done != NULL) {
		end_all(set);
		if (set->count == 0)
			set_free(set);
		return;
	}
	for (unsigned wanted = count_claims(set);
	     set->making < wanted && set->count < set->max && find_idle(set) == NULL;)
		sandbox_new(set);
	if ((claim = TAILQ_FIRST(&set->claims)) == NULL || (s = find_idle(set)) == NULL)
		return;
	serve_soon(set); /* the next claim on the next turn: this one's callback may do anything */
	sandbox_step(s, SANDBOX_LENT);
	fn = claim->fn;
	fn_arg = claim->arg;
	sandbox_unclaim(&claim);
	fn(fn_arg, s, NULL);
}

static void
serve_soon(struct sandboxes *set)
{
	if (set->serve == NULL)
		set->serve = deferred_call(set->host->loop, on_serve, set);
}

struct sandboxes *
sandboxes_new(struct host *host, unsigned max)
{
	struct sandboxes *set = xcalloc(1, sizeof(*set));

	set->host = host;
	set->max = max;
	TAILQ_INIT(&set->all);
	TAILQ_INIT(&set->claims);
	return set;
}

void
sandboxes_end(struct sandboxes **sandboxes, sandboxes_done_fn *done, void *arg)
{
	struct sandboxes *set = *sandboxes;

	*sandboxes = NULL;
	assert(TAILQ_EMPTY(&set->claims));
	set->done = done;
	set->arg = arg;
	serve_soon(set);
}

struct sandbox_claim *
sandbox_claim(struct sandboxes *sandboxes, sandbox_fn *fn, void *arg)
{
	struct sandbox_claim *claim = xcalloc(1, sizeof(*claim));

	*claim = (struct sandbox_claim){ .set = sandboxes, .fn = fn, .arg = arg };
	TAILQ_INSERT_TAIL(&sandboxes->claims, claim, next);
	serve_soon(sandboxes);
	return claim;
}

void
sandbox_unclaim(struct sandbox_claim **claim)
{
	struct sandbox_claim *c = *claim;

	if (c == NULL)
		return;
	*claim = NULL;
	TAILQ_REMOVE(&c->set->claims, c, next);
	free(c);
}

struct sandbox *
sandbox_adopt(struct sandboxes *sandboxes, const char *network, const char *holder_id, const char *holder_name)
{
	struct sandbox *s = xcalloc(1, sizeof(*s));

	*s = (struct sandbox){ .set = sandboxes, .state = SANDBOX_LENT };
	s->network = host_adopt(sandboxes->host, network);
	if (s->network != NULL)
		s->pause = pause_adopt(sandboxes->host, holder_id, holder_name, "", &pause_handler, s);
	if (s->pause == NULL) {
		host_disown(sandboxes->host, &s->network);
		free(s);
		return NULL;
	}
	snprintf(s->mode, sizeof(s->mode), "container:%s", holder_id);
	s->is_adopted = true;
	if (sandboxes->host->relay_port != NULL)
		own_relay(s);
	s->has_relay = s->relay != NULL && !docker_is_podman(sandboxes->host->docker); /* whose address is not known */
	TAILQ_INSERT_TAIL(&sandboxes->all, s, next);
	sandboxes->count++;
	return s;
}

void
sandbox_detach(struct sandbox **sandbox)
{
	struct sandbox *s = *sandbox;

	if (s == NULL)
		return;
	*sandbox = NULL;
	assert(s->state == SANDBOX_LENT);
	pause_detach(&s->pause);
	TAILQ_REMOVE(&s->set->all, s, next);
	s->set->count--;
	host_disown(s->set->host, &s->relay);
	host_disown(s->set->host, &s->network);
	timer_free(&s->again);
	free(s);
}

void
sandbox_put(struct sandbox **sandbox, bool is_clean)
{
	struct sandbox *s = *sandbox;

	if (s == NULL)
		return;
	*sandbox = NULL;
	assert(s->state == SANDBOX_LENT);
	if (is_clean && !s->is_adopted && s->err.code == ERR_NONE)
		sandbox_step(s, SANDBOX_IDLE);
	else
		sandbox_fail(s, err_make(ERR_CANCELLED, 0, "not clean"));
}

const char *
sandbox_network(const struct sandbox *sandbox)
{
	return sandbox->network;
}

const char *
sandbox_mode(const struct sandbox *sandbox)
{
	return sandbox->mode;
}

bool
sandbox_has_mirror(const struct sandbox *sandbox)
{
	return sandbox->has_relay;
}

const char *
sandbox_mirror_address(const struct sandbox *sandbox)
{
	return sandbox->relay_address;
}
