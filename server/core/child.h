/* Child processes in the reactor: a program with its arguments (never a shell), an explicit environment, its own
 * process group, default signals, no descriptor of ours beyond the three streams. Streams are pipes that the loop reads
 * and writes; the end of the process is an event.
 *
 * done is called once the process has ended and its output is read; then nothing of its process group is left. Whoever
 * holds an output pipe open longer than a second after the end is killed for it. The async contract of core/loop.h
 * holds: a program that cannot be started is an error in done. */
#ifndef DAVIT_CORE_CHILD_H
#define DAVIT_CORE_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "proto/err.h"
#include "proto/str.h"

struct child;
struct children;
struct loop;

enum child_in {
	CHILD_IN_NULL,  /* end of file at once */
	CHILD_IN_BYTES, /* input, then end of file; copied */
	CHILD_IN_PIPE,  /* child_write and child_close_input */
	CHILD_IN_FD,    /* in_fd, lent until child_start returns */
};

enum child_out {
	CHILD_OUT_NULL,    /* thrown away */
	CHILD_OUT_COLLECT, /* into the result, up to max bytes; what follows is read and dropped */
	CHILD_OUT_STREAM,  /* fn gets the bytes as they come; fn may call child_cancel */
	CHILD_OUT_FD,      /* fd, lent until child_start returns */
	CHILD_OUT_INHERIT, /* our own */
};

typedef void child_output_fn(void *arg, struct str bytes);

struct child_output {
	enum child_out kind;
	size_t max;
	child_output_fn *fn;
	int fd;
};

struct child_spec {
	const char *const *argv; /* NULL-terminated; argv[0] with a '/' or looked up in our PATH */
	const char *program;     /* a path, when argv[0] is not it; NULL: argv[0] */
	const char *const *env;  /* NULL-terminated "NAME=value", all that the program gets; NULL: empty */
	const char *dir;         /* where it starts; NULL: where we are */
	enum child_in in;
	struct str input;
	void (*on_drain)(void *arg); /* CHILD_IN_PIPE: all that was written has left; NULL: nobody waits for that */
	int in_fd;
	struct child_output out;
	struct child_output err;
	const int *fds; /* child_detach alone: what else it gets, as 3, 4 ...; lent until it returns */
	size_t fd_count;
	int64_t timeout_ms; /* then TERM to the group, and KILL 2 s later; 0: as long as it takes (a daemon's helper) */
};

/* Lent for the callback. */
struct child_result {
	int exit_code;  /* -1: ended by a signal, or never started */
	int signal;     /* 0: none */
	struct str out; /* what was collected, NUL-terminated */
	struct str err;
	bool out_cut; /* there was more than max */
	bool err_cut;
};

/* err is NULL when the program ended with 0. Else ERR_REFUSED (detail: exit code, or 128 + signal), ERR_TIMEOUT,
 * ERR_CANCELLED (child_stop), or ERR_IO (it could not be started); the text begins with the program's name. result is
 * never NULL. */
typedef void child_done_fn(void *arg, const struct child_result *result, const struct err *err);

/* The owner of all processes. Ignores SIGPIPE in this process. */
struct children *children_new(struct loop *loop);
/* Kills and reaps those that were cancelled and have not ended yet; all others must have ended or been cancelled. */
void children_free(struct children **children);
/* How many are alive, the cancelled ones included. */
unsigned children_count(const struct children *children);

/* Everything in spec is copied or used before it returns. */
struct child *child_start(struct children *children, const struct child_spec *spec, child_done_fn *done, void *arg);
/* TERM to the group, KILL 2 s later; done is never called. Accepts NULL inside. */
void child_cancel(struct child **child);

/* The same, but done is called when it has ended, with ERR_CANCELLED: for who must know that it is gone. */
void child_stop(struct child *child);

/* CHILD_IN_PIPE: appends to what is written as the program reads it. false when more than 1 MiB would wait, or when the
 * program has closed its input. */
bool child_write(struct child *child, struct str bytes);
void child_close_input(struct child *child);
/* For logs. -1: it could not be started. */
pid_t child_pid(const struct child *child);

/* Starts a program that outlives us: in its own session, not watched, not in any struct children. It is reaped by init
 * when we are gone; while we live, its end is seen by waitpid(*pid) alone. in is CHILD_IN_NULL or CHILD_IN_FD, out and
 * err are CHILD_OUT_NULL, _FD or _INHERIT; no deadline. */
bool child_detach(const struct child_spec *spec, pid_t *pid, struct err *err) __attribute__((warn_unused_result));

#endif
