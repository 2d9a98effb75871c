#include <stdio.h>

#include "cli/command.h"
#include "cli/plan_options.h"

static const char *
plural(size_t n)
{
	return n == 1 ? "" : "s";
}

int
lint_run(int argc, char **argv)
{
	bool usage;
	struct plan *plan = plan_options_run(argc, argv, &usage);

	if (plan == NULL)
		return usage ? EXIT_USAGE : EXIT_PROBLEM;
	printf("%zu job%s, %zu warning%s\n", plan->job_count, plural(plan->job_count), plan->warning_count,
	    plural(plan->warning_count));
	plan_free(&plan);
	return EXIT_OK;
}
