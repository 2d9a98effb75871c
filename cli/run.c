/* davit run: the jobs of the working copy's pipeline file, one after the other, on an engine of this machine, without a
 * server. What is printed is what the server's log would show. The one command that has a reactor and a builder. */
#include <assert.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/plan_options.h"
#include "cli/run_caches.h"
#include "cli/run_files.h"
#include "cli/run_secrets.h"
#include "cli/workspace.h"
#include "proto/crypto.h"
#include "proto/mem.h"
#include "proto/outcome.h"
#include "proto/variables.h"
#include "server/builder/builder.h"
#include "server/core/child.h"
#include "server/core/disk.h"
#include "server/core/log.h"
#include "server/core/loop.h"

#define ENGINE_LOOK_MS 200
#define ENGINE_LOOKS 150 /* that is 30 s */
#define NONCE_BYTES 16
#define RUNS_MAX 64
#define DEFAULT_ENGINE "unix:///var/run/docker.sock"

struct run_options {
	const char *engine; /* URL */
	const char *job;    /* this one alone; NULL: all */
	const char *event, *branch, *tag;
	char **plan; /* the other arguments, for plan_options.h */
	int plan_count;
};

enum local_state {
	LOCAL_WORKSPACE,
	LOCAL_ENGINE, /* until it answers */
	LOCAL_NEXT,   /* which job is the next that runs? */
	LOCAL_JOB,
	LOCAL_STOP, /* nothing of ours stays on the engine */
	LOCAL_END,
};

struct local {
	const struct run_options *options;
	struct plan *plan;
	enum outcome *outcomes;
	size_t index; /* of the job */
	bool failed;  /* something that matters did */
	bool passed;  /* the job, and its files are being taken */
	enum local_state state;
	struct loop *loop;
	struct children *children;
	struct disk *disk;
	struct workspace *workspace;
	const struct workspace_result *made;
	struct run_files *files;
	struct run_caches *caches;
	struct docker_piece *inputs; /* of the job: caches, then files */
	struct run_secrets *secrets; /* of the job */
	struct builder *builder;
	struct builder_engine_conf engine;
	struct builder_conf conf;
	struct builder_job job;
	struct env env;
	char nonce[2 * NONCE_BYTES + 1];
	char node[40];
	char id[24];
	struct builder_run *run;
	struct timer *timer;
	unsigned looks; /* for the engine */
	struct loop_signal *interrupt;
	struct loop_signal *term;
	bool interrupted;
};

static void enter_workspace(struct local *l);
static void enter_engine(struct local *l);
static void enter_next(struct local *l);
static void enter_job(struct local *l);
static void enter_stop(struct local *l);
static void enter_end(struct local *l);

/* clang-format off */
static const struct {
	const char *name;
	void (*enter)(struct local *l);
} states[] = {
	[LOCAL_WORKSPACE] = { "workspace", enter_workspace },
	[LOCAL_ENGINE]    = { "engine",    enter_engine },
	[LOCAL_NEXT]      = { "next",      enter_next },
	[LOCAL_JOB]       = { "job",       enter_job },
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
	l->failed = true;
	local_step(l, LOCAL_STOP);
}

/* --- workspace --- */

static void
on_workspace(void *arg, const struct workspace_result *result, const struct err *err)
{
	struct local *l = arg;

	if (l->interrupted)
		local_step(l, LOCAL_STOP);
	else if (err != NULL)
		local_fail(l, err->text);
	else {
		l->made = result;
		l->files = run_files_new(result->folder, l->plan);
		local_step(l, LOCAL_ENGINE);
	}
}

static void
enter_workspace(struct local *l)
{
	char *top = workspace_top();

	l->workspace = workspace_make(l->loop, l->children, top, on_workspace, l);
	l->caches = run_caches_new(top);
	free(top);
}

/* --- engine --- */

static void
on_slot(void *arg)
{
	struct local *l = arg;

	if (l->state == LOCAL_ENGINE && builder_free_slots(l->builder) > 0)
		local_step(l, LOCAL_NEXT);
}

/* The builder would try again for ever; here somebody waits. */
static void
on_timeout(void *arg)
{
	struct local *l = arg;
	struct builder_engine_status status = { .reason = "" };
	char *text;

	builder_engine_status(l->builder, 0, &status);
	if (!status.has_failed && l->looks++ < ENGINE_LOOKS) {
		timer_start(l->timer, ENGINE_LOOK_MS);
		return;
	}
	text = xasprintf(
	    "the engine %s: %s", l->engine.url, status.reason[0] != '\0' ? status.reason : "it does not answer");
	local_fail(l, text);
	free(text);
}

static void
enter_engine(struct local *l)
{
	l->engine = (struct builder_engine_conf){ .name = "local", .url = l->options->engine, .slots = 1 };
	l->conf = (struct builder_conf){ .node = l->node, .engines = &l->engine, .engine_count = 1, .disk = l->disk };
	l->builder = builder_new(l->loop, &l->conf, on_slot, l);
	timer_start(l->timer, ENGINE_LOOK_MS);
}

/* --- jobs --- */

static const struct job_spec *
this_job(const struct local *l)
{
	return &l->plan->jobs[l->index];
}

static void
print_end(struct local *l, const char *state, const char *reason)
{
	printf("job %s %s%s%s\n", this_job(l)->name, state, reason[0] != '\0' ? ": " : "", reason);
	fflush(stdout);
}

/* Of jobs that are not to run, why. */
static bool
is_left_out(struct local *l)
{
	const struct job_spec *job = this_job(l);
	char reason[OUTCOME_REASON_SIZE] = "";
	enum outcome own = OUTCOME_OK;

	if (l->options->job != NULL)
		return strcmp(l->options->job, job->name) != 0;
	if (!outcome_lets_run(job, l->outcomes, &own, reason)) {
		l->outcomes[l->index] = own;
		print_end(l, "skipped", reason);
		return true;
	}
	if (job->kind != JOB_KIND_DEPLOY)
		return false;
	print_end(l, "skipped", "the server alone deploys");
	return true;
}

static void
enter_next(struct local *l)
{
	while (l->index < l->plan->job_count && is_left_out(l))
		l->index++;
	local_step(l, l->interrupted || l->index == l->plan->job_count ? LOCAL_STOP : LOCAL_JOB);
}

static void
on_notice(void *arg, const char *text)
{
	(void)arg;
	printf("davit: %s\n", text);
}

static void
on_started(void *arg, const char *container, const char *engine)
{
	struct local *l = arg;

	(void)container;
	(void)engine;
	builder_go(l->run);
}

static void
on_output(void *arg, enum builder_stream stream, struct str text, uint64_t raw)
{
	struct local *l = arg;

	(void)raw;
	run_secrets_print(l->secrets, stream == BUILDER_STDERR, text);
}

static void
on_segment(void *arg, const char *name, int exit_code)
{
	struct local *l = arg;

	(void)name;
	(void)exit_code;
	run_secrets_flush(l->secrets);
}

static void
on_saved(void *arg)
{
	struct local *l = arg;

	builder_leave(l->run);
}

static void
on_collected(void *arg, const struct err *err)
{
	struct local *l = arg;

	if (err != NULL)
		builder_cancel(l->run, err->text);
	else
		run_caches_save(l->caches, l->run, l->passed, on_saved, l);
}

static void
on_ended(void *arg, const struct builder_result *result)
{
	struct local *l = arg;

	run_secrets_flush(l->secrets);
	l->passed = result->state == BUILDER_PASSED;
	run_files_collect(l->files, l->run, l->index, l->passed, on_collected, l);
}

static bool
is_allowed(const struct local *l, enum builder_state state)
{
	return state == BUILDER_FAILED && this_job(l)->allow_failure;
}

/* The job has come out so, and the next one follows. */
static void
end_job(struct local *l, enum builder_state state, const char *reason)
{
	static const char *const names[] = {
		[BUILDER_PASSED] = "passed",
		[BUILDER_FAILED] = "failed",
		[BUILDER_CANCELLED] = "cancelled",
		[BUILDER_TIMED_OUT] = "timed_out",
		[BUILDER_ERROR] = "error",
		[BUILDER_AGAIN] = "error",
	};
	bool is_well = state == BUILDER_PASSED || is_allowed(l, state);

	run_secrets_free(&l->secrets);
	env_fini(&l->env);
	free(l->inputs);
	l->inputs = NULL;
	l->outcomes[l->index] = is_well ? OUTCOME_OK : state == BUILDER_CANCELLED ? OUTCOME_NONE : OUTCOME_FAILED;
	l->failed = l->failed || !is_well;
	print_end(l, names[state], reason);
	l->index++;
	local_step(l, l->interrupted ? LOCAL_STOP : LOCAL_NEXT);
}

static void
on_done(void *arg, const struct builder_result *result)
{
	struct local *l = arg;

	l->run = NULL;
	run_files_stop(l->files);
	run_caches_stop(l->caches);
	run_secrets_flush(l->secrets);
	end_job(l, result->state, result->reason);
}

static const struct builder_events builder_events = {
	.notice = on_notice,
	.started = on_started,
	.output = on_output,
	.segment = on_segment,
	.ended = on_ended,
	.done = on_done,
};

/* As on the server, as far as there is something to say. */
static void
add_env(struct local *l)
{
	const struct run_options *o = l->options;
	const char *branch = o->branch != NULL ? o->branch : l->made->branch;
	char *ref = o->tag != NULL ? xasprintf("refs/tags/%s", o->tag) : xasprintf("refs/heads/%s", branch);
	struct variables variables = {
		.job = l->id,
		.attempt = 1,
		.job_name = this_job(l)->name,
		.workspace = BUILDER_WORKSPACE,
		.event = o->event != NULL ? o->event : "push",
		.ref = o->tag != NULL || branch[0] != '\0' ? ref : NULL,
		.branch = o->tag != NULL ? o->tag : branch,
		.commit = l->made->commit,
	};

	variables_add(&variables, &l->env);
	variables_add_reports(this_job(l), BUILDER_WORKSPACE, &l->env);
	free(ref);
}

static void
add_inputs(struct local *l)
{
	size_t cached, handed;
	const struct docker_piece *caches, *files = run_files_inputs(l->files, l->index, &handed);

	run_caches_begin(l->caches, this_job(l), l->made->tar);
	caches = run_caches_inputs(l->caches, &cached);
	l->inputs = xcalloc(cached + handed + 1, sizeof(*l->inputs));
	memcpy(l->inputs, caches, cached * sizeof(*caches));
	memcpy(l->inputs + cached, files, handed * sizeof(*files));
	l->job.inputs = l->inputs;
	l->job.input_count = cached + handed;
}

static void
enter_job(struct local *l)
{
	snprintf(l->id, sizeof(l->id), "0.%zu", l->index + 1);
	random_hex(l->nonce, NONCE_BYTES);
	add_env(l);
	l->secrets = run_secrets_new(this_job(l), &l->env);
	l->job = (struct builder_job){
		.id = l->id,
		.attempt = 1,
		.nonce = l->nonce,
		.spec = this_job(l),
		.env = &l->env,
		.has_secrets = this_job(l)->secret_count > 0,
		.workspace_tar = l->made->tar,
		.folder = variables_reports(this_job(l)),
	};
	add_inputs(l);
	builder_start(l->builder, &l->job, &builder_events, l, &l->run);
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
	assert(l->run == NULL);
	if (l->builder != NULL)
		builder_stop(l->builder, on_builder_gone, l);
	else
		local_step(l, LOCAL_END);
}

static void
enter_end(struct local *l)
{
	loop_stop(l->loop);
}

/* Once: the job is cancelled and all is removed. Twice: at once, and the next run removes what is left. */
static void
on_interrupt(void *arg)
{
	struct local *l = arg;

	if (l->interrupted)
		_exit(130);
	l->interrupted = true;
	l->failed = true;
	if (l->run != NULL)
		builder_cancel(l->run, "interrupted");
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

static void
local_fini(struct local *l)
{
	builder_free(&l->builder);
	run_files_free(&l->files);
	run_caches_free(&l->caches);
	free(l->inputs);
	workspace_free(&l->workspace);
	loop_signal_free(&l->interrupt);
	loop_signal_free(&l->term);
	timer_free(&l->timer);
	disk_free(&l->disk);
	children_free(&l->children);
	loop_free(&l->loop);
	free(l->outcomes);
}

static int
run_plan(const struct run_options *options, struct plan *plan)
{
	struct local l = { .options = options, .plan = plan };
	int lock = claim_node(l.node, sizeof(l.node));

	if (lock < 0) {
		fprintf(stderr, "davit: %d runs are under way already\n", RUNS_MAX);
		return EXIT_PROBLEM;
	}
	l.outcomes = xcalloc(plan->job_count + 1, sizeof(*l.outcomes));
	l.loop = loop_new();
	l.children = children_new(l.loop);
	l.disk = disk_new(l.loop);
	l.timer = timer_new(l.loop, on_timeout, &l);
	l.interrupt = loop_signal_new(l.loop, SIGINT, on_interrupt, &l);
	l.term = loop_signal_new(l.loop, SIGTERM, on_interrupt, &l);
	local_step(&l, LOCAL_WORKSPACE);
	loop_run(l.loop);
	local_fini(&l);
	close(lock);
	printf("%s\n", l.failed ? "failed" : "passed");
	return l.failed ? EXIT_PROBLEM : EXIT_OK;
}

static bool
has_job(const struct plan *plan, const char *name)
{
	for (size_t i = 0; i < plan->job_count; i++)
		if (strcmp(plan->jobs[i].name, name) == 0)
			return true;
	fprintf(stderr, "davit: there is no job \"%s\"; davit plan prints those that there are\n", name);
	return false;
}

/* Whose value it is that is taken out of the arguments, or looked at on its way to the plan; NULL: neither. */
static const char **
option_of(struct run_options *options, const char *name, bool *is_plans)
{
	*is_plans = false;
	if (strcmp(name, "--engine") == 0)
		return &options->engine;
	if (strcmp(name, "--job") == 0)
		return &options->job;
	*is_plans = true;
	if (strcmp(name, "--event") == 0)
		return &options->event;
	if (strcmp(name, "--branch") == 0)
		return &options->branch;
	return strcmp(name, "--tag") == 0 ? &options->tag : NULL;
}

static bool
parse_options(int argc, char **argv, struct run_options *options)
{
	const char *host = getenv("DOCKER_HOST");

	*options = (struct run_options){ .engine = host != NULL && host[0] != '\0' ? host : DEFAULT_ENGINE };
	options->plan = xcalloc((size_t)argc + 3, sizeof(*options->plan));
	for (int i = 0; i < argc; i++) {
		bool is_plans;
		const char **value = option_of(options, argv[i], &is_plans);

		if (value != NULL && i + 1 == argc)
			return false;
		if (value != NULL)
			*value = argv[i + 1];
		if (is_plans)
			options->plan[options->plan_count++] = argv[i];
		else
			i++;
	}
	return true;
}

/* Without a word about the change it is a push to the branch that is checked out. */
static void
assume_branch(struct run_options *options, char *branch)
{
	static char option[] = "--branch";

	if (options->event != NULL || options->branch != NULL || options->tag != NULL || branch == NULL)
		return;
	options->plan[options->plan_count++] = option;
	options->plan[options->plan_count++] = branch;
}

static int
run_planned(const struct run_options *options, struct plan *plan)
{
	log_set_level(LOG_LEVEL_ERROR);
	return options->job == NULL || has_job(plan, options->job) ? run_plan(options, plan) : EXIT_PROBLEM;
}

int
run_run(int argc, char **argv)
{
	struct run_options options;
	bool usage = !parse_options(argc, argv, &options);
	char *branch = workspace_branch();
	struct plan *plan = NULL;
	int status;

	assume_branch(&options, branch);
	if (!usage)
		plan = plan_options_run(options.plan_count, options.plan, &usage);
	status = usage ? EXIT_USAGE : plan != NULL ? run_planned(&options, plan) : EXIT_PROBLEM;
	plan_free(&plan);
	free(options.plan);
	free(branch);
	return status;
}
