/* Any bytes as a pipeline, planned for one of several changes: an error with a place, or a plan that can be carried
 * out: containers of applications see nothing of the machine, planned again it is the same, its JSON reads back the
 * same, its jobs have names of their own and stand behind what they need, and each makes a script. What the file
 * includes is a line or two of ours. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/application.h"
#include "proto/docker_spec.h"
#include "proto/json.h"
#include "proto/mem.h"
#include "proto/pipeline.h"
#include "proto/script.h"

#define NONCE "00000000000000000000000000000000"
#define COMMIT "2b6dae9f00000000000000000000000000000000"

static void
must(bool ok)
{
	if (!ok)
		abort();
}

static char paths_readme[] = "README.md", paths_code[] = "src/a.go";
static char *path_items[] = { paths_readme, paths_code };
static const struct strings changed = { path_items, 2 };

static const struct pipeline_context contexts[] = {
	{ .event = NULL },
	{ .event = "push",
	    .repo = "a/b",
	    .ref = "refs/heads/main",
	    .branch = "main",
	    .commit = COMMIT,
	    .paths = &changed },
	{ .event = "push", .repo = "a/b", .ref = "refs/heads/x/Y", .branch = "x/Y", .commit = COMMIT },
	{ .event = "tag", .repo = "a/b", .ref = "refs/tags/v1", .tag = "v1", .commit = COMMIT },
	{ .event = "pull_request",
	    .repo = "a/b",
	    .ref = "refs/pull/7/head",
	    .branch = "main",
	    .commit = COMMIT,
	    .pull_number = 7,
	    .paths = &changed,
	    .fork = true },
	{ .event = "manual", .repo = "a/b", .ref = "refs/heads/main", .branch = "main", .commit = COMMIT },
	{ .event = "deploy", .repo = "a/b", .ref = "refs/heads/main", .branch = "main", .environment = "live" },
};

static void
check_script(const struct job_spec *job, const char *json)
{
	struct script_spec spec = { .job = job, .workspace = "/workspace", .folder = "/davit", .nonce = NONCE };
	char *script;
	struct err err;
	size_t len;

	must(job->image != NULL && job->segment_count > 0);
	spec.count = job->segment_count;
	/* A command may hold the nonce, as this one can be guessed. */
	if (script_make(&spec, &script, &len, &err))
		free(script);
	else
		must(err.code == ERR_LIMIT || strstr(json, NONCE) != NULL);
}

static void
check_needs(const struct plan *plan, size_t at)
{
	const struct job_spec *job = &plan->jobs[at];

	for (size_t i = 0; i < job->need_count; i++) {
		must(job->needs[i].job >= 1 && job->needs[i].job <= at);
		must(i == 0 || job->needs[i - 1].job < job->needs[i].job);
		must(strcmp(job->needs[i].name, plan->jobs[job->needs[i].job - 1].name) == 0);
		must(!job->needs[i].files || plan->jobs[job->needs[i].job - 1].artifact_count > 0);
	}
	for (size_t i = 0; i < at; i++)
		must(strcmp(plan->jobs[i].name, job->name) != 0);
}

/* Whatever is written: of the machine, a container has what this list lets through. */
static void
check_container(const struct application_service *service)
{
	static const char allowed[] = " Privileged NetworkMode PortBindings RestartPolicy Memory MemorySwap NanoCpus "
				      "Init ReadonlyRootfs Tmpfs Mounts ";
	const struct docker_application_spec spec = {
		.service = service, .replica = 1, .image = "sha256:1", .env = &service->env, .prefix = "a.live."
	};
	char *body = docker_application_body(&spec, NULL), key[64];
	const struct json_value *host, *mounts;
	struct json *doc;

	must(body != NULL && json_parse(str_of(body), NULL, &doc, NULL));
	host = json_get(json_root(doc), "HostConfig");
	for (size_t i = 0; i < json_count(host); i++) {
		snprintf(key, sizeof(key), " %s ", json_key_at(host, i));
		must(strstr(allowed, key) != NULL);
	}
	must(!json_bool(json_get(host, "Privileged"), true));
	must(strncmp(json_string(json_get(host, "NetworkMode"), ""), spec.prefix, strlen(spec.prefix)) == 0);
	mounts = json_get(host, "Mounts");
	for (size_t i = 0; i < json_count(mounts); i++) {
		must(strcmp(json_string(json_get(json_at(mounts, i), "Type"), ""), "volume") == 0);
		must(strncmp(json_string(json_get(json_at(mounts, i), "Source"), ""), spec.prefix,
			 strlen(spec.prefix)) == 0);
	}
	json_free(&doc);
	free(body);
}

static void
check_job(const struct plan *plan, size_t at)
{
	const struct job_spec *job = &plan->jobs[at];
	char *json = job_spec_to_json(job), *again;
	struct job_spec copy;
	struct err err;

	check_needs(plan, at);
	for (size_t i = 0; i < job->service_count; i++)
		must(job->services[i].name[0] != '\0' && job->services[i].image[0] != '\0' &&
		     job->services[i].ready_timeout_s > 0);
	must((job->kind == JOB_KIND_BUILD) == (job->build != NULL));
	must((job->kind == JOB_KIND_DEPLOY) == (job->deploy != NULL));
	for (size_t i = 0;
	     job->deploy != NULL && job->deploy->application != NULL && i < job->deploy->application->service_count;
	     i++)
		check_container(&job->deploy->application->services[i]);
	must(job_spec_from_json(str_of(json), &copy, &err));
	again = job_spec_to_json(&copy);
	must(strcmp(json, again) == 0);
	if (job->kind == JOB_KIND_SCRIPT)
		check_script(&copy, json);
	free(again);
	free(json);
	job_spec_fini(&copy);
}

static void
check_again(struct str text, const struct pipeline_context *context, const struct plan *plan)
{
	char *first = plan_to_json(plan), *second;
	struct plan *again;
	struct err err;

	must(pipeline_parse(text, "f", context, &again, &err));
	second = plan_to_json(again);
	must(strcmp(first, second) == 0 && again->wants_paths == plan->wants_paths);
	free(first);
	free(second);
	plan_free(&again);
}

static void
check_plan(struct str text, const struct pipeline_context *context, struct plan *plan)
{
	unsigned line, column;

	must(plan->job_count >= 1 && plan->job_count <= 256 && plan->warning_count <= 100);
	must(!plan->wants_paths || context->paths == NULL);
	for (size_t i = 0; i < plan->job_count; i++)
		check_job(plan, i);
	for (size_t i = 0; i < plan->warning_count; i++)
		must(sscanf(strchr(plan->warnings[i], ':'), ":%u:%u: ", &line, &column) == 2);
	check_again(text, context, plan);
}

/* What the file includes: a line of defaults, or nothing. */
static void
fill_includes(struct pipeline_includes *includes)
{
	for (size_t i = 0; i < includes->count; i++) {
		if (i % 4 == 3)
			continue;
		if (includes->items[i].is_application)
			includes->items[i].text =
			    xstrdup("services: {b: {image: a, ports: ['1:2'], volumes: ['v:/v']}}\n");
		else
			includes->items[i].text =
			    xstrdup(i % 2 == 0 ? "image: a\nenv: [A=1]\n" : "jobs: {z: {image: b, script: c}}\n");
		includes->items[i].len = strlen(includes->items[i].text);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pipeline_context context = contexts[size % (sizeof(contexts) / sizeof(contexts[0]))];
	struct str text = { (const char *)data, size };
	struct pipeline_includes includes = { 0 };
	struct err err = ERR_OK;
	unsigned line, column;
	struct plan *plan = NULL;

	if (pipeline_includes(text, "f", &includes, &err))
		fill_includes(&includes);
	context.includes = &includes;
	if (pipeline_parse(text, "f", &context, &plan, &err)) {
		check_plan(text, &context, plan);
		plan_free(&plan);
	} else {
		must(plan == NULL && sscanf(strchr(err.text, ':'), ":%u:%u: ", &line, &column) == 2 && line > 0 &&
		     column > 0);
	}
	pipeline_includes_fini(&includes);
	return 0;
}
