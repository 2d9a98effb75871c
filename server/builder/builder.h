/* Builder: runs jobs in containers. It owns the engines (Docker or Podman sockets) and their slots, one run per job
 * (image, network, services, container, output, clean-up), the pool of containers that were started in advance, and
 * the sweep that removes what no run owns.
 *
 * A job is a value and a set of callbacks: what a run learns goes out through struct builder_events, in this order:
 *   started             the container exists and is attached; nothing was sent to it
 *   builder_go          the owner's answer, when the id is written durably: script and workspace are sent, and of a job
 *                       of several containers the one before it is removed
 *   output, segment     as they come
 *   built               it builds an image, which it has done; nothing of it was pushed
 *   builder_go          the owner's answer, when its id is written durably, so that a later attempt need not build it
 *   verdict             the job does not end by itself, or only what runs always is ended: how it comes out
 *   builder_go          the owner's answer, when that is written durably, so that its container, which would tell it
 *                       again, may be touched; perhaps more than once
 *   ended               the script has ended by itself, or waits at its end to be held; its container is still there,
 *                       and files can be taken out of it
 *   builder_leave       the owner's answer, when it has them
 *   done                exactly once, from the loop, when nothing of the job is left on the engine; not after
 *                       builder_forget, the other answer to ended
 * builder_cancel asks for the end: done follows with BUILDER_CANCELLED. The async contract of core/loop.h holds.
 *
 * A job whose spec says hold_s is done when it has failed, but its container stays for so long, in its slot, for who
 * wants to look at it; from then on it is the builder's alone. */
#ifndef DAVIT_BUILDER_BUILDER_H
#define DAVIT_BUILDER_BUILDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/err.h"
#include "proto/image.h"
#include "proto/plan.h"
#include "proto/progress.h"
#include "proto/str.h"
#include "server/builder/collect.h"
#include "server/builder/terminal.h"
#include "server/io/docker.h"

struct buf;
struct builder;
struct children;
struct disk;
struct engine;
struct loop;
struct builder_run;

struct builder_engine_conf {
	const char *name;   /* for people; unique */
	const char *url;    /* unix:///var/run/docker.sock, tcp://host:2375, tcp://host:2376 with the files below */
	unsigned slots;     /* jobs at a time, at least 1 */
	const char *labels; /* as proto/labels.h writes them; NULL: none. Without a platform= it gets its own */
	const char *mirror; /* HOST:PORT of the registry by way of which it pulls; NULL: none */
	const char *mirror_token; /* shown to it as a password; NULL: nothing */
	/* Where the mirror is for the jobs' networks: its port, NULL for none, and its address, NULL for their gateway.
	 */
	const char *relay_port;
	const char *relay_address;
	const char *ca; /* PEM files of a TLS connection; NULL: none */
	const char *cert;
	const char *key;
};

/* What one container may take. */
struct builder_limits {
	uint64_t memory;    /* bytes, swap included */
	uint64_t nano_cpus; /* 1e9 is one core */
	unsigned pids;
	uint64_t log_bytes; /* a job that writes more is ended */
};

/* Dockerfiles that only BuildKit understands. Its steps are outside of a job's network and limits, so what is left to
 * them is said by who runs the engine: nothing, steps without any network, or the engine's own. */
enum builder_buildkit { BUILDER_BUILDKIT_OFF, BUILDER_BUILDKIT_ISOLATED, BUILDER_BUILDKIT_ON };

/* Rewrites image names: "daocloud/ci-golang:*" -> "golang:*". The first that fits is taken. */
struct builder_alias {
	const char *pattern;
	const char *replacement;
};

struct builder_conf {
	const char *node;    /* [a-z0-9-]+: in the names and labels of everything made */
	struct disk *disk;   /* reads the contexts of image builds; NULL: there are none */
	const char *busybox; /* a static busybox: what the network containers run; NULL: /bin/busybox */
	const struct builder_engine_conf *engines;
	size_t engine_count;
	const struct builder_alias *aliases;
	size_t alias_count;
	const char *const
	    *blocked; /* addresses or a.b.c.d/n that jobs must not reach, beside the host's and metadata's */
	size_t blocked_count;
	struct builder_limits limits; /* a member of 0: the default */
	unsigned warm_images;         /* how many images have containers started in advance; 0: none */
	unsigned warm_per_image;      /* how many containers each */
	const char *wiring;           /* what tells a job's tools of the mirror (proto/wiring.h); NULL: nothing */
	enum builder_buildkit buildkit;
	struct children *children; /* for its client; NULL: it is off */
	bool waits;                /* nothing is asked of an engine before builder_begin */
};

/* Where a job finds its checkout. */
#define BUILDER_WORKSPACE "/workspace"

enum builder_state {
	BUILDER_PASSED,
	BUILDER_FAILED,
	BUILDER_CANCELLED,
	BUILDER_TIMED_OUT,
	BUILDER_ERROR,
	BUILDER_AGAIN, /* it was put back, or was to be adopted and cannot be; nothing is left of it */
};

/* Everything is lent: until done. */
struct builder_job {
	const char *id;    /* "17.2" */
	unsigned attempt;  /* from 1 */
	const char *nonce; /* 32 lower-case hex digits, of this attempt alone */
	const struct job_spec *spec;
	struct engine *slot;       /* from builder_take; NULL: on any engine */
	const struct env *env;     /* CI variables and secrets; service links are added by us. May be NULL */
	bool has_secrets;          /* among them: nothing of the job may come to the engine's disk */
	const char *workspace_tar; /* an uncompressed tar whose members lie below "workspace/", ended by two empty
				    * blocks and no more; NULL: an empty workspace */
	const struct docker_piece *inputs; /* tars without an end, unpacked at "/" after the workspace, in order */
	size_t input_count;
	const char *folder;   /* below the workspace, made for the job: ".davit"; NULL: none */
	bool is_foreign;      /* its code is a stranger's, from a fork */
	int64_t commit_ms;    /* when its commit was made; 0: not known */
	bool pull_always;     /* ask the registry even when the image is there */
	const char *built;    /* id of the image that an attempt before has built; NULL or "": none */
	const char *built_on; /* the engine that has it */
	const char *images;   /* of the jobs that it needs, the nearest first, see proto/built_image.h; NULL: none */
};

enum builder_stream { BUILDER_STDOUT = 1, BUILDER_STDERR = 2 };

struct builder_result {
	enum builder_state state;
	int exit_code;    /* -1: the script did not end by itself */
	char reason[256]; /* for people: "exit code 2 in script", "image x:1 not found"; "" when all is well */
	char image_digest[IMAGE_DIGEST_SIZE]; /* what ran: the repository digest, else the image's id; "" if it did not
						 come to that */
	bool oom;                             /* the memory limit was hit (also when the script passed) */
	bool truncated;                       /* output is missing: over the budget, or the engine went away */
	bool warm;                            /* the container was started in advance */
};

struct builder_events {
	/* For people: "pulling image debian:12", "service mysql ended with exit code 1". */
	void (*notice)(void *arg, const char *text);
	/* The container's id and the engine's name; once for each of the job's containers, with how far it had come
	 * before (but for the log). Answer with builder_go. */
	void (*started)(void *arg, const char *container_id, const char *engine, const struct progress *progress);
	/* text: output of the job without its markers, possibly empty; raw: how many bytes of that stream the engine
	 * has delivered from its beginning up to here (what a later reader of the engine's copy may skip). */
	void (*output)(void *arg, enum builder_stream stream, struct str text, uint64_t raw);
	/* name: install, before_script, script, or a step's as a marker takes it. Output given before it stands before
	 * it. exit_code -1: it begins. */
	void (*segment)(void *arg, const char *name, int exit_code);
	/* The id of an image that is to be pushed. Answer with builder_go. NULL where none is built. */
	void (*built)(void *arg, const char *id);
	/* It has that whole name from now on: at its registry, with that digest, or ("") on its engine alone. Likewise.
	 */
	void (*image)(void *arg, const char *name, const char *digest, const char *id);
	/* With the result as it will be. Answer with builder_go, or with builder_forget. May be NULL. */
	void (*verdict)(void *arg, const struct builder_result *result);
	/* With the result as it will be, if nothing comes between. Answer with builder_leave. May be NULL. */
	void (*ended)(void *arg, const struct builder_result *result);
	void (*done)(void *arg, const struct builder_result *result);
};

typedef void builder_slot_fn(void *arg);

/* conf is lent for the builder's life. Engines are tried at once, and again while they do not answer; on_slot is called
 * (from the loop) whenever a slot has become free or an engine has come up: claim as many jobs as builder_free_slots
 * says. */
struct builder *builder_new(struct loop *loop, const struct builder_conf *conf, builder_slot_fn *on_slot, void *arg);
/* With conf->waits, once: whoever had this node's name before works on no engine any more, so that what is left there
 * may be removed. */
void builder_begin(struct builder *builder);
/* Before an end that leaves jobs to another process: nothing is swept any more. */
void builder_drain(struct builder *builder);
/* Removes warm containers and networks, and what a sweep had begun to, within some seconds; done when it is over. No
 * run may be alive: end or detach them and wait for their done first. */
void builder_stop(struct builder *builder, builder_slot_fn *done, void *arg);
/* After builder_stop's done. Accepts NULL inside. */
void builder_free(struct builder **builder);

unsigned builder_free_slots(const struct builder *builder);
unsigned builder_slots(const struct builder *builder); /* of all engines, up or not */

/* The labels of each engine that has a free slot, at most max of them; lent until the next turn of the loop. */
size_t builder_offers(const struct builder *builder, const char **ret, size_t max);
/* Those of all engines, up or not, with semicolons between. */
void builder_labels(const struct builder *builder, struct buf *ret);
/* Takes a slot of an engine that has these labels, of one with few others and much room; for builder_start, or to be
 * given back. NULL: there is none. */
struct engine *builder_take(struct builder *builder, const char *labels);
/* Accepts NULL inside. */
void builder_give_back(struct engine **slot);

/* In job->slot, or in one that is taken now, which there must be. *ret stays good until done. */
void builder_start(struct builder *builder, const struct builder_job *job, const struct builder_events *events,
    void *arg, struct builder_run **ret);
/* Before builder_begin: a job whose container an earlier process has fed goes on. It takes a slot, even if there is
 * none; started is called for further containers of it only, output and segments are given from the beginning of the
 * one that was left on. Of the job, only id, attempt, nonce, spec and env are looked at. False: the engine is none of
 * ours, and nothing follows. */
struct builder_left {
	const char *engine;
	const char *container;
	int64_t deadline_ms;                  /* of the job, milliseconds since 1970 */
	struct progress progress;             /* as started gave it with that container */
	const struct builder_result *verdict; /* that was told of it; NULL: none */
};
bool builder_adopt(struct builder *builder, const struct builder_job *job, const struct builder_left *left,
    const struct builder_events *events, void *arg, struct builder_run **ret);
/* The answer to started, to built and to verdict. */
void builder_go(struct builder_run *run);
/* Takes files out of the container, between ended and builder_leave: see collect.h. */
struct collect *builder_collect(struct builder_run *run, const struct strings *patterns,
    const struct collect_limits *limits, const struct collect_handler *handler, void *arg);
/* The answer to ended; no collect may go on. Nothing happens when the run is ending anyway. */
void builder_leave(struct builder_run *run);
/* Likewise, of an owner that wants to hear nothing more: the result is that of ended or verdict, and what is left of
 * the job is removed, or held, by the builder alone. False: the run is ending anyway, and done follows. */
bool builder_forget(struct builder_run *run);
/* Ends the job, but for what runs always, which has a minute; done still follows. Asked again, it ends at once. Nothing
 * happens when it is ending anyway. why: for people. */
void builder_cancel(struct builder_run *run, const char *why);
/* Ends it at once. */
void builder_end(struct builder_run *run, const char *why);
/* Likewise, with BUILDER_AGAIN, unless it had come to a result. */
void builder_put_back(struct builder_run *run, const char *why);
/* After builder_drain, with no collect going on: the job's container is left as it is, for the builder_adopt of a later
 * process; the run is gone, and nothing follows. False: no other process could take it up, and nothing has happened. */
bool builder_detach(struct builder_run *run);

/* A terminal in the container of a job that runs or is held. NULL and *err: ERR_NOT_FOUND when it has none here. Closed
 * before builder_stop. */
struct terminal *builder_terminal(struct builder *builder, const char *job, const struct terminal_spec *spec,
    const struct terminal_handler *handler, void *arg, struct err *err);
/* The containers of held jobs go: of a job (17.2), or of all of a build (17). False: none is held here. */
bool builder_release(struct builder *builder, const char *id);

/* For status pages: how the engine with that index fares. reason is "" while it is up. */
struct builder_engine_status {
	const char *name;
	const char *version; /* "20.10.24", "" until known */
	bool up;
	bool has_failed; /* it was tried, and reason says why that failed */
	const char *reason;
	unsigned slots;
	unsigned busy;
	unsigned warm; /* containers that wait for a job */
};
bool builder_engine_status(const struct builder *builder, size_t index, struct builder_engine_status *ret);

#endif
