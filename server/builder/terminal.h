/* A terminal in a job's container: a shell beside the job's own script, with the job's variables, in its workspace, and
 * with the rights of the container. The engine cannot end such a shell, so a terminal that is closed has it killed from
 * within; the rest of it goes with the container. */
#ifndef DAVIT_BUILDER_TERMINAL_H
#define DAVIT_BUILDER_TERMINAL_H

#include <stddef.h>

#include "proto/err.h"
#include "proto/str.h"

struct host;
struct terminal;

struct terminal_spec {
	const char *type; /* for TERM: [A-Za-z0-9._+-]+ */
	unsigned rows, columns;
};

struct terminal_handler {
	/* The shell runs. */
	void (*on_open)(void *arg);
	void (*on_output)(void *arg, struct str bytes);
	/* All that was written has left. */
	void (*on_drain)(void *arg);
	/* The last call: it is gone. err NULL: the shell has ended with that exit code. */
	void (*on_end)(void *arg, int exit_code, const struct err *err);
};

struct terminal *terminal_start(struct host *host, const char *container, const struct terminal_spec *spec,
    const struct terminal_handler *handler, void *arg);
/* Once it is open; copied. terminal_pending of the bytes have not left. */
void terminal_write(struct terminal *terminal, struct str bytes);
size_t terminal_pending(const struct terminal *terminal);
/* Its output has to wait, and so has the shell. Both may be called twice. */
void terminal_pause(struct terminal *terminal);
void terminal_resume(struct terminal *terminal);
void terminal_resize(struct terminal *terminal, unsigned rows, unsigned columns);
/* No on_end follows. Accepts NULL inside. */
void terminal_close(struct terminal **terminal);

/* Those that are closed and not yet gone are given up. */
void terminals_drop(struct host *host);

#endif
