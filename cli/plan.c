#include <stdio.h>
#include <stdlib.h>

#include "cli/command.h"
#include "cli/file.h"

int
plan_run(int argc, char **argv)
{
	struct plan *plan;
	char *json;

	if (argc > 2)
		return EXIT_USAGE;
	plan = file_plan(argv[1]);
	if (plan == NULL)
		return EXIT_PROBLEM;
	json = plan_to_json(plan);
	puts(json);
	free(json);
	plan_free(&plan);
	return EXIT_OK;
}
