#include "cli/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/mem.h"
#include "proto/pipeline.h"

/* One byte more than a pipeline may have, so that a larger one is refused by its reader. */
static char *
read_all(FILE *file, size_t *len)
{
	char *text = xcalloc(1, YML_MAX_BYTES + 1);

	*len = fread(text, 1, YML_MAX_BYTES + 1, file);
	return text;
}

static bool
read_file(const char *path, char **text, size_t *len)
{
	bool is_stdin = strcmp(path, "-") == 0, ok;
	FILE *file = is_stdin ? stdin : fopen(path, "re");

	if (file == NULL) {
		fprintf(stderr, "davit: %s\n", err_errno("%s", path).text);
		return false;
	}
	*text = read_all(file, len);
	ok = ferror(file) == 0;
	if (!ok) {
		fprintf(stderr, "davit: %s\n", err_errno("%s", path).text);
		free(*text);
	}
	if (!is_stdin)
		fclose(file);
	return ok;
}

struct plan *
file_plan(const char *path)
{
	struct plan *plan = NULL;
	struct err err;
	char *text;
	size_t len;

	if (path == NULL)
		path =
		    access("daocloud.yml", F_OK) != 0 && access("davit.yml", F_OK) == 0 ? "davit.yml" : "daocloud.yml";
	if (!read_file(path, &text, &len))
		return NULL;
	if (!pipeline_parse((struct str){ text, len }, path, NULL, &plan, &err))
		fprintf(stderr, "%s\n", err.text);
	for (size_t i = 0; plan != NULL && i < plan->warning_count; i++)
		fprintf(stderr, "warning: %s\n", plan->warnings[i]);
	free(text);
	return plan;
}
