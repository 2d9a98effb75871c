#include "cli/run_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"

#define DEFAULT_ENGINE "unix:///var/run/docker.sock"

/* --- arguments --- */

static bool
set_engine(struct run_options *o, const char *value)
{
	o->engine = value;
	return true;
}

static bool
set_job(struct run_options *o, const char *value)
{
	o->job = value;
	return true;
}

static bool
set_jobs(struct run_options *o, const char *value)
{
	uint64_t n;

	if (!str_to_u64(str_of(value), RUN_JOBS_MAX, &n) || n == 0) {
		fprintf(stderr, "davit: --jobs wants a number from 1 to %d, not %s\n", RUN_JOBS_MAX, value);
		return false;
	}
	o->jobs = (unsigned)n;
	return true;
}

static bool
add_deploy(struct run_options *o, const char *value)
{
	strings_add(&o->deploy, str_of(value));
	return true;
}

/* NAME=VALUE; wants: what is said when it is none. */
static bool
add_pair(struct env *pairs, const char *value, const char *wants)
{
	struct str rest = str_of(value), cut = str_cut(&rest, '=');
	char *name = str_dup(cut);
	bool ok = strchr(value, '=') != NULL && cut.len > 0;

	if (ok)
		env_add(pairs, name, rest.p);
	else
		fprintf(stderr, "davit: %s, not %s\n", wants, value);
	free(name);
	return ok;
}

static bool
add_variable(struct run_options *o, const char *value)
{
	return add_pair(&o->variables, value, "--variable wants NAME=VALUE");
}

static bool
add_alias(struct run_options *o, const char *value)
{
	return add_pair(&o->aliases, value, "--alias wants IMAGE=OTHER");
}

static bool
see_event(struct run_options *o, const char *value)
{
	o->event = value;
	return true;
}

static bool
see_branch(struct run_options *o, const char *value)
{
	o->branch = value;
	return true;
}

static bool
see_tag(struct run_options *o, const char *value)
{
	o->tag = value;
	return true;
}

/* is_plans: it goes on to the plan. */
static const struct {
	const char *name;
	bool (*take)(struct run_options *o, const char *value);
	bool is_plans;
} options[] = {
	{ "--engine", set_engine, false },
	{ "--job", set_job, false },
	{ "--jobs", set_jobs, false },
	{ "--deploy", add_deploy, false },
	{ "--variable", add_variable, false },
	{ "--alias", add_alias, false },
	{ "--event", see_event, true },
	{ "--branch", see_branch, true },
	{ "--tag", see_tag, true },
};

enum { OPTIONS = sizeof(options) / sizeof(options[0]) };

static size_t
find_option(const char *name)
{
	size_t i = 0;

	while (i < OPTIONS && strcmp(options[i].name, name) != 0)
		i++;
	return i;
}

bool
run_options_parse(int argc, char **argv, struct run_options *ret)
{
	const char *host = getenv("DOCKER_HOST");

	*ret = (struct run_options){ .engine = host != NULL && host[0] != '\0' ? host : DEFAULT_ENGINE,
		.jobs = RUN_JOBS_DEFAULT };
	ret->plan = xcalloc((size_t)argc + 3, sizeof(*ret->plan));
	for (int i = 0; i < argc; i++) {
		size_t k = find_option(argv[i]);

		if (k < OPTIONS && (i + 1 == argc || !options[k].take(ret, argv[i + 1])))
			return false;
		if (k == OPTIONS || options[k].is_plans)
			ret->plan[ret->plan_count++] = argv[i];
		else
			i++;
	}
	return true;
}

void
run_options_fini(struct run_options *o)
{
	strings_fini(&o->deploy);
	env_fini(&o->variables);
	env_fini(&o->aliases);
	free(o->plan);
}

void
run_options_assume(struct run_options *o, char *branch)
{
	static char option[] = "--branch";

	if (o->event != NULL || o->branch != NULL || o->tag != NULL || branch == NULL)
		return;
	o->plan[o->plan_count++] = option;
	o->plan[o->plan_count++] = branch;
}

/* --- the plan --- */

static bool
is_allowed(const struct run_options *o, const char *environment)
{
	for (size_t i = 0; i < o->deploy.count; i++)
		if (strcmp(o->deploy.items[i], environment) == 0)
			return true;
	return false;
}

/* One that is asked for by its name runs whatever its conditions say. */
static bool
is_to_deploy(const struct run_options *o, const struct job_spec *job)
{
	bool runs = o->job != NULL ? strcmp(o->job, job->name) == 0 : job->skipped == NULL;

	return job->kind == JOB_KIND_DEPLOY && runs && is_allowed(o, job->deploy->environment);
}

/* What the server may have of the environment is not known here. */
static bool
settle_deploy(struct job_spec *job)
{
	const char *lacks = job->segment_count == 0 ? "command" : job->image == NULL ? "image" : NULL;

	if (job->deploy->application != NULL) {
		fprintf(stderr,
		    "davit: job %s: its application is deployed by a server, to an engine of the server's\n",
		    job->name);
		return false;
	}
	job->kind = JOB_KIND_SCRIPT;
	if (lacks != NULL)
		fprintf(stderr,
		    "davit: job %s: the pipeline has no %s for deploying to %s, and those of the server's environments "
		    "are not known here; write %s\n",
		    job->name, lacks, job->deploy->environment,
		    job->segment_count == 0 ? "deploy: {environment: ..., command: ...}" : "image: into the job");
	return lacks == NULL;
}

static bool
is_of_plan(const struct plan *plan, const char *environment)
{
	for (size_t i = 0; i < plan->job_count; i++)
		if (plan->jobs[i].deploy != NULL && strcmp(plan->jobs[i].deploy->environment, environment) == 0)
			return true;
	fprintf(stderr, "davit: no job deploys to \"%s\"; davit plan prints the jobs that there are\n", environment);
	return false;
}

bool
run_options_settle(const struct run_options *o, struct plan *plan)
{
	for (size_t i = 0; i < o->deploy.count; i++)
		if (!is_of_plan(plan, o->deploy.items[i]))
			return false;
	for (size_t i = 0; i < plan->job_count; i++) {
		struct job_spec *job = &plan->jobs[i];

		job->hold_s = 0; /* nobody could get at it, and its slot is wanted */
		if (is_to_deploy(o, job) && !settle_deploy(job))
			return false;
	}
	return true;
}
