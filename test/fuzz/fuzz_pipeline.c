/* Any bytes as a pipeline: an error with a place, or a plan that can be carried out: its JSON reads back the same, and
 * each of its jobs makes a script. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/pipeline.h"
#include "proto/script.h"

static void
must(bool ok)
{
	if (!ok)
		abort();
}

static void
check_job(const struct job_spec *job)
{
	char *json = job_spec_to_json(job), *again, *script;
	struct job_spec copy;
	struct script_spec spec = {
		.job = &copy, .workspace = "/workspace", .folder = "/davit", .nonce = "00000000000000000000000000000000"
	};
	struct err err;
	size_t len;

	must(job->image != NULL && job->segment_count > 0 && job->segment_count <= 3);
	must(strcmp(job->segments[job->segment_count - 1].name, "script") == 0);
	for (size_t i = 0; i < job->service_count; i++)
		must(job->services[i].name[0] != '\0' && job->services[i].image[0] != '\0' &&
		     job->services[i].ready_timeout_s > 0);
	must(job_spec_from_json(str_of(json), &copy, &err));
	again = job_spec_to_json(&copy);
	must(strcmp(json, again) == 0);
	/* A command may hold the nonce, as this one can be guessed. */
	spec.count = copy.segment_count;
	if (script_make(&spec, &script, &len, &err))
		free(script);
	else
		must(strstr(json, "00000000000000000000000000000000") != NULL);
	free(again);
	free(json);
	job_spec_fini(&copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = ERR_OK;
	unsigned line, column;
	struct plan *plan = NULL;

	if (pipeline_parse((struct str){ (const char *)data, size }, "f", NULL, &plan, &err)) {
		must(plan->job_count == 1 && plan->warning_count <= 100);
		check_job(&plan->jobs[0]);
		for (size_t i = 0; i < plan->warning_count; i++)
			must(sscanf(plan->warnings[i], "f:%u:%u: ", &line, &column) == 2);
		plan_free(&plan);
		return 0;
	}
	must(plan == NULL && sscanf(err.text, "f:%u:%u: ", &line, &column) == 2 && line > 0 && column > 0);
	return 0;
}
