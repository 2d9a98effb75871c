/* The other side of a connection: a scripted server in a thread of its own, with blocking calls, so that a script reads
 * from top to bottom. It listens on a unix socket or on loopback, and its script accepts what it wants to accept.
 * The script runs to its end before peer_stop() returns; whatever it finds wrong it tells by peer_check(). */
#ifndef DAVIT_TEST_PEER_H
#define DAVIT_TEST_PEER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct peer;
typedef void peer_fn(struct peer *peer);

enum peer_kind { PEER_UNIX, PEER_TCP };

struct peer {
	char url[160];  /* unix:///... or http://127.0.0.1:PORT */
	char path[128]; /* of the unix socket */
	unsigned port;
	void *arg;
	char head[8192];     /* what peer_read_head() read last */
	atomic_size_t count; /* for scripts */
	atomic_int connections;
	/* private */
	int listener;
	int gate[2];
	peer_fn *script;
	unsigned long thread;
	char failure[256];
};

void peer_start(struct peer *peer, enum peer_kind kind, peer_fn *script, void *arg);
/* Joins the script and fails the test if it complained. */
void peer_stop(struct peer *peer);

/* For the test: lets one peer_wait() pass. */
void peer_go(struct peer *peer);

/* For the script. */
int peer_accept(struct peer *peer);
void peer_wait(struct peer *peer);
#define peer_check(peer, what) ((what) ? (void)0 : peer_fail(peer, #what, __LINE__))
void peer_fail(struct peer *peer, const char *what, int line);
/* Up to the empty line, byte by byte; false at the end of the stream. */
bool peer_read_head(struct peer *peer, int fd);
bool peer_read(int fd, void *p, size_t len); /* all of it */
bool peer_write(int fd, const void *p, size_t len);
bool peer_puts(int fd, const char *text);
/* Reads until the other side ends, and closes. */
void peer_drain_close(int fd);

/* Makes a directory of our own for the test's files; removed at exit. */
const char *peer_folder(void);

#endif
