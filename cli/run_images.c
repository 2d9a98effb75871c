#include "cli/run_images.h"

#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"

enum { LINES_MAX = 64 * 1024 };

struct run_images {
	const struct plan *plan;
	struct buf *lines; /* of each job, as proto/built_image.h has them */
};

struct run_images *
run_images_new(const struct plan *plan)
{
	struct run_images *images = xcalloc(1, sizeof(*images));

	images->plan = plan;
	images->lines = xcalloc(plan->job_count + 1, sizeof(*images->lines));
	for (size_t i = 0; i < plan->job_count; i++)
		buf_init(&images->lines[i], LINES_MAX);
	return images;
}

void
run_images_free(struct run_images **images)
{
	struct run_images *m = *images;

	*images = NULL;
	if (m == NULL)
		return;
	for (size_t i = 0; i < m->plan->job_count; i++)
		buf_fini(&m->lines[i]);
	free(m->lines);
	free(m);
}

void
run_images_begin(struct run_images *images, size_t index)
{
	buf_reset(&images->lines[index]);
}

void
run_images_add(struct run_images *images, size_t index, const char *name, const char *digest, const char *id)
{
	built_image_add(&images->lines[index], name, digest, id);
}

/* The jobs in the order of their distance: each puts those that it needs behind the last. */
void
run_images_needed(const struct run_images *images, size_t index, struct buf *ret)
{
	const struct plan *plan = images->plan;
	size_t *order = xcalloc(plan->job_count + 1, sizeof(*order)), count = 1;
	bool *seen = xcalloc(plan->job_count + 1, sizeof(*seen));

	order[0] = index;
	for (size_t i = 0; i < count; i++) {
		const struct job_spec *job = &plan->jobs[order[i]];

		if (i > 0)
			buf_addstr(ret, buf_str(&images->lines[order[i]]));
		for (size_t k = 0; k < job->need_count; k++) {
			size_t other = job->needs[k].job - 1;

			if (!seen[other])
				order[count++] = other;
			seen[other] = true;
		}
	}
	free(order);
	free(seen);
}
