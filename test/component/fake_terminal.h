/* Stands in for builder/'s terminals before the controller: job 1.1 has a container. What the shell says and when it
 * ends is the test's. */
#ifndef DAVIT_TEST_FAKE_TERMINAL_H
#define DAVIT_TEST_FAKE_TERMINAL_H

#include <stdbool.h>

#include "proto/buf.h"
#include "server/builder/terminal.h"

struct loop;

struct fake_terminal {
	struct terminal *open; /* the last that was opened; NULL: it is closed */
	unsigned count;        /* of those that are open */
	char type[64];
	unsigned rows, columns;
	struct buf typed; /* by the client */
	size_t pending;   /* what terminal_pending answers */
	bool is_paused;
	bool is_refused;   /* the engine says no */
	char released[32]; /* job */
};
extern struct fake_terminal fake_terminal;

void fake_terminal_reset(struct loop *loop);
void fake_terminal_say(const char *bytes, size_t len);
/* What was typed has been read. */
void fake_terminal_drain(void);
void fake_terminal_end(int exit_code);

#endif
