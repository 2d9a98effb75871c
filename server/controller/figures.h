/* What the controller counts itself, and all figures as Prometheus' text format 0.0.4 wants them. */
#ifndef DAVIT_CONTROLLER_FIGURES_H
#define DAVIT_CONTROLLER_FIGURES_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/buf.h"
#include "server/store/records.h"

#define FIGURES_HOOK_BUCKETS 10
#define FIGURES_FINAL_STATES (BUILD_ERROR - BUILD_PASSED + 1)

struct figures {
	uint64_t builds[FIGURES_FINAL_STATES];    /* ended since the start, by state from BUILD_PASSED on */
	uint64_t hooks[FIGURES_HOOK_BUCKETS + 1]; /* deliveries by the time their answer took; the last: longer */
	uint64_t hook_us;
};

/* Microseconds that never jump. */
int64_t figures_now_us(void);
void figures_add_hook(struct figures *figures, int64_t us);
void figures_add_build(struct figures *figures, enum build_state state);

/* "# HELP" and "# TYPE" of what follows. */
void figures_head(struct buf *out, const char *name, const char *type, const char *help);
/* One value; labels: "state=\"passed\"", or NULL. */
void figures_value(struct buf *out, const char *name, const char *labels, double value);
/* head and value. */
void figures_one(struct buf *out, const char *name, const char *type, const char *help, double value);
/* Durations by upper bound; counts has one more for what is longer. */
struct figures_times {
	const unsigned *bounds_ms;
	size_t bounds;
	const uint64_t *counts;
	uint64_t total_us;
};
void figures_histogram(struct buf *out, const char *name, const char *help, const struct figures_times *times);
/* The controller's own, and the process'. */
void figures_print(const struct figures *figures, struct buf *out);

#endif
