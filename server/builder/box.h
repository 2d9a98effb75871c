/* A box: one hardened container in a sandbox that waits for its work. Its shell reads one tar from standard input,
 * unpacked at "/": davit/script (on a tmpfs that only root enters) and workspace/; then it runs the script. So a box
 * can be started long before there is work for it, and what it gets is in no file of the engine.
 *
 * An image without tar cannot do that: there the same tar is uploaded (BOX_ARCHIVE), and starting the container is what
 * makes the script run. From box_feed on there is no difference.
 *
 * A box ends by itself when its script has ended and all output is given, or by box_end, or by trouble; in any case
 * on_end is the last call, and the container is gone by then. */
#ifndef DAVIT_BUILDER_BOX_H
#define DAVIT_BUILDER_BOX_H

#include <stdint.h>

#include "proto/err.h"
#include "proto/script.h"
#include "server/builder/builder.h"
#include "server/builder/host.h"
#include "server/builder/sandbox.h"
#include "server/io/docker.h"

#define BOX_WORKSPACE BUILDER_WORKSPACE
#define BOX_FOLDER "/davit"
/* The last member of what a box is fed. */
#define BOX_WHOLE "davit/" SCRIPT_BOOT_WHOLE

struct box;
struct left;

enum box_input { BOX_STDIN, BOX_ARCHIVE };

struct box_result {
	int exit_code;   /* -1: the script did not end by itself, or never began */
	bool oom;        /* the memory limit was hit */
	bool truncated;  /* output is missing at its end */
	bool no_tar;     /* the image has no tar: take BOX_ARCHIVE */
	bool is_removed; /* nothing is left of it: the sandbox is clean */
};

struct box_handler {
	/* It can be fed. */
	void (*on_ready)(void *arg);
	/* raw: the bytes of that stream up to the end of these, from the container's start. */
	void (*on_output)(void *arg, enum builder_stream stream, struct str bytes, uint64_t raw);
	/* The script has ended by itself, and all its output is given; the container is still there. Answer with
	 * box_let_go. May be NULL. */
	void (*on_exit)(void *arg, const struct box_result *result);
	/* The sandbox (NULL if it never got one) is the callee's to give back. err NULL: the script ended by itself.
	 * After box_end it is ERR_CANCELLED. */
	void (*on_end)(void *arg, struct sandbox *sandbox, const struct box_result *result, const struct err *err);
};

struct box_spec {
	const char *image; /* id */
	const char *title; /* the image's name, for texts */
	enum box_input input;
	const struct builder_job *job;       /* NULL: not yet for a certain one */
	bool is_further;                     /* it follows on another of that job, which may still be there */
	int64_t deadline_ms;                 /* of the job, milliseconds since 1970 */
	struct sandbox *sandbox;             /* where it is put, taken over; NULL: it claims one */
	const char *volume;                  /* that is the workspace; NULL: it is in the container */
	const struct builder_limits *limits; /* NULL: the host's */
};

/* Everything is copied but job, which is lent until on_ready, and the handler. */
struct box *box_start(struct host *host, struct sandboxes *sandboxes, const struct box_spec *spec,
    const struct box_handler *handler, void *arg);
/* One that an earlier process has fed, and left running or ended: all that it has written is given from its beginning
 * on, as it was then. on_ready comes when it is known to run, or to have ended; box_feed is not to be called. left is
 * copied. NULL: it is none of this node's. */
struct box *box_adopt(struct host *host, struct sandboxes *sandboxes, const struct left *left,
    const struct box_handler *handler, void *arg);
bool box_is_ready(const struct box *box);
/* From now on these are called: how it changes hands. */
void box_set_handler(struct box *box, const struct box_handler *handler, void *arg);
/* Names a container that was made for no certain job after the one that gets it. */
void box_name(struct box *box, const struct builder_job *job);
/* What it may take when it reads what it is fed, if it was made with other limits. */
void box_limit(struct box *box, const struct builder_limits *limits);
/* Once it is ready: the beginning of the tar, copied, then the pieces of it, all without an end. The pieces are lent
 * until on_exit or on_end. It is unpacked, but nothing of it runs before box_go. */
void box_feed(struct box *box, struct str head, const struct docker_piece *pieces, size_t count);
/* After box_feed, once: the script may begin. */
void box_go(struct box *box);
/* Kills what the script runs, which goes on with what runs always; word: for DAVIT_JOB_STATUS (see script_stop). Once
 * only, of a script that has begun. */
void box_stop_script(struct box *box, const char *word);
/* The answer to on_exit. */
void box_let_go(struct box *box);
/* Between on_exit and box_let_go: the sandbox is the caller's, and on_end gives none. */
struct sandbox *box_leave_sandbox(struct box *box);
/* Whether box_adopt could take it up as it is: it has all that it is fed. */
bool box_may_be_left(const struct box *box);
/* It stays as it is, and so does its sandbox; it is nobody's in this process any more. */
void box_detach(struct box **box);
/* Ends it by force. May be called twice. */
void box_end(struct box *box);
/* Once it is ready. */
const char *box_container(const struct box *box);
const char *box_network(const struct box *box);
/* See sandbox_has_mirror, and sandbox_mirror_address. */
bool box_has_mirror(const struct box *box);
const char *box_mirror_address(const struct box *box);

#endif
