#include <stdio.h>
#include <stdlib.h>

#include "cli/command.h"
#include "cli/plan_options.h"

int
plan_run(int argc, char **argv)
{
	bool usage;
	struct plan *plan = plan_options_run(argc, argv, &usage);
	char *json;

	if (plan == NULL)
		return usage ? EXIT_USAGE : EXIT_PROBLEM;
	json = plan_to_json(plan);
	puts(json);
	free(json);
	plan_free(&plan);
	return EXIT_OK;
}
