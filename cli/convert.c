#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/file.h"
#include "proto/convert.h"

/* By --from, else by the file's name. */
static bool
choose(const char *from, const char *path, enum convert_from *ret)
{
	if (from != NULL && convert_from_parse(from, ret))
		return true;
	if (from == NULL && convert_from_path(path, ret))
		return true;
	fprintf(stderr,
	    from != NULL ? "davit: --from wants travis, gitlab, drone or woodpecker, not \"%s\"\n"
			 : "davit: %s: say what it is: --from travis, gitlab, drone or woodpecker\n",
	    from != NULL ? from : path);
	return false;
}

static int
convert(enum convert_from from, const char *path)
{
	struct strings notes = { 0 };
	char *text, *converted = NULL;
	struct err err;
	size_t len;

	if (!file_read(path, &text, &len))
		return EXIT_PROBLEM;
	if (convert_pipeline(from, (struct str){ text, len }, path, &converted, &notes, &err))
		fputs(converted, stdout);
	else
		fprintf(stderr, "%s\n", err.text);
	for (size_t i = 0; i < notes.count; i++)
		fprintf(stderr, "note: %s\n", notes.items[i]);
	strings_fini(&notes);
	free(text);
	if (converted == NULL)
		return EXIT_PROBLEM;
	free(converted);
	return EXIT_OK;
}

int
convert_run(int argc, char **argv)
{
	const char *from = argc > 2 && strcmp(argv[1], "--from") == 0 ? argv[2] : NULL;
	enum convert_from kind;

	if (argc != (from != NULL ? 4 : 2))
		return EXIT_USAGE;
	return choose(from, argv[argc - 1], &kind) ? convert(kind, argv[argc - 1]) : EXIT_PROBLEM;
}
