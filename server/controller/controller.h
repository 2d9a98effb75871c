/* Controller: the server's face. Listeners with the gate, routes, the API under /api/v1, live streams, the web page,
 * /healthz and /metrics; webhooks come in here and are handed to the hook. libevhtp is known only here.
 *
 * Everything but the page, /healthz, /hook/... and /login wants a token with the role for it (auth.h): as
 * "Authorization: Bearer", or as the session cookie that POST /login gives for it. */
#ifndef DAVIT_CONTROLLER_CONTROLLER_H
#define DAVIT_CONTROLLER_CONTROLLER_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/err.h"
#include "proto/str.h"

struct builder;
struct controller;
struct file_store;
struct hook;
struct inherited;
struct listening;
struct log_store;
struct loop;
struct mirror;
struct store;
struct reserve;
struct zones;

struct controller_deps {
	struct loop *loop;
	struct store *store;
	struct log_store *logs;
	struct file_store *files;
	struct builder *builder; /* for the engines' state */
	struct hook *hook;
	struct mirror *mirror;   /* NULL: none */
	struct zones *zones;     /* for the times of schedules */
	struct reserve *reserve; /* whether the disk is full; NULL: nobody looks */

	const char *const *listen; /* addresses, see server/io/listening.h; at least one */
	size_t listen_count;
	struct inherited *inherited; /* for the start: where sockets may be already; NULL: nowhere */
	bool waits;                  /* clients wait in the kernel until controller_accept */
	/* Addresses whose X-Forwarded-* are believed; NULL-terminated. NULL: 127.0.0.1 and ::1. Who comes by a unix
	 * socket always is. */
	const char *const *trusted_proxies;
	const char *url;         /* where people reach the server; "": what the request says */
	const char *admin_token; /* 16 bytes at least */
	const char *version;
	/* Begins to seal everything with a new key; ERR_CONFLICT while that is under way. */
	bool (*rotate_key)(void *arg, struct err *err);
	void *rotate_arg;
	size_t hook_body_max;     /* bytes of a delivery */
	unsigned connections_max; /* of each listener; 0: by the limit of descriptors */
};

/* Listens on return. NULL and *err when an address is taken or malformed. deps is copied, its strings are borrowed for
 * the controller's life. */
struct controller *controller_new(const struct controller_deps *deps, struct err *err);
/* Ends every connection. Before the hook, the store, the logs and the builder are freed. Accepts NULL inside. */
void controller_free(struct controller **controller);
void controller_accept(struct controller *controller);
/* For a stop: accepts no more, answers what has come, ends the live streams. */
void controller_drain(struct controller *controller);
/* The same, but another process has our sockets: done is called when every request is answered, after 10 s at the
 * latest. Once only. */
void controller_leave(struct controller *controller, void (*done)(void *arg), void *arg);
/* A line of store_on_wake. */
void controller_wake(struct controller *controller, const char *line);
/* As listened on, with the real port; NULL behind the last. */
const char *controller_address(const struct controller *controller, size_t index);
/* The name of that access token, good until the loop runs on; NULL: it is none, or, with *is_early, not all are known
 * yet. */
const char *controller_token_name(const struct controller *controller, struct str token, bool *is_early);
/* For who takes our place; NULL behind the last. */
const struct listening *controller_socket(const struct controller *controller, size_t index);

#endif
