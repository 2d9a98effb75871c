#include "cli/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/mem.h"

/* One byte more than a pipeline may have, so that a larger one is refused by its reader. */
static char *
read_all(FILE *file, size_t *len)
{
	char *text = xcalloc(1, YML_MAX_BYTES + 1);

	*len = fread(text, 1, YML_MAX_BYTES + 1, file);
	return text;
}

bool
file_read(const char *path, char **text, size_t *len)
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
		*text = NULL;
	}
	if (!is_stdin)
		fclose(file);
	return ok;
}

/* The folder of the pipeline file, with its slash; "" for this one. free() it. */
static char *
folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? xstrndup(path, (size_t)(slash - path) + 1) : xstrdup("");
}

static char *
path_of(const struct pipeline_include *include, const char *folder, const char *templates)
{
	if (include->is_template)
		return templates != NULL ? xasprintf("%s/%s.yml", templates, include->name) : NULL;
	return xasprintf("%s%s", folder, include->name);
}

/* What is not there stays without text, which the pipeline's reader says with its place. */
static bool
read_includes(struct pipeline_includes *includes, const char *folder, const char *templates)
{
	bool ok = true;

	for (size_t i = 0; ok && i < includes->count; i++) {
		struct pipeline_include *include = &includes->items[i];
		char *path = path_of(include, folder, templates);

		if (path != NULL && access(path, F_OK) == 0)
			ok = file_read(path, &include->text, &include->len);
		free(path);
	}
	return ok;
}

static bool
lacks_template(const struct pipeline_includes *includes)
{
	for (size_t i = 0; i < includes->count; i++)
		if (includes->items[i].is_template && includes->items[i].text == NULL)
			return true;
	return false;
}

static void
fail(const struct err *err, const struct pipeline_includes *includes, const char *templates)
{
	fprintf(stderr, "%s\n", err->text);
	if (templates == NULL && lacks_template(includes))
		fprintf(stderr, "davit: templates are the server's; --templates names a folder that has them\n");
}

static struct plan *
parse(const char *path, struct str text, const struct pipeline_context *context, const char *templates)
{
	struct pipeline_includes includes = { 0 };
	struct pipeline_context own = context != NULL ? *context : (struct pipeline_context){ 0 };
	struct plan *plan = NULL;
	char *folder = folder_of(path);
	struct err err = ERR_OK;

	own.includes = &includes;
	if (!pipeline_includes(text, path, &includes, &err) ||
	    (read_includes(&includes, folder, templates) && !pipeline_parse(text, path, &own, &plan, &err)))
		fail(&err, &includes, templates);
	pipeline_includes_fini(&includes);
	free(folder);
	return plan;
}

struct plan *
file_plan(const char *path, const struct pipeline_context *context, const char *templates)
{
	struct plan *plan;
	char *text;
	size_t len;

	if (path == NULL)
		path =
		    access("daocloud.yml", F_OK) != 0 && access("davit.yml", F_OK) == 0 ? "davit.yml" : "daocloud.yml";
	if (!file_read(path, &text, &len))
		return NULL;
	plan = parse(path, (struct str){ text, len }, context, templates);
	for (size_t i = 0; plan != NULL && i < plan->warning_count; i++)
		fprintf(stderr, "warning: %s\n", plan->warnings[i]);
	free(text);
	return plan;
}
