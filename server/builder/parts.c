#include "server/builder/parts.h"

#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"

static const char *
image_of(const struct job_spec *job, size_t segment)
{
	const char *image = segment < job->segment_count ? job->segments[segment].image : NULL;

	return image != NULL ? image : job->image;
}

void
parts_init(struct parts *parts, const struct job_spec *job)
{
	struct part *part;

	parts->list = xcalloc(job->segment_count > 0 ? job->segment_count : 1, sizeof(*parts->list));
	part = parts->list;
	part->image = image_of(job, 0);
	for (size_t i = 0; i < job->segment_count; i++) {
		if (strcmp(image_of(job, i), part->image) != 0)
			*++part = (struct part){ .image = image_of(job, i), .first = i };
		part->count++;
		part->has_always = part->has_always || job->segments[i].always;
	}
	parts->count = (size_t)(part - parts->list) + 1;
}

void
parts_fini(struct parts *parts)
{
	free(parts->list);
	*parts = (struct parts){ .count = 0 };
}

size_t
parts_next(const struct parts *parts, size_t from, bool is_over)
{
	while (from < parts->count && is_over && !parts->list[from].has_always)
		from++;
	return from;
}
