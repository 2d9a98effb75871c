#include "cli/run_local.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "cli/run_files.h"
#include "cli/run_images.h"
#include "cli/run_jobs.h"
#include "cli/run_output.h"
#include "cli/workspace.h"
#include "proto/image_aliases.h"
#include "proto/mem.h"
#include "server/builder/builder.h"
#include "server/core/child.h"
#include "server/core/disk.h"
#include "server/core/log.h"
#include "server/core/loop.h"

enum {
	ENGINE_LOOK_MS = 200,
	ENGINE_LOOKS = 150, /* that is 30 s */
	RUNS_MAX = 64,
};

enum local_state {
	LOCAL_WORKSPACE,
	LOCAL_ENGINE, /* until it answers */
	LOCAL_JOBS,
	LOCAL_STOP, /* nothing of ours stays on the engine */
	LOCAL_END,
};

struct local {
	const struct run_options *options;
	const struct plan *plan;
	enum local_state state;
	struct loop *loop;
	struct children *children;
	struct disk *disk;
	char *top;
	struct workspace *workspace;
	struct run_job_deps deps;
	struct run_output *output;
	struct run_jobs *jobs;
	struct builder_engine_conf engine;
	struct builder_conf conf;
	struct builder_alias *aliases;
	char node[40];
	struct timer *timer;
	unsigned looks; /* for the engine */
	struct loop_signal *interrupt;
	struct loop_signal *term;
	bool is_interrupted;
	bool has_failed; /* before the jobs had a say */
};

static void enter_workspace(struct local *l);
static void enter_engine(struct local *l);
static void enter_jobs(struct local *l);
static void enter_stop(struct local *l);
static void enter_end(struct local *l);

/* clang-format off */
static const struct {
	const char *name;
	void (*enter)(struct local *l);
} states[] = {
	[LOCAL_WORKSPACE] = { "workspace", enter_workspace },
	[LOCAL_ENGINE]    = { "engine",    enter_engine },
	[LOCAL_JOBS]      = { "jobs",      enter_jobs },
	[LOCAL_STOP]      = { "stop",      enter_stop },
	[LOCAL_END]       = { "end",       enter_end },
};
/* clang-format on */

static void
local_step(struct local *l, enum local_state next)
{
	log_debug("run: %s -> %s", states[l->state].name, states[next].name);
	timer_stop(l->timer);
	l->state = next;
	states[next].enter(l);
}

static void
local_fail(struct local *l, const char *text)
{
	fprintf(stderr, "davit: %s\n", text);
	l->has_failed = true;
	if (l->state == LOCAL_JOBS)
		run_jobs_cancel(l->jobs, text);
	else
		local_step(l, LOCAL_STOP);
}

/* --- workspace --- */

static void
on_workspace(void *arg, const struct workspace_result *result, const struct err *err)
{
	struct local *l = arg;

	if (l->is_interrupted)
		local_step(l, LOCAL_STOP);
	else if (err != NULL)
		local_fail(l, err->text);
	else {
		l->deps.workspace = result;
		local_step(l, LOCAL_ENGINE);
	}
}

static void
enter_workspace(struct local *l)
{
	l->workspace = workspace_make(l->loop, l->children, l->top, on_workspace, l);
}

/* --- engine --- */

static void
on_slot(void *arg)
{
	struct local *l = arg;

	if (l->state == LOCAL_ENGINE && builder_free_slots(l->deps.builder) > 0)
		local_step(l, LOCAL_JOBS);
	else if (l->state == LOCAL_JOBS)
		run_jobs_go(l->jobs);
}

static void
fail_engine(struct local *l, const char *reason)
{
	char *text = xasprintf("the engine %s: %s", l->engine.url, reason[0] != '\0' ? reason : "it does not answer");

	local_fail(l, text);
	free(text);
}

/* The builder would try again for ever; here somebody waits: at first, and when the engine went away between jobs. */
static void
on_timeout(void *arg)
{
	struct local *l = arg;
	struct builder_engine_status status = { .reason = "" };

	builder_engine_status(l->deps.builder, 0, &status);
	if (l->state == LOCAL_JOBS && !run_jobs_are_stuck(l->jobs))
		l->looks = 0;
	else if ((l->state == LOCAL_ENGINE && status.has_failed) || l->looks++ == ENGINE_LOOKS) {
		fail_engine(l, status.reason);
		return;
	}
	timer_start(l->timer, ENGINE_LOOK_MS);
}

#define ALIAS(pattern, image) { pattern, image },

/* As the server has them without a word in its configuration, behind those that were given. */
static void
set_aliases(struct local *l)
{
	static const struct builder_alias known[] = { IMAGE_ALIASES(ALIAS, ALIAS) };
	const struct env *own = &l->options->aliases;

	l->conf.alias_count = own->count + sizeof(known) / sizeof(known[0]);
	l->conf.aliases = l->aliases = xcalloc(l->conf.alias_count, sizeof(*l->aliases));
	for (size_t i = 0; i < own->count; i++)
		l->aliases[i] = (struct builder_alias){ own->vars[i].name, own->vars[i].value };
	memcpy(l->aliases + own->count, known, sizeof(known));
}

static void
enter_engine(struct local *l)
{
	l->engine =
	    (struct builder_engine_conf){ .name = "local", .url = l->options->engine, .slots = l->options->jobs };
	l->conf = (struct builder_conf){ .node = l->node,
		.engines = &l->engine,
		.engine_count = 1,
		.disk = l->disk,
		.children = l->children,
		.buildkit = BUILDER_BUILDKIT_ON };
	set_aliases(l);
	l->deps.builder = builder_new(l->loop, &l->conf, on_slot, l);
	timer_start(l->timer, ENGINE_LOOK_MS);
}

/* --- jobs --- */

static void
on_jobs(void *arg)
{
	local_step(arg, LOCAL_STOP);
}

static void
enter_jobs(struct local *l)
{
	l->deps.images = run_images_new(l->plan);
	l->deps.files = run_files_new(l->loop, l->deps.workspace->folder, l->plan);
	l->output = run_output_new(l->deps.workspace->folder);
	l->jobs = run_jobs_new(&l->deps, l->output, on_jobs, l);
	l->looks = 0;
	timer_start(l->timer, ENGINE_LOOK_MS);
	run_jobs_go(l->jobs);
}

/* --- the end --- */

static void
on_builder_gone(void *arg)
{
	local_step(arg, LOCAL_END);
}

static void
enter_stop(struct local *l)
{
	if (l->deps.builder != NULL)
		builder_stop(l->deps.builder, on_builder_gone, l);
	else
		local_step(l, LOCAL_END);
}

static void
enter_end(struct local *l)
{
	loop_stop(l->loop);
}

/* Once: the jobs are cancelled and all is removed. Twice: at once, and the next run removes what is left. */
static void
on_interrupt(void *arg)
{
	struct local *l = arg;

	if (l->is_interrupted)
		_exit(130);
	l->is_interrupted = true;
	l->has_failed = true;
	if (l->state == LOCAL_JOBS)
		run_jobs_cancel(l->jobs, "interrupted");
	else if (l->state == LOCAL_ENGINE)
		local_step(l, LOCAL_STOP);
}

/* A name of our own for what is made on the engine: while one run has it no other takes it, and the next that does
 * removes what a killed one left. Returns the descriptor of its lock; -1: none is free. */
static int
claim_node(char *node, size_t size)
{
	const char *tmp = getenv("TMPDIR");

	for (unsigned n = 1; n <= RUNS_MAX; n++) {
		char *path;
		int fd;

		snprintf(node, size, "local-%u-%u", (unsigned)getuid(), n);
		path = xasprintf("%s/davit-%s.lock", tmp != NULL ? tmp : "/tmp", node);
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		free(path);
		if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
			return fd;
		if (fd >= 0)
			close(fd);
	}
	return -1;
}

/* Of one that came to its jobs, the jobs say it. */
static bool
print_verdict(const struct local *l)
{
	if (l->jobs != NULL && !l->has_failed)
		return run_jobs_print_verdict(l->jobs);
	printf("%s\n", l->is_interrupted ? "cancelled" : "error");
	return false;
}

static void
local_fini(struct local *l)
{
	run_jobs_free(&l->jobs);
	run_output_free(&l->output);
	builder_free(&l->deps.builder);
	free(l->aliases);
	run_files_free(&l->deps.files);
	run_images_free(&l->deps.images);
	workspace_free(&l->workspace);
	loop_signal_free(&l->interrupt);
	loop_signal_free(&l->term);
	timer_free(&l->timer);
	disk_free(&l->disk);
	children_free(&l->children);
	loop_free(&l->loop);
	free(l->top);
}

bool
run_local(const struct run_options *options, const struct plan *plan)
{
	struct local l = { .options = options, .plan = plan, .top = workspace_top() };
	int lock = claim_node(l.node, sizeof(l.node));
	bool passed;

	if (lock < 0) {
		fprintf(stderr, "davit: %d runs are under way already\n", RUNS_MAX);
		free(l.top);
		return false;
	}
	l.loop = loop_new();
	l.children = children_new(l.loop);
	l.disk = disk_new(l.loop);
	l.timer = timer_new(l.loop, on_timeout, &l);
	l.interrupt = loop_signal_new(l.loop, SIGINT, on_interrupt, &l);
	l.term = loop_signal_new(l.loop, SIGTERM, on_interrupt, &l);
	l.deps = (struct run_job_deps){ .loop = l.loop, .options = options, .plan = plan, .top = l.top };
	local_step(&l, LOCAL_WORKSPACE);
	loop_run(l.loop);
	passed = print_verdict(&l);
	local_fini(&l);
	close(lock);
	return passed;
}
