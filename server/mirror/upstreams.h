/* Where the mirror may go: the list of allowed hosts, one HTTP client per origin, and at most so many requests to an
 * origin at a time and a second, the others in order of their coming. One that does not answer is left alone for a
 * while (breaker.h), and what it says of its limits is remembered. */
#ifndef DAVIT_MIRROR_UPSTREAMS_H
#define DAVIT_MIRROR_UPSTREAMS_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/err.h"
#include "server/io/httpc.h"

enum {
	UPSTREAM_REQUESTS = 32,        /* to one origin at a time, where no rule says */
	UPSTREAM_WAITING_MAX = 1024,   /* for their turn at one */
	UPSTREAM_WAIT_MS = 60000,      /* and for how long */
	UPSTREAM_BELIEVED_S = 10 * 60, /* what it has said of its limits, or of when to ask again, at most */
};

struct upstreams;
struct upstream_turn;

struct upstream_rule {
	const char *host; /* "deb.debian.org", "*.example.org", "10.1.2.3:8080", "*": as conf/davit.yml says */
	bool is_private;  /* its name may lead to an address that is not of the public Internet */
	bool is_clear;    /* asked by http://, where the mirror's own URL names it */

	/* What it is shown on behalf of clients that may see what it gives for that, the value of Authorization: "Basic
	 * ..." or "Bearer ..."; NULL: nothing. */
	const char *authorization;
	const char *identity; /* stands in the keys of what it gives for that; NULL without it */
	const char *realm;    /* a host that may have the login, too; NULL: none */
	bool is_for_jobs;     /* engines that pull for jobs are such clients */
	unsigned requests;    /* at a time; 0: UPSTREAM_REQUESTS */
	unsigned rate;        /* a second; 0: any */
};

/* A scheme, a host and a port. */
struct origin {
	bool is_tls;
	const char *host; /* lower case, an IPv6 address without brackets */
	unsigned port;
};

/* The first rule that names the host at that port; NULL: none does. */
const struct upstream_rule *upstream_rules_find(
    const struct upstream_rule *rules, size_t count, const char *host, unsigned port);

struct upstreams_conf {
	struct loop *loop;
	const struct upstream_rule *rules; /* lent */
	size_t rule_count;
	const char *ca_file;  /* PEM; NULL: the system's */
	const char *registry; /* URL of the registry of images that name none */
};

/* NULL and *err when ca_file cannot be read, or the registry's URL is malformed. */
struct upstreams *upstreams_new(const struct upstreams_conf *conf, struct err *err);
/* Every turn must have been given back. Accepts NULL inside. */
void upstreams_free(struct upstreams **upstreams);

/* The first rule for that host and port; NULL: it is not allowed. */
const struct upstream_rule *upstreams_rule(const struct upstreams *upstreams, const char *host, unsigned port);

/* The rule whose authorization is good for that origin: by https, or where the rule itself says http. The registry of
 * images that name none is as its URL says. NULL: there is none. */
const struct upstream_rule *upstreams_authorized(const struct upstreams *upstreams, const struct origin *origin);
/* Whether any rule has an authorization. */
bool upstreams_have_logins(const struct upstreams *upstreams);
bool origin_is_same(const struct origin *a, const struct origin *b);

const struct origin *upstreams_registry(const struct upstreams *upstreams);

/* fn gets the client when it is the turn's turn, or NULL and why there is none. An origin that no rule names is asked
 * at public addresses alone: how a redirect leads on. */
typedef void upstream_fn(void *arg, struct httpc *httpc, const struct err *err);
/* Of one that has begun, and that clients wait for: it comes soon and seldom enough to be asked for although the origin
 * is left alone. */
struct upstream_turn *upstreams_enter_again(
    struct upstreams *upstreams, const struct origin *origin, upstream_fn *fn, void *arg);
struct upstream_turn *upstreams_enter(
    struct upstreams *upstreams, const struct origin *origin, upstream_fn *fn, void *arg);
/* How it came out; once, and no word is needed of a request that was given up. Any reply is an answer: what it means is
 * for those who asked for that URL. */
void upstreams_answered(struct upstream_turn *turn, const struct http1_head *reply);
void upstreams_failed(struct upstream_turn *turn, const struct err *err);
/* Gives the turn back, or up; its request has ended or been cancelled. Accepts NULL inside. */
void upstreams_leave(struct upstream_turn **turn);

/* Whether it has little left of what it allows: what can wait had better not be asked. */
bool upstreams_are_short(const struct upstreams *upstreams, const struct origin *origin);

struct upstream_status {
	const char *name; /* of the origin; lent until the loop runs on */
	bool is_away;     /* it has not answered lately, and is not asked before retry_s are over */
	int64_t retry_s;
	unsigned active, waiting;
	uint64_t requests, failures;
	int64_t limit, remaining; /* as it said last; -1: nothing, or too long ago */
};

/* Fills at most max, those used longest ago first; returns how many. */
size_t upstreams_status(const struct upstreams *upstreams, struct upstream_status *ret, size_t max);

/* "http://host:port", as long as 300 bytes. */
#define ORIGIN_SIZE 300
void origin_print(const struct origin *origin, char ret[ORIGIN_SIZE]);

#endif
