/* What docker.c gives to the files of calls beside it: one request, its deadline, and how its reply is read. */
#ifndef DAVIT_IO_DOCKER_PRIVATE_H
#define DAVIT_IO_DOCKER_PRIVATE_H

#include "proto/docker_lines.h"
#include "server/io/docker.h"
#include "server/io/httpc.h"

struct docker {
	struct loop *loop;
	struct httpc *httpc;
	char prefix[16]; /* "/v1.41"; "" until the version is known */
	bool is_podman;  /* false until the version is known */
	unsigned ops;    /* calls and attachments alive */
};

enum { DOCKER_PATH_MAX = 4096, DOCKER_TROUBLE_MAX = 4096, DOCKER_REPLY_MAX = 16 * 1024 * 1024 };

struct docker_call {
	const char *what; /* for error texts: "start container" */
	const char *method;
	const char *type;   /* of the body sent; NULL: JSON */
	unsigned also_good; /* a status of 304 or above that is a success here; 0: none */
	int64_t total_ms;   /* 0: none */
	int64_t idle_ms;    /* 0: none */
	/* Reads the body of a good reply; NULL: nothing is expected in it. */
	bool (*decode)(struct str body, union docker_result *result, struct err *err);
	/* Of what decode has made, when the callback has had it; NULL: nothing. */
	void (*release)(union docker_result *result);
};

/* The base of every call; kinds that know more embed it as their first member. */
struct docker_op {
	struct docker *docker;
	const struct docker_call *call; /* static */
	struct httpc_op *http;
	docker_fn *fn;
	void *arg;
	void (*fini)(struct docker_op *op); /* of what the kind added; may be NULL */
};

/* size: of the kind. */
struct docker_op *docker_op_new(
    struct docker *docker, size_t size, const struct docker_call *call, docker_fn *fn, void *arg);
/* A printf of the path below the version. What it takes is [A-Za-z0-9_.:-]+ or encoded by docker_encode. */
char *docker_path(struct docker_op *op, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* For a query or a path; free() it. */
char *docker_encode(const char *text);
/* Sends a request without or with a body; both texts are taken over. handler NULL: the plain one. */
void docker_op_send(struct docker_op *op, char *path, char *body, size_t body_len, const struct httpc_handler *handler);
/* The same with the login that a registry is to be shown, NULL for none. */
void docker_op_send_login(struct docker_op *op, const char *auth, char *path, char *body, size_t body_len,
    const struct httpc_handler *handler);
/* The three steps of a plain call. */
struct docker_op *docker_plain(
    struct docker *docker, const struct docker_call *call, char *path, docker_fn *fn, void *arg);

/* A call whose reply is taken as it comes: lines of JSON, or frames. Kinds that know more embed it first. */
struct docker_follow {
	struct docker_op op;
	bool is_good;       /* the reply's status */
	struct buf trouble; /* the body of a bad reply */
	bool *gone;         /* set when the op ends while one of its callbacks runs */

	/* Lines: what a line means. False ends the call with op's error. */
	bool (*on_line)(struct docker_follow *f, struct str line, struct err *err);
	struct docker_lines lines;
	struct docker_frames frames;

	docker_open_fn *on_open;
	docker_event_fn *on_event;
	docker_progress_fn *on_progress;
	docker_output_fn *on_output;
};

/* size: of the kind. */
struct docker_follow *docker_follow_new(
    struct docker *docker, size_t size, const struct docker_call *call, docker_fn *fn, void *arg);
/* Asks, with the login that a registry is to be shown, NULL for none. The path is handed over. */
void docker_follow_post(struct docker_follow *f, const struct docker_call *call, const char *auth, char *path,
    const struct httpc_handler *handler);
/* The end of the output of what has that path, which is taken over. */
struct docker_op *docker_last_lines(struct docker *docker, const struct docker_call *call, char *path, unsigned lines,
    docker_output_fn *on_output, docker_fn *fn, void *arg);
/* Of its handler. */
void docker_follow_on_head(void *arg, const struct httpc_reply *reply);
void docker_follow_on_body(void *arg, struct str bytes);
void docker_follow_on_done(void *arg, const struct httpc_reply *reply, const struct err *err);
/* A line of a pull or a push: on_progress hears of it, an error in it ends the call. */
bool docker_on_progress(struct docker_follow *f, struct str line, struct err *err);
/* What an error means that a registry's words came with. */
enum err_code docker_registry_error(const char *text);

/* on_done of the plain handler: decodes the reply or the error and ends op. */
void docker_on_done(void *arg, const struct httpc_reply *reply, const struct err *err);
/* Ends op: its callback runs, op is gone. */
void docker_op_end(struct docker_op *op, const union docker_result *result, const struct err *err);
bool docker_status_is_good(const struct docker_call *call, unsigned status);
/* The three steps of a plain call whose path ends in that filter. */
struct docker_op *docker_filtered(struct docker *docker, const struct docker_call *call, const char *path,
    const char *filters, docker_fn *fn, void *arg);
/* A call's decode: of what was made. */
bool docker_decode_id(struct str body, union docker_result *result, struct err *err);
/* What a status that is not good means. */
struct err docker_status_error(const struct docker_call *call, unsigned status, struct str body);

#endif
