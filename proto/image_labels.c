#include "proto/image_labels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proto/mem.h"

#define PREFIX "org.opencontainers.image."

static bool
has(const struct strings *labels, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < labels->count; i++)
		if (strncmp(labels->items[i], name, len) == 0 && labels->items[i][len] == '=')
			return true;
	return false;
}

static void
add(struct strings *labels, const char *name, const char *value)
{
	char *label;

	if (value == NULL || value[0] == '\0' || has(labels, name))
		return;
	label = xasprintf("%s=%s", name, value);
	strings_add(labels, str_of(label));
	free(label);
}

void
image_labels_add(struct strings *labels, const struct image_origin *origin)
{
	time_t seconds = (time_t)(origin->commit_ms / 1000);
	char created[32] = "";
	struct tm tm;

	if (seconds != 0 && gmtime_r(&seconds, &tm) != NULL)
		strftime(created, sizeof(created), "%Y-%m-%dT%H:%M:%SZ", &tm); /* RFC 3339 */
	add(labels, PREFIX "revision", origin->revision);
	add(labels, PREFIX "source", origin->source);
	add(labels, PREFIX "version", origin->version);
	add(labels, PREFIX "created", created);
}
