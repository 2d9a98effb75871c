/* Notification: tells forges (commit status) and people (e-mail) what became of a build. It consumes the store's
 * outbox:
 *
 *   build:17 passed  --fan-out-->  status:acme:0123...  and  mail:ada@example.com, one for each of them
 *
 * Each notice is claimed, sent, and acked after the peer has taken it: at least once, in order within a target, several
 * targets at a time. What fails is put off (1 s, doubled up to 30 s, or as the forge asks) until it is a day old; what
 * can never go through is dropped onto the store's list of the dead, with one line in the log. */
#ifndef DAVIT_NOTIFY_NOTIFY_H
#define DAVIT_NOTIFY_NOTIFY_H

#include <stdint.h>

#include "proto/err.h"
#include "server/core/loop.h"
#include "server/io/smtpc.h"

struct log_store;
struct notify;
struct store;

/* Copied by notify_new(), strings included. */
struct notify_conf {
	const char *url; /* where people reach the server, without a slash at its end; "" or NULL: no links */
	const struct smtpc_conf *smtp; /* NULL: no mail is sent */
	const char *mail_from;         /* sender's address; with smtp only */
	const char *forge_ca;          /* PEM, of the authorities that may sign the forges'; NULL: the system's */
	unsigned parallel;             /* notices on their way at a time; 0: 16 */
	int64_t timeout_ms;   /* of one attempt; 0: 10 s for a status, 20 s for a mail. Below the store's lease */
	int64_t delay_ms;     /* before the second attempt; 0: 1 s */
	int64_t delay_max_ms; /* before any other; 0: 30 s */
	int64_t age_max_ms;   /* then a notice is dropped; 0: a day */
};

/* logs: for the end of a failed job's log in mails; NULL: without. store and logs must outlive it. It begins with the
 * first notify_wake(). NULL with *err set when a TLS file cannot be used. */
struct notify *notify_new(
    struct loop *loop, struct store *store, struct log_store *logs, const struct notify_conf *conf, struct err *err);
/* What is on its way is left: it is sent again by whoever claims it next. Accepts NULL. */
void notify_free(struct notify **notify);
/* A line of store_on_wake(); others than "outbox" and "up" are ignored. */
void notify_wake(struct notify *notify, const char *line);

#endif
