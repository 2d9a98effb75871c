#include "server/builder/box.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"
#include "proto/script.h"
#include "proto/tar.h"
#include "server/builder/container.h"
#include "server/builder/left.h"
#include "server/core/crash.h"
#include "server/core/log.h"
#include "server/core/loop.h"
#include "server/io/stream.h"

enum {
	DRAIN_MS = 5000,       /* without output after the exit: no end of it will come */
	EXIT_MS = 10000,       /* the exit after the output's end */
	FIRST_WORDS_MAX = 512, /* of a shell that never gets ready */
	KILLED = 137, /* by a signal that the memory limit sends, too: the engine may learn of it after the end */
	LOOK_MS = 150,
	LOOKS_MAX = 4
};

enum box_state {
	BOX_SANDBOX, /* one is claimed */
	BOX_CREATE,
	BOX_ATTACH,
	BOX_REGISTER, /* the wait is registered, so that no exit is missed */
	BOX_START,
	BOX_BOOT, /* the shell says that it reads */
	BOX_READY,
	BOX_LIMIT, /* the job's limits take the place of those it was started with */
	BOX_UPLOAD,
	BOX_UPLOADED, /* until it may run */
	BOX_ADOPT,    /* the wait is registered for one that an earlier process has fed */
	BOX_REPLAY,   /* its output is asked for, from the beginning */
	BOX_RUN,      /* until exit and end of output */
	BOX_COLLECT,  /* was the memory limit hit? */
	BOX_KEPT,     /* ended, until its owner has what it wants */
	BOX_REMOVE,
	BOX_DONE,
};

/* What BOX_RUN waits for. */
enum { EXIT = 1, OUTPUT = 2 };

struct box {
	struct host *host;
	struct sandboxes *sandboxes;
	enum box_state state;
	enum box_input input;
	struct docker_op *op; /* of the state */
	struct docker_op *wait;
	struct docker_op *rename;
	struct docker_exec *stop; /* of the script */
	struct docker_attach *attach;
	struct docker_op *replay; /* the attachment's place, of one that was adopted */
	bool is_replayed;         /* what came before the script's output has come */
	struct sandbox_claim *claim;
	struct sandbox *sandbox;
	struct timer *timer;
	unsigned waiting; /* EXIT, OUTPUT */

	char *image;
	char *title;
	const struct builder_job *job;
	int64_t deadline_ms;
	const char *volume;           /* lent */
	struct builder_limits limits; /* as it is to have */
	struct builder_limits given;  /* as it has */
	const char *name;
	const char *old_name; /* from before box_name */
	char id[DOCKER_ID_SIZE];

	char *head; /* what is fed; NULL: sent, or none yet */
	size_t head_len;
	const struct docker_piece *pieces;
	size_t piece, piece_count;
	int64_t piece_offset;
	bool may_run;      /* what it is fed: the end is sent */
	bool has_sent_all; /* but the tar's end */
	bool has_sent_end; /* of the tar */
	bool is_fed;       /* the input's end was sent */

	unsigned looks;         /* of BOX_COLLECT */
	struct buf first_words; /* output before it is ready */
	uint64_t raw[3];        /* by enum builder_stream */
	struct box_result result;
	struct err err; /* the first cause */
	const struct box_handler *handler;
	void *arg;
};

static void enter_sandbox(struct box *b);
static void enter_create(struct box *b);
static void enter_attach(struct box *b);
static void enter_register(struct box *b);
static void enter_start(struct box *b);
static void enter_boot(struct box *b);
static void enter_ready(struct box *b);
static void enter_limit(struct box *b);
static void enter_upload(struct box *b);
static void enter_uploaded(struct box *b);
static void enter_adopt(struct box *b);
static void enter_replay(struct box *b);
static void enter_run(struct box *b);
static void enter_collect(struct box *b);
static void enter_kept(struct box *b);
static void enter_remove(struct box *b);
static void enter_done(struct box *b);

/* clang-format off */
static const struct {
	const char *name;
	void (*enter)(struct box *b);
	unsigned timeout;       /* seconds; 0: as long as it takes */
	enum box_state next[2]; /* after success, by enum box_input */
} states[] = {
	[BOX_SANDBOX]  = { "sandbox",  enter_sandbox,  600,  { BOX_CREATE,   BOX_CREATE } },
	[BOX_CREATE]   = { "create",   enter_create,   120,  { BOX_ATTACH,   BOX_ATTACH } },
	[BOX_ATTACH]   = { "attach",   enter_attach,   30,   { BOX_REGISTER, BOX_REGISTER } },
	[BOX_REGISTER] = { "wait",     enter_register, 30,   { BOX_START,    BOX_READY } },
	[BOX_START]    = { "start",    enter_start,    120,  { BOX_BOOT,     BOX_RUN } },
	[BOX_BOOT]     = { "boot",     enter_boot,     60,   { BOX_READY,    BOX_READY } },
	[BOX_READY]    = { "ready",    enter_ready,    0,    { BOX_LIMIT,    BOX_LIMIT } },
	[BOX_LIMIT]    = { "limit",    enter_limit,    30,   { BOX_RUN,      BOX_UPLOAD } },
	[BOX_UPLOAD]   = { "upload",   enter_upload,   1800, { BOX_UPLOADED, BOX_UPLOADED } },
	[BOX_UPLOADED] = { "uploaded", enter_uploaded, 0,    { BOX_START,    BOX_START } },
	[BOX_ADOPT]    = { "adopt",    enter_adopt,    30,   { BOX_REPLAY,   BOX_REPLAY } },
	[BOX_REPLAY]   = { "replay",   enter_replay,   60,   { BOX_RUN,      BOX_RUN } },
	[BOX_RUN]      = { "run",      enter_run,      0,    { BOX_COLLECT,  BOX_COLLECT } },
	[BOX_COLLECT]  = { "collect",  enter_collect,  30,   { BOX_KEPT,     BOX_KEPT } },
	[BOX_KEPT]     = { "kept",     enter_kept,     0,    { BOX_REMOVE,   BOX_REMOVE } },
	[BOX_REMOVE]   = { "remove",   enter_remove,   60,   { BOX_DONE,     BOX_DONE } },
	[BOX_DONE]     = { "done",     enter_done,     0,    { BOX_DONE,     BOX_DONE } },
};
/* clang-format on */

static void
box_step(struct box *b, enum box_state next)
{
	log_debug("box %s: %s -> %s", b->name, states[b->state].name, states[next].name);
	docker_cancel(&b->op);
	timer_stop(b->timer);
	b->state = next;
	if (states[next].timeout != 0)
		timer_start(b->timer, states[next].timeout * 1000);
	states[next].enter(b);
}

static void
box_advance(struct box *b)
{
	box_step(b, states[b->state].next[b->input]);
}

static void
box_fail(struct box *b, struct err err)
{
	if (b->state == BOX_REMOVE)
		log_warn("box %s: %s; the sweep will remove it", b->name, err.text); /* which changes no result */
	else if (b->err.code == ERR_NONE)
		b->err = err;
	if (b->state != BOX_CREATE || b->op == NULL) /* what the engine is making has to be waited for to be removed */
		box_step(b, b->state < BOX_REMOVE ? BOX_REMOVE : BOX_DONE);
}

static void
on_reply(void *arg, const union docker_result *result, const struct err *err)
{
	struct box *b = arg;

	b->op = NULL;
	if (b->state == BOX_CREATE)
		CRASH_POINT(container_made);
	if (b->state == BOX_REMOVE)
		CRASH_POINT(container_removed);
	if (err == NULL && b->state == BOX_CREATE)
		memcpy(b->id, result->id, sizeof(b->id));
	if (err != NULL || (b->state == BOX_CREATE && b->err.code != ERR_NONE)) {
		box_fail(b, err != NULL ? *err : b->err);
		return;
	}
	b->result.is_removed = b->state == BOX_REMOVE;
	box_advance(b);
}

static void
on_timeout(void *arg)
{
	struct box *b = arg;

	if (b->state == BOX_COLLECT && b->op == NULL) {
		enter_collect(b);
	} else if (b->state == BOX_RUN && b->waiting == OUTPUT) {
		b->result.truncated = true;
		box_advance(b);
	} else if (b->state == BOX_RUN) {
		box_fail(b, err_make(ERR_TIMEOUT, 0, "the engine does not say how the container ended"));
	} else {
		box_fail(b, err_make(ERR_TIMEOUT, 0, "container: %s took too long", states[b->state].name));
	}
}

static struct box *
box_new(struct host *host, struct sandboxes *sandboxes, const struct box_handler *handler, void *arg)
{
	struct box *b = xcalloc(1, sizeof(*b));

	*b = (struct box){ .host = host,
		.sandboxes = sandboxes,
		.waiting = EXIT | OUTPUT,
		.result = { .exit_code = -1 },
		.handler = handler,
		.arg = arg };
	b->timer = timer_new(host->loop, on_timeout, b);
	buf_init(&b->first_words, FIRST_WORDS_MAX);
	return b;
}

void
box_end(struct box *box)
{
	if (box->state < BOX_REMOVE)
		box_fail(box, err_make(ERR_CANCELLED, 0, "ended"));
}

/* --- up to the start --- */

static void
on_sandbox(void *arg, struct sandbox *sandbox, const struct err *err)
{
	struct box *b = arg;

	b->claim = NULL;
	b->sandbox = sandbox;
	if (err != NULL)
		box_fail(b, *err);
	else
		box_advance(b);
}

static void
enter_sandbox(struct box *b)
{
	if (b->sandbox != NULL)
		box_advance(b);
	else
		b->claim = sandbox_claim(b->sandboxes, on_sandbox, b);
}

static void
enter_create(struct box *b)
{
	const char *const with_stdin[] = { "/bin/sh", "-c", script_boot, "/", BOX_WORKSPACE, BOX_FOLDER, NULL };
	const char *const with_archive[] = { "/bin/sh", BOX_FOLDER "/script", NULL };
	bool by_stdin = b->input == BOX_STDIN;
	struct container_place place = { .image = b->image, .network = sandbox_mode(b->sandbox), .volume = b->volume };
	struct docker_container_spec spec;
	struct host_labels labels;

	host_labels_init(&labels, b->host, b->job != NULL ? "job" : "warm");
	if (b->job != NULL)
		host_labels_job(&labels, b->job, b->deadline_ms);
	place.labels = labels.list;
	place.label_count = labels.count;
	b->given = b->limits;
	spec = container_of_job(&place, by_stdin ? with_stdin : with_archive, by_stdin, &b->limits);
	CRASH_POINT(container_making);
	b->op = docker_create(b->host->docker, b->name, &spec, on_reply, b);
}

static void
on_attached(void *arg)
{
	box_advance(arg);
}

/* Why a box that never got ready ended, by what it said: the shell, or the engine's init (tini, catatonit). */
static struct err
first_words_error(struct box *b)
{
	const char *said = b->first_words.data;

	b->result.no_tar = strstr(said, SCRIPT_BOOT_NO_TAR) != NULL;
	if (b->result.no_tar)
		return err_make(ERR_NOT_FOUND, 0, "image %s has no tar", b->title);
	if (strstr(said, "exec /bin/sh failed") != NULL || strstr(said, "failed to exec pid1") != NULL)
		return err_make(ERR_NOT_FOUND, 0, "image %s has no /bin/sh", b->title);
	return err_make(ERR_REFUSED, b->result.exit_code, "image %s: its shell ended (%d) before it had work: %.100s",
	    b->title, b->result.exit_code, said);
}

/* With BOX_ARCHIVE a short script ends before the engine has answered to the start. */
static void
box_arrived(struct box *b, unsigned what)
{
	b->waiting &= ~what;
	if (b->state == BOX_RUN && b->waiting == 0)
		box_advance(b);
	else if (b->state == BOX_RUN)
		timer_start(b->timer, what == EXIT ? DRAIN_MS : EXIT_MS);
	else if (b->waiting == 0 && !(b->input == BOX_ARCHIVE && b->state == BOX_START))
		box_fail(b, first_words_error(b));
}

static void
on_output(void *arg, enum docker_stream from, struct str bytes)
{
	enum builder_stream stream = from == DOCKER_STDERR ? BUILDER_STDERR : BUILDER_STDOUT;
	struct box *b = arg;
	size_t room = FIRST_WORDS_MAX - b->first_words.len;

	if (from == DOCKER_ENGINE_ERROR) {
		box_fail(b, err_make(ERR_IO, 0, "the engine ended the output: %.*s", (int)bytes.len, bytes.p));
		return;
	}
	b->raw[stream] += bytes.len;
	if (b->state == BOX_RUN && b->waiting == OUTPUT)
		timer_start(b->timer, DRAIN_MS);
	if (b->input == BOX_ARCHIVE || b->state >= BOX_READY) {
		b->handler->on_output(b->arg, stream, bytes, b->raw[stream]);
		return;
	}
	buf_add(&b->first_words, bytes.p, bytes.len < room ? bytes.len : room);
	if (b->state == BOX_BOOT)
		enter_boot(b);
}

static void
on_closed(void *arg, const struct err *err)
{
	struct box *b = arg;

	b->attach = NULL;
	if (b->state == BOX_ATTACH) {
		box_fail(b, err != NULL ? *err : err_make(ERR_IO, 0, "attach to container: it has ended"));
		return;
	}
	b->result.truncated = b->result.truncated || err != NULL;
	CRASH_POINT(output_drained);
	box_arrived(b, OUTPUT);
}

static void on_drain(void *arg);

static void
enter_attach(struct box *b)
{
	static const struct docker_attach_handler handler = {
		.on_open = on_attached, .on_output = on_output, .on_drain = on_drain, .on_close = on_closed
	};

	b->attach = docker_attach(b->host->docker, b->id, b->input == BOX_STDIN, &handler, b);
}

static void
on_registered(void *arg)
{
	box_advance(arg);
}

/* Also of a container that is not there any more, which is nothing that the user wrote. */
static struct err
lost_error(const struct err *err)
{
	struct err own = err_prefix(*err, "the engine went away");

	own.code = ERR_UNAVAILABLE;
	return own;
}

static void
on_exit_code(void *arg, const union docker_result *result, const struct err *err)
{
	struct box *b = arg;

	b->wait = NULL;
	if (err != NULL) {
		b->result.truncated = true;
		box_fail(b, lost_error(err));
		return;
	}
	CRASH_POINT(exit_seen);
	b->result.exit_code = result->exit.code;
	box_arrived(b, EXIT);
}

static void
enter_register(struct box *b)
{
	b->wait = docker_wait(b->host->docker, b->id, on_registered, on_exit_code, b);
}

/* The engine's runtime says it in its own words, unless its init is first and says it on standard error. */
static void
on_started(void *arg, const union docker_result *result, const struct err *err)
{
	struct box *b = arg;

	CRASH_POINT(container_started);
	if (err != NULL && strstr(err->text, "/bin/sh") != NULL) {
		b->op = NULL;
		box_fail(b, err_make(ERR_NOT_FOUND, 0, "image %s has no /bin/sh", b->title));
		return;
	}
	on_reply(arg, result, err);
}

static void
enter_start(struct box *b)
{
	CRASH_POINT(container_starting);
	b->op = docker_start(b->host->docker, b->id, on_started, b);
}

/* Its first words may have come before the engine's answer to the start. */
static void
enter_boot(struct box *b)
{
	if (strstr(b->first_words.data, SCRIPT_BOOT_READY) != NULL)
		box_advance(b);
}

static void
enter_ready(struct box *b)
{
	b->handler->on_ready(b->arg);
}

/* --- from the feeding on --- */

static void
enter_limit(struct box *b)
{
	struct docker_limits limits = container_docker_limits(&b->limits);

	if (b->limits.memory == b->given.memory && b->limits.nano_cpus == b->given.nano_cpus)
		box_advance(b);
	else
		b->op = docker_update(b->host->docker, b->id, &limits, on_reply, b);
}

static void
send_piece(struct box *b)
{
	const struct docker_piece *piece = &b->pieces[b->piece];
	int64_t left = piece->size - b->piece_offset;
	size_t len = left < STREAM_FILE_SEGMENT ? (size_t)left : STREAM_FILE_SEGMENT;
	struct err err;

	if (!docker_attach_write_file(b->attach, piece->fd, b->piece_offset, len, &err)) {
		box_fail(b, err_prefix(err, "workspace"));
		return;
	}
	b->piece_offset += (int64_t)len;
	if (b->piece_offset == piece->size) {
		b->piece++;
		b->piece_offset = 0;
	}
}

static void
send_end(struct box *b)
{
	struct buf end;

	buf_init(&end, 3 * TAR_BLOCK);
	tar_add_file(&end, BOX_WHOLE, 0600, 0, STR(""));
	tar_end(&end);
	docker_attach_write(b->attach, buf_str(&end));
	buf_fini(&end);
	b->has_sent_end = true;
}

static void
on_drain(void *arg)
{
	struct box *b = arg;

	if (b->state != BOX_RUN || b->is_fed)
		return;
	while (b->piece < b->piece_count && b->pieces[b->piece].size == 0)
		b->piece++;
	if (b->piece < b->piece_count) {
		send_piece(b);
	} else if (!b->may_run) {
		b->has_sent_all = true;
	} else if (!b->has_sent_end) {
		send_end(b);
	} else {
		b->is_fed = true;
		docker_attach_end_input(b->attach);
	}
}

static void
enter_upload(struct box *b)
{
	struct str head = { b->head, b->head_len };

	b->op = docker_upload(b->host->docker, b->id, head, b->pieces, b->piece_count, on_reply, b);
}

static void
enter_uploaded(struct box *b)
{
	if (b->may_run)
		box_advance(b);
}

static void
enter_run(struct box *b)
{
	if (b->input == BOX_STDIN && b->attach != NULL)
		docker_attach_write(b->attach, (struct str){ b->head, b->head_len });
	free(b->head);
	b->head = NULL;
	if (b->waiting == 0)
		box_advance(b);
	else if (b->waiting != (EXIT | OUTPUT))
		timer_start(b->timer, DRAIN_MS);
}

static void
on_inspected(void *arg, const union docker_result *result, const struct err *err)
{
	struct box *b = arg;

	b->op = NULL;
	if (err != NULL)
		log_warn("box %s: %s", b->name, err->text); /* the exit code is known, only the reason may be missing */
	else
		b->result.oom = result->container.oom_killed;
	if (err == NULL && !b->result.oom && b->result.exit_code == KILLED && ++b->looks < LOOKS_MAX)
		timer_start(b->timer, LOOK_MS);
	else
		box_advance(b);
}

static void
enter_collect(struct box *b)
{
	b->op = docker_inspect(b->host->docker, b->id, on_inspected, b);
}

static void
enter_kept(struct box *b)
{
	if (b->handler->on_exit != NULL)
		b->handler->on_exit(b->arg, &b->result);
	else
		box_advance(b);
}

/* Nothing is heard of it any more. */
static void
unwatch(struct box *b)
{
	docker_attach_close(&b->attach);
	docker_cancel(&b->replay);
	docker_cancel(&b->wait);
	docker_cancel(&b->rename);
	docker_exec_close(&b->stop);
}

/* By name while the id is not known: the engine may have heard of it all the same. */
static void
enter_remove(struct box *b)
{
	sandbox_unclaim(&b->claim);
	unwatch(b);
	CRASH_POINT(container_removing);
	b->op = docker_remove(b->host->docker, b->id[0] != '\0' ? b->id : b->name, on_reply, b);
}

static void
box_free(struct box *b)
{
	host_disown(b->host, &b->old_name);
	host_disown(b->host, &b->name);
	timer_free(&b->timer);
	buf_fini(&b->first_words);
	free(b->head);
	free(b->image);
	free(b->title);
	free(b);
}

static void
enter_done(struct box *b)
{
	const struct box_handler *handler = b->handler;
	struct box_result result = b->result;
	struct sandbox *sandbox = b->sandbox;
	struct err err = b->err;
	void *arg = b->arg;

	assert(b->op == NULL && b->wait == NULL && b->attach == NULL && b->replay == NULL && b->claim == NULL &&
	       b->rename == NULL);
	box_free(b);
	handler->on_end(arg, sandbox, &result, err.code != ERR_NONE ? &err : NULL);
}

/* --- what an earlier process left --- */

static void
enter_adopt(struct box *b)
{
	b->wait = docker_wait_started(b->host->docker, b->id, on_registered, on_exit_code, b);
}

/* The shell's first words stand before the script's, if it read its work from standard input; what it said beside them
 * on standard error never was the job's. */
static void
skip_first_words(struct box *b, enum builder_stream stream, struct str bytes)
{
	size_t want = strlen(SCRIPT_BOOT_READY) - b->first_words.len;
	size_t len = bytes.len < want ? bytes.len : want;
	struct str words;

	if (stream == BUILDER_STDERR)
		return;
	buf_add(&b->first_words, bytes.p, len);
	bytes.p += len;
	bytes.len -= len;
	words = buf_str(&b->first_words);
	b->is_replayed = len == want || memcmp(words.p, SCRIPT_BOOT_READY, words.len) != 0;
	if (!b->is_replayed)
		return;
	if (!str_is(words, SCRIPT_BOOT_READY))
		b->handler->on_output(b->arg, stream, words, b->raw[stream] - bytes.len);
	if (bytes.len > 0)
		b->handler->on_output(b->arg, stream, bytes, b->raw[stream]);
}

static void
on_replay(void *arg, enum docker_stream from, struct str bytes)
{
	enum builder_stream stream = from == DOCKER_STDERR ? BUILDER_STDERR : BUILDER_STDOUT;
	struct box *b = arg;

	if (from != DOCKER_ENGINE_ERROR && !b->is_replayed) {
		b->raw[stream] += bytes.len;
		skip_first_words(b, stream, bytes);
	} else {
		on_output(arg, from, bytes);
	}
}

static void
on_replay_open(void *arg)
{
	struct box *b = arg;

	box_advance(b);
	b->handler->on_ready(b->arg);
}

static void
on_replay_end(void *arg, const union docker_result *result, const struct err *err)
{
	struct box *b = arg;

	(void)result;
	b->replay = NULL;
	if (b->state == BOX_REPLAY) {
		box_fail(b, lost_error(err));
		return;
	}
	b->result.truncated = b->result.truncated || err != NULL;
	box_arrived(b, OUTPUT);
}

static void
enter_replay(struct box *b)
{
	b->replay = docker_logs_follow(b->host->docker, b->id, on_replay_open, on_replay, on_replay_end, b);
}

struct box *
box_adopt(struct host *host, struct sandboxes *sandboxes, const struct left *left, const struct box_handler *handler,
    void *arg)
{
	struct sandbox *sandbox = sandbox_adopt(sandboxes, left->network, left->holder_id, left->holder_name);
	const char *name = sandbox != NULL ? host_adopt(host, left->name) : NULL;
	struct box *b;

	if (name == NULL) {
		sandbox_put(&sandbox, false);
		return NULL;
	}
	b = box_new(host, sandboxes, handler, arg);
	b->sandbox = sandbox;
	b->name = name;
	b->image = xstrdup("");
	b->title = xstrdup("");
	snprintf(b->id, sizeof(b->id), "%s", left->id);
	b->is_fed = true;
	box_step(b, BOX_ADOPT);
	return b;
}

/* --- what is left to a later one --- */

bool
box_may_be_left(const struct box *box)
{
	bool is_whole = box->is_fed || box->input == BOX_ARCHIVE;

	return is_whole && box->state >= BOX_ADOPT && box->state <= BOX_KEPT;
}

void
box_detach(struct box **box)
{
	struct box *b = *box;

	*box = NULL;
	docker_cancel(&b->op);
	unwatch(b);
	sandbox_detach(&b->sandbox);
	box_free(b);
}

/* --- for the owner --- */

struct box *
box_start(struct host *host, struct sandboxes *sandboxes, const struct box_spec *spec,
    const struct box_handler *handler, void *arg)
{
	struct box *b = box_new(host, sandboxes, handler, arg);

	b->input = spec->input;
	b->job = spec->job;
	b->deadline_ms = spec->deadline_ms;
	b->sandbox = spec->sandbox;
	b->volume = spec->volume;
	b->limits = spec->limits != NULL ? *spec->limits : host->limits;
	b->image = xstrdup(spec->image);
	b->title = xstrdup(spec->title);
	if (spec->job != NULL && spec->is_further)
		b->name = host_own(host, "%s-%u-%u", spec->job->id, spec->job->attempt, host_serial(host));
	else if (spec->job != NULL)
		b->name = host_own(host, "%s-%u", spec->job->id, spec->job->attempt);
	else
		b->name = host_own_new(host, "warm");
	box_step(b, BOX_SANDBOX);
	return b;
}

bool
box_is_ready(const struct box *box)
{
	return box->state == BOX_READY;
}

void
box_set_handler(struct box *box, const struct box_handler *handler, void *arg)
{
	box->handler = handler;
	box->arg = arg;
}

static void
on_renamed(void *arg, const union docker_result *result, const struct err *err)
{
	struct box *b = arg;

	(void)result;
	b->rename = NULL;
	if (err != NULL)
		log_warn("box %s: %s", b->name, err->text); /* it is known by its id */
}

void
box_limit(struct box *box, const struct builder_limits *limits)
{
	box->limits = *limits;
}

void
box_name(struct box *box, const struct builder_job *job)
{
	if (box->job != NULL || box->old_name != NULL)
		return;
	box->old_name = box->name;
	box->name = host_own(box->host, "%s-%u", job->id, job->attempt);
	box->rename = docker_rename(box->host->docker, box->id, box->name, on_renamed, box);
}

void
box_feed(struct box *box, struct str head, const struct docker_piece *pieces, size_t count)
{
	assert(box->state == BOX_READY && box->head == NULL);
	box->head = memcpy(xcalloc(1, head.len), head.p, head.len);
	box->head_len = head.len;
	box->pieces = pieces;
	box->piece_count = count;
	box_advance(box);
}

void
box_go(struct box *box)
{
	box->may_run = true;
	if (box->state == BOX_UPLOADED)
		box_advance(box);
	else if (box->has_sent_all && box->attach != NULL)
		on_drain(box);
}

void
box_let_go(struct box *box)
{
	if (box->state == BOX_KEPT)
		box_advance(box);
}

struct sandbox *
box_leave_sandbox(struct box *box)
{
	struct sandbox *sandbox = box->sandbox;

	assert(box->state == BOX_KEPT);
	box->sandbox = NULL;
	return sandbox;
}

static void
on_stop_running(void *arg)
{
	(void)arg;
}

/* When it did not work, the grace of who asked for it runs out. */
static void
on_stopped(void *arg, int exit_code, const struct err *err)
{
	struct box *b = arg;

	(void)exit_code;
	b->stop = NULL;
	if (err != NULL)
		log_warn("box %s: stop script: %s", b->name, err->text);
}

void
box_stop_script(struct box *box, const char *word)
{
	static const struct docker_exec_handler handler = { .on_open = on_stop_running, .on_close = on_stopped };
	const char *const command[] = { "/bin/sh", "-c", script_stop, BOX_FOLDER, word, NULL };
	const struct docker_exec_spec spec = { .command = command };

	assert(box->stop == NULL);
	if (box->state == BOX_RUN)
		box->stop = docker_exec(box->host->docker, box->id, &spec, &handler, box);
	else
		box_end(box);
}

const char *
box_container(const struct box *box)
{
	return box->id;
}

const char *
box_network(const struct box *box)
{
	return sandbox_network(box->sandbox);
}

bool
box_has_mirror(const struct box *box)
{
	return sandbox_has_mirror(box->sandbox);
}

const char *
box_mirror_address(const struct box *box)
{
	return sandbox_mirror_address(box->sandbox);
}
