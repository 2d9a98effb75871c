/* The older davitd's side of an upgrade: starts the new one, with descriptors that it inherits by name
 * (core/inherited.h), and waits until it says that it can do the work. Then this process may leave it the place; or the
 * new one fails (wrong configuration, a crash, no word in time), is ended, and everything stays as it was.
 *
 * The words, each a line on a socket between the two: "ready" from the new one, then "go" from the older one, which
 * accepts no more by then; its end, as the socket shows it, gives the node over. takeover.h is the other side. */
#ifndef DAVIT_SERVER_HANDOVER_H
#define DAVIT_SERVER_HANDOVER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "proto/err.h"

#define HANDOVER_LINE "line" /* the socket's name */
#define HANDOVER_READY "ready\n"
#define HANDOVER_GO "go\n"

struct handover;
struct loop;

struct handover_fd {
	const char *name;
	int fd;
};

struct handover_conf {
	const char *program;
	const char *const *argv; /* NULL-terminated */
	int64_t timeout_ms;      /* for the word; 0: 30 s */
};

/* Once: NULL when the new process is ready, or why there is none. */
typedef void handover_fn(void *arg, const struct err *err);

/* All is copied or used before it returns. After fn with an error, it is gone. */
struct handover *handover_start(struct loop *loop, const struct handover_conf *conf, const struct handover_fd *fds,
    size_t count, handover_fn *fn, void *arg);
pid_t handover_pid(const struct handover *handover);
/* Ready: the place is the new one's from now on, and this process has to end. */
void handover_go(struct handover *handover);
/* Ends the new process, unless the place is its already: then its word is that we have gone. Accepts NULL inside. */
void handover_free(struct handover **handover);

#endif
