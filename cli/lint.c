#include <stdio.h>

#include "cli/command.h"
#include "cli/file.h"

int
lint_run(int argc, char **argv)
{
	struct plan *plan;

	if (argc > 2)
		return EXIT_USAGE;
	plan = file_plan(argv[1]);
	if (plan == NULL)
		return EXIT_PROBLEM;
	printf("%zu job%s, %zu warning%s\n", plan->job_count, plan->job_count == 1 ? "" : "s", plan->warning_count,
	    plan->warning_count == 1 ? "" : "s");
	plan_free(&plan);
	return EXIT_OK;
}
