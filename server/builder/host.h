/* What the builder's parts need to make things on one engine: its client, the limits, and the names and labels that
 * everything made carries. What is made is written down here by name before it is made and crossed off when it is gone:
 * the sweep removes whatever carries our node's label and is not written down. */
#ifndef DAVIT_BUILDER_HOST_H
#define DAVIT_BUILDER_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include "proto/docker_spec.h"
#include "server/builder/builder.h"
#include "server/io/docker.h"

struct owned;

/* A wall (pause.h) that has to hear of new addresses to block; its owner's, from host_listen to host_unlisten. */
struct host_listener {
	TAILQ_ENTRY(host_listener) next;
	void (*on_blocked)(void *arg, const char *address);
	void *arg;
};

enum { HOST_BLOCKED_MAX = 256, HOST_ADDRESS_SIZE = 20 /* a.b.c.d/n */ };

struct host {
	struct loop *loop;
	struct docker *docker;
	const struct builder_conf *conf;
	struct builder_limits limits; /* none of them 0 */
	struct platform platform;     /* the engine's own, from when it has been up */
	const char *mirror;           /* see builder_engine_conf, as the next three */
	const char *mirror_token;
	const char *relay_port, *relay_address;
	char boot[17];   /* of this process: in labels and names, so that what an earlier one made is told apart */
	unsigned serial; /* of names */
	TAILQ_HEAD(, owned) owned;
	LIST_HEAD(, terminal) terminals;
	TAILQ_HEAD(, host_listener) listeners;
	char blocked[HOST_BLOCKED_MAX][HOST_ADDRESS_SIZE];
	size_t blocked_count; /* of all times: the oldest make room for the newest */
};

/* Without the client, which its owner makes. */
void host_init(struct host *host, struct loop *loop, const struct builder_conf *conf);
/* Nothing may be owned any more. */
void host_fini(struct host *host);

/* "davit-NODE-" and the rest, written down as owned; good until host_disown. */
const char *host_own(struct host *host, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same of what is no job's: "davit-NODE-BOOT-ROLE-NUMBER". A killed process may have asked for something that the
 * engine makes only now: it has another name. */
const char *host_own_new(struct host *host, const char *role);
/* Accepts NULL inside. */
void host_disown(struct host *host, const char **name);
bool host_owns(const struct host *host, const char *name);
/* From now on that address (or a.b.c.d/n) is out of reach for all jobs, the running ones too. */
void host_block(struct host *host, const char *address);
/* Those that are blocked are numbered in the order in which they came: from the first to below blocked_count. */
size_t host_blocked_first(const struct host *host);
const char *host_blocked(const struct host *host, size_t number);
void host_listen(struct host *host, struct host_listener *listener);
void host_unlisten(struct host *host, struct host_listener *listener);

/* The platform, where the engine is of another one, and has to be asked for it; else NULL. platform may be NULL. */
const char *host_foreign(const struct host *host, const char *platform);

/* A number not given before. */
unsigned host_serial(struct host *host);
/* Owns what an earlier process of this node made under that whole name. NULL: the name is none of this node's. */
const char *host_adopt(struct host *host, const char *name);

/* Labels of one thing. */
struct host_labels {
	struct docker_label list[8];
	size_t count;
	char build[24], attempt[16], deadline[24];
};

/* role: "job", "warm", "network", "service". */
void host_labels_init(struct host_labels *labels, const struct host *host, const char *role);
/* Whose it is, and until when (milliseconds since 1970). */
void host_labels_job(struct host_labels *labels, const struct builder_job *job, int64_t deadline_ms);

#endif
