/* davit run: the jobs of the working copy's pipeline file, on an engine of this machine, without a server. What is
 * printed is what the server's log would show. The one command that has a reactor and a builder. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/plan_options.h"
#include "cli/run_local.h"
#include "cli/workspace.h"
#include "server/core/log.h"

static bool
has_job(const struct plan *plan, const char *name)
{
	for (size_t i = 0; i < plan->job_count; i++)
		if (strcmp(plan->jobs[i].name, name) == 0)
			return true;
	fprintf(stderr, "davit: there is no job \"%s\"; davit plan prints those that there are\n", name);
	return false;
}

static int
run_plan(const struct run_options *options, struct plan *plan)
{
	if (plan == NULL || (options->job != NULL && !has_job(plan, options->job)) ||
	    !run_options_settle(options, plan))
		return EXIT_PROBLEM;
	log_set_level(LOG_LEVEL_ERROR);
	return run_local(options, plan) ? EXIT_OK : EXIT_PROBLEM;
}

int
run_run(int argc, char **argv)
{
	struct run_options options;
	bool usage = !run_options_parse(argc, argv, &options);
	char *branch = workspace_branch();
	struct plan *plan = NULL;
	int status;

	run_options_assume(&options, branch);
	if (!usage)
		plan = plan_options_run(options.plan_count, options.plan, &usage);
	status = usage ? EXIT_USAGE : run_plan(&options, plan);
	plan_free(&plan);
	run_options_fini(&options);
	free(branch);
	return status;
}
