/* A listening socket with libevhtp behind it, and all connections that came by it. */
#ifndef DAVIT_CONTROLLER_LISTENER_H
#define DAVIT_CONTROLLER_LISTENER_H

#include "proto/err.h"
#include "server/controller/gate.h"

struct inherited;
struct listener;
struct listening;
struct loop;

struct listener_conf {
	const char *address;         /* see server/io/listening.h */
	struct inherited *inherited; /* where the socket may be already; NULL: nowhere */
	bool waits;                  /* clients are let in after listener_accept; until then they wait in the kernel */
	/* Accepting pauses at so many; 0: what the limit of file descriptors allows, less 128 for the rest of us, */
	unsigned connections_max;
	unsigned listeners; /* shared by so many; 0: one */
	struct gate_conf gate;
};

/* Listens on return. NULL and *err when the address is malformed or taken. conf is copied, not its strings. */
struct listener *listener_new(struct loop *loop, const struct listener_conf *conf, struct err *err);
/* Ends every connection; handlers keep tokens that they still have to end. Accepts NULL. */
void listener_free(struct listener **listener);
void listener_accept(struct listener *listener);
/* Accepts no more; idle connections end now, busy ones when they are answered. Live streams stay. */
void listener_drain(struct listener *listener);
/* The same, but another process accepts at the address, so nobody has to hurry: idle connections have a second for one
 * more request. on_empty is called when no connection is left, not before this returns if there is one, and may be
 * called again; it may not free the listener. */
void listener_leave(struct listener *listener, void (*on_empty)(void *arg), void *arg);

const struct listening *listener_socket(const struct listener *listener);

/* As conf.address, with the port that was really bound. */
const char *listener_address(const struct listener *listener);
unsigned listener_port(const struct listener *listener); /* 0 for a unix socket */

struct listener_figures {
	unsigned connections;
	uint64_t accepted;
	uint64_t answers[6];    /* by the status' first digit */
	uint64_t accept_pauses; /* because of the cap or of EMFILE */
};

struct listener_figures listener_figures(const struct listener *listener);

#endif
