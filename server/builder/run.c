#include "server/builder/run.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/marker.h"
#include "proto/mem.h"
#include "proto/script.h"
#include "proto/tar.h"
#include "server/builder/box.h"
#include "server/builder/services.h"
#include "server/core/log.h"
#include "server/core/loop.h"

enum {
	DEFAULT_TIMEOUT_S = 3600,
	OUTPUT_MAX = 4 * 1024 * 1024 /* of one piece: stream.h reads far less at a time */
};

enum run_state {
	RUN_IMAGE,
	RUN_BOX,      /* from the warm pool, or a new one */
	RUN_SERVICES, /* until they are ready */
	RUN_STARTED,  /* until the owner has written down that it is */
	RUN_SCRIPT,   /* until the box has ended */
	RUN_COLLECT,  /* until the owner has taken its files out of it */
	RUN_UNBOX,    /* the box is ended by force */
	RUN_UNSERVE,  /* the services are ended */
	RUN_DONE,
};

struct run {
	struct run_place place;
	const struct builder_job *job;
	const struct builder_events *events;
	void *arg;
	run_ended_fn *ended;
	void *ended_arg;
	enum run_state state;

	struct pull *pull;
	struct box *box;
	struct sandbox *sandbox; /* the box's, after it */
	bool is_clean;           /* the sandbox */
	struct services *services;
	struct timer *deadline; /* of the job, from RUN_BOX on */
	int64_t deadline_ms;    /* since 1970 */
	struct host_labels labels;
	struct docker_image image;
	enum box_input input;
	struct docker_piece *pieces; /* the workspace, if there is one, then the job's inputs */
	size_t piece_count;
	int workspace_fd; /* -1: none */

	struct marker marker; /* on standard output */
	struct buf output;
	uint64_t raw_start;                /* bytes of standard output before the script's first */
	uint64_t marker_bytes;             /* of markers taken out */
	uint64_t raw_bytes;                /* of both streams */
	char segment[MARKER_NAME_MAX + 1]; /* the last that began; "" before the first */
	int segment_exit;                  /* of that; -1: it has not ended */

	struct err err;             /* the first cause of an end by us */
	enum builder_state verdict; /* of err */
	struct builder_result result;
};

static void enter_image(struct run *r);
static void enter_box(struct run *r);
static void enter_services(struct run *r);
static void enter_started(struct run *r);
static void enter_script(struct run *r);
static void enter_collect(struct run *r);
static void enter_unbox(struct run *r);
static void enter_unserve(struct run *r);
static void enter_done(struct run *r);

/* The deadlines: of RUN_IMAGE the pull's own, then the job's, then those of the calls. */
/* clang-format off */
static const struct {
	const char *name;
	void (*enter)(struct run *r);
	enum run_state next;
} states[] = {
	[RUN_IMAGE]    = { "image",    enter_image,    RUN_BOX },
	[RUN_BOX]      = { "box",      enter_box,      RUN_SERVICES },
	[RUN_SERVICES] = { "services", enter_services, RUN_STARTED },
	[RUN_STARTED]  = { "started",  enter_started,  RUN_SCRIPT },
	[RUN_SCRIPT]   = { "script",   enter_script,   RUN_UNBOX },
	[RUN_COLLECT]  = { "collect",  enter_collect,  RUN_UNBOX },
	[RUN_UNBOX]    = { "unbox",    enter_unbox,    RUN_UNSERVE },
	[RUN_UNSERVE]  = { "unserve",  enter_unserve,  RUN_DONE },
	[RUN_DONE]     = { "done",     enter_done,     RUN_DONE },
};
/* clang-format on */

/* The only place where the state changes. r may be gone when it returns. */
static void
run_step(struct run *r, enum run_state next)
{
	log_debug("job %s: %s -> %s", r->job->id, states[r->state].name, states[next].name);
	pull_cancel(&r->pull);
	r->state = next;
	states[next].enter(r);
}

/* The only way off the happy path. */
static void
run_fail(struct run *r, enum builder_state verdict, struct err err)
{
	if (r->err.code == ERR_NONE) {
		r->err = err;
		r->verdict = verdict;
	}
	if (r->state < RUN_UNBOX)
		run_step(r, RUN_UNBOX);
}

/* Whose fault an error is: what the user wrote, or what we and the engine did. */
static enum builder_state
blame(const struct err *err)
{
	return err->code == ERR_NOT_FOUND || err->code == ERR_INPUT || err->code == ERR_AUTH ? BUILDER_FAILED
											     : BUILDER_ERROR;
}

void
run_cancel(struct run *run, const char *why)
{
	run_fail(run, BUILDER_CANCELLED, err_make(ERR_CANCELLED, 0, "%s", why));
}

static void
on_deadline(void *arg)
{
	struct run *r = arg;
	unsigned limit = r->job->spec->timeout_s != 0 ? r->job->spec->timeout_s : DEFAULT_TIMEOUT_S;

	run_fail(r, BUILDER_TIMED_OUT,
	    err_make(
		ERR_TIMEOUT, 0, "took longer than %u s%s%s", limit, r->segment[0] != '\0' ? ", in " : "", r->segment));
}

static void
on_notice(void *arg, const char *text)
{
	struct run *r = arg;

	r->events->notice(r->arg, text);
}

/* --- image --- */

static void
on_image(void *arg, const struct docker_image *image, const struct err *err)
{
	struct run *r = arg;

	r->pull = NULL;
	if (err != NULL) {
		run_fail(r, blame(err), *err);
		return;
	}
	r->image = *image;
	snprintf(r->result.image_digest, sizeof(r->result.image_digest), "%s",
	    image->digest[0] != '\0' ? image->digest : image->id);
	run_step(r, states[r->state].next);
}

static void
enter_image(struct run *r)
{
	r->pull = pull_start(r->place.pulls, r->job->spec->image, r->job->pull_always, on_notice, on_image, r);
}

/* --- box --- */

static void
on_box_ready(void *arg)
{
	struct run *r = arg;

	run_step(r, states[r->state].next);
}

static void on_box_output(void *arg, enum builder_stream stream, struct str bytes, uint64_t raw);
static void on_box_exit(void *arg, const struct box_result *result);
static void on_box_end(void *arg, struct sandbox *sandbox, const struct box_result *result, const struct err *err);

static const struct box_handler box_handler = {
	.on_ready = on_box_ready, .on_output = on_box_output, .on_exit = on_box_exit, .on_end = on_box_end
};

static void
start_box(struct run *r)
{
	struct box_spec spec = { .image = r->image.id,
		.title = r->job->spec->image,
		.input = r->input,
		.job = r->job,
		.deadline_ms = r->deadline_ms };

	r->box = box_start(r->place.host, r->place.sandboxes, &spec, &box_handler, r);
}

static void
enter_box(struct run *r)
{
	unsigned timeout = r->job->spec->timeout_s != 0 ? r->job->spec->timeout_s : DEFAULT_TIMEOUT_S;

	r->deadline_ms = loop_wall_ms() + (int64_t)timeout * 1000;
	host_labels_init(&r->labels, r->place.host, "service");
	host_labels_job(&r->labels, r->job, r->deadline_ms);
	timer_start(r->deadline, (int64_t)timeout * 1000);
	r->box = pool_take(r->place.pool, r->image.id);
	if (r->box == NULL) {
		start_box(r);
		return;
	}
	box_set_handler(r->box, &box_handler, r);
	r->result.warm = box_is_ready(r->box);
	if (r->result.warm)
		on_box_ready(r);
}

/* --- services, and the word to begin --- */

static void
on_services_ready(void *arg)
{
	struct run *r = arg;

	if (r->state == RUN_SERVICES)
		run_step(r, states[r->state].next);
}

static void
on_services_end(void *arg, const struct err *err)
{
	struct run *r = arg;

	r->services = NULL;
	if (r->state == RUN_UNSERVE)
		run_step(r, states[r->state].next);
	else if (err != NULL)
		run_fail(r, blame(err), *err);
}

static void
enter_services(struct run *r)
{
	static const struct service_handler handler = {
		.on_notice = on_notice, .on_ready = on_services_ready, .on_end = on_services_end
	};
	char text[100];

	if (r->job->spec->service_count == 0) {
		run_step(r, states[r->state].next);
		return;
	}
	snprintf(text, sizeof(text), "starting %zu service%s", r->job->spec->service_count,
	    r->job->spec->service_count > 1 ? "s" : "");
	r->services =
	    services_start(r->place.host, r->place.pulls, r->job->spec, &r->labels, box_network(r->box), &handler, r);
	on_notice(r, text);
}

static void
enter_started(struct run *r)
{
	r->events->started(r->arg, box_container(r->box), r->place.engine);
}

void
run_go(struct run *run)
{
	if (run->state == RUN_STARTED)
		run_step(run, states[run->state].next);
}

/* --- script --- */

/* What the job gets beside its own env: the owner's variables, then the links to its services. */
static void
collect_env(struct run *r, struct env *env)
{
	for (size_t i = 0; r->job->env != NULL && i < r->job->env->count; i++)
		env_add(env, r->job->env->vars[i].name, r->job->env->vars[i].value);
	if (r->services != NULL)
		services_env(r->services, env);
}

static void
add_folder(struct buf *tar, const char *folder)
{
	char *name = xasprintf("workspace/%s", folder);

	tar_add_dir(tar, name, 0777, loop_wall_ms() / 1000);
	free(name);
}

/* The front of the tar: the script below a folder of root's alone, and with an empty workspace that folder. */
static bool
make_head(struct run *r, struct buf *tar, struct err *err)
{
	struct env env = { .count = 0 };
	char *script;
	size_t len;
	bool good;

	collect_env(r, &env);
	good = script_make(r->job->spec, &env, BOX_WORKSPACE, r->job->nonce, &script, &len, err);
	env_fini(&env);
	if (!good)
		return false;
	buf_init(tar, len + 8 * TAR_BLOCK);
	tar_add_dir(tar, "davit", 0700, 0);
	tar_add_file(tar, "davit/script", 0600, 0, (struct str){ script, len });
	if (r->job->workspace_tar == NULL || r->job->folder != NULL)
		tar_add_dir(tar, "workspace", 0755, loop_wall_ms() / 1000);
	if (r->job->folder != NULL)
		add_folder(tar, r->job->folder);
	explicit_bzero(script, len);
	free(script);
	assert(!buf_failed(tar));
	return true;
}

/* As the first piece, without its end. */
static bool
open_workspace(struct run *r, struct err *err)
{
	const char *path = r->job->workspace_tar;
	struct stat st;

	if (path == NULL)
		return true;
	r->workspace_fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (r->workspace_fd < 0 || fstat(r->workspace_fd, &st) != 0) {
		*err = err_errno("workspace %s", path);
		return false;
	}
	if (st.st_size < 2 * TAR_BLOCK)
		return err_set(err, ERR_IO, 0, "workspace %s is no archive", path);
	r->pieces[r->piece_count++] = (struct docker_piece){ r->workspace_fd, st.st_size - 2 * TAR_BLOCK };
	return true;
}

static bool
open_pieces(struct run *r, struct err *err)
{
	r->pieces = xcalloc(r->job->input_count + 1, sizeof(*r->pieces));
	if (!open_workspace(r, err))
		return false;
	for (size_t i = 0; i < r->job->input_count; i++)
		r->pieces[r->piece_count++] = r->job->inputs[i];
	return true;
}

static void
enter_script(struct run *r)
{
	struct buf tar;
	struct err err;

	if (!open_pieces(r, &err)) {
		run_fail(r, BUILDER_ERROR, err);
	} else if (!make_head(r, &tar, &err)) {
		run_fail(r, blame(&err), err);
	} else {
		box_feed(r->box, buf_str(&tar), r->pieces, r->piece_count);
		box_name(r->box, r->job);
		explicit_bzero(tar.data, tar.len);
		buf_fini(&tar);
	}
}

/* --- output --- */

/* How many raw bytes of standard output are given out: not those that the scanner holds back. */
static uint64_t
raw_given(const struct run *r)
{
	return r->raw_start + r->marker.offset + r->marker_bytes;
}

static void
flush(struct run *r, uint64_t raw)
{
	r->events->output(r->arg, BUILDER_STDOUT, buf_str(&r->output), raw);
	buf_reset(&r->output);
}

static void
on_marker(void *arg, const struct marker_event *event)
{
	struct run *r = arg;

	r->marker_bytes += event->length;
	flush(r, raw_given(r));
	memcpy(r->segment, event->name, sizeof(r->segment));
	r->segment_exit = event->kind == MARKER_END ? (int)event->exit_code : -1;
	r->events->segment(r->arg, event->name, r->segment_exit);
}

/* What only costs the engine's time waits for the script's first words: the next warm container. */
static void
on_first_output(struct run *r)
{
	if (r->input == BOX_STDIN)
		pool_note(r->place.pool, r->image.id, r->job->spec->image);
}

/* A job may write for ever: what is over the budget is neither stored nor waited for. */
static bool
is_over_budget(struct run *r, size_t len)
{
	uint64_t limit = r->place.host->limits.log_bytes;

	r->raw_bytes += len;
	if (r->raw_bytes <= limit)
		return false;
	r->result.truncated = true;
	run_fail(r, BUILDER_FAILED,
	    err_make(ERR_LIMIT, 0, "wrote more than %llu bytes of output", (unsigned long long)limit));
	return true;
}

static void
on_box_output(void *arg, enum builder_stream stream, struct str bytes, uint64_t raw)
{
	struct run *r = arg;

	if (r->state != RUN_SCRIPT)
		return;
	if (r->raw_bytes == 0)
		on_first_output(r);
	if (is_over_budget(r, bytes.len))
		return;
	if (stream == BUILDER_STDERR) {
		r->events->output(r->arg, stream, bytes, raw);
		return;
	}
	r->raw_start = raw - bytes.len - r->marker.held_len - r->marker_bytes - r->marker.offset;
	marker_feed(&r->marker, bytes, &r->output);
	if (r->output.len > 0)
		flush(r, raw_given(r));
}

/* --- the end --- */

/* The exit code decides; the reason is for people. */
static void
judge(struct run *r, const struct box_result *box)
{
	struct builder_result *result = &r->result;
	bool ended_in_segment = r->segment[0] != '\0' && (r->segment_exit != 0 || box->exit_code == 0);

	result->exit_code = box->exit_code;
	result->oom = box->oom;
	result->truncated = result->truncated || box->truncated;
	if (box->exit_code == 0)
		result->state = BUILDER_PASSED;
	else if (box->exit_code == SCRIPT_NO_WORKSPACE && r->segment[0] == '\0')
		result->state = BUILDER_ERROR;
	else
		result->state = BUILDER_FAILED;
	if (result->state == BUILDER_ERROR)
		snprintf(result->reason, sizeof(result->reason), "the workspace could not be unpacked in image %s",
		    r->job->spec->image);
	else if (box->oom)
		snprintf(result->reason, sizeof(result->reason), "the memory limit of %llu MiB was hit",
		    (unsigned long long)(r->place.host->limits.memory >> 20));
	else if (result->state == BUILDER_FAILED)
		snprintf(result->reason, sizeof(result->reason), "exit code %d%s%s", box->exit_code,
		    ended_in_segment ? " in " : "", ended_in_segment ? r->segment : "");
}

/* In RUN_BOX the image may turn out to have no tar: then it is done in another way, in the same sandbox's place. */
static bool
retry_without_tar(struct run *r, struct sandbox **sandbox, const struct box_result *result)
{
	if (r->state != RUN_BOX || !result->no_tar || r->input == BOX_ARCHIVE || r->job->has_secrets)
		return false;
	sandbox_put(sandbox, result->is_removed);
	r->input = BOX_ARCHIVE;
	start_box(r);
	return true;
}

static void
give_rest(struct run *r)
{
	marker_finish(&r->marker, &r->output);
	if (r->output.len > 0)
		flush(r, raw_given(r));
}

static void
on_box_exit(void *arg, const struct box_result *result)
{
	struct run *r = arg;

	give_rest(r);
	judge(r, result);
	run_step(r, RUN_COLLECT);
}

static void
enter_collect(struct run *r)
{
	timer_stop(r->deadline);
	if (r->events->ended != NULL)
		r->events->ended(r->arg, &r->result);
	else
		run_step(r, states[r->state].next);
}

struct collect *
run_collect(struct run *run, const struct strings *patterns, const struct collect_limits *limits,
    const struct collect_handler *handler, void *arg)
{
	assert(run->state == RUN_COLLECT);
	return collect_start(run->place.host->loop, run->place.host->docker, box_container(run->box), BOX_WORKSPACE,
	    patterns, limits, handler, arg);
}

void
run_leave(struct run *run)
{
	if (run->state == RUN_COLLECT)
		run_step(run, states[run->state].next);
}

static void
on_box_end(void *arg, struct sandbox *sandbox, const struct box_result *result, const struct err *err)
{
	struct run *r = arg;

	r->box = NULL;
	if (retry_without_tar(r, &sandbox, result))
		return;
	r->sandbox = sandbox;
	r->is_clean = result->is_removed;
	give_rest(r);
	if (r->state == RUN_UNBOX) {
		run_step(r, states[r->state].next);
		return;
	}
	r->result.truncated = r->result.truncated || result->truncated;
	assert(err != NULL); /* otherwise on_box_exit came first */
	if (result->no_tar && r->job->has_secrets)
		run_fail(r, BUILDER_FAILED,
		    err_make(
			err->code, 0, "%s: without it the job's secrets would come to the engine's disk", err->text));
	else
		run_fail(r, blame(err), *err);
}

static void
enter_unbox(struct run *r)
{
	timer_stop(r->deadline);
	if (r->box != NULL && r->err.code == ERR_NONE)
		box_let_go(r->box);
	else if (r->box != NULL)
		box_end(r->box);
	else
		run_step(r, states[r->state].next);
}

static void
enter_unserve(struct run *r)
{
	if (r->services != NULL)
		services_end(r->services);
	else
		run_step(r, states[r->state].next);
}

static void
on_finish(void *arg)
{
	struct run *r = arg;
	const struct builder_events *events = r->events;
	struct builder_result result = r->result;
	run_ended_fn *ended = r->ended;
	void *ended_arg = r->ended_arg;
	void *events_arg = r->arg;

	if (r->err.code != ERR_NONE) {
		result.state = r->verdict;
		snprintf(result.reason, sizeof(result.reason), "%s", r->err.text);
	}
	timer_free(&r->deadline);
	buf_fini(&r->output);
	if (r->workspace_fd >= 0)
		close(r->workspace_fd);
	free(r->pieces);
	free(r);
	ended(ended_arg);
	events->done(events_arg, &result);
}

/* Later, since a job may be cancelled before there is anything to wait for. */
static void
enter_done(struct run *r)
{
	assert(r->box == NULL && r->services == NULL && r->pull == NULL);
	sandbox_put(&r->sandbox, r->is_clean);
	deferred_call(r->place.host->loop, on_finish, r);
}

struct run *
run_start(const struct run_place *place, const struct builder_job *job, const struct builder_events *events, void *arg,
    run_ended_fn *ended, void *ended_arg)
{
	struct run *r = xcalloc(1, sizeof(*r));

	*r = (struct run){ .place = *place,
		.job = job,
		.events = events,
		.arg = arg,
		.ended = ended,
		.ended_arg = ended_arg,
		.workspace_fd = -1,
		.segment_exit = -1,
		.result = { .exit_code = -1 } };
	r->deadline = timer_new(place->host->loop, on_deadline, r);
	marker_init(&r->marker, job->nonce, on_marker, r);
	buf_init(&r->output, OUTPUT_MAX);
	run_step(r, RUN_IMAGE);
	return r;
}
