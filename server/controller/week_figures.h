/* What /metrics says of repositories and environments: the figures of the last seven days (proto/insights.h), as
 * gauges. So many of both together are told as WEEK_FIGURES_MAX says, the first by name; of which Prometheus gets at
 * most 30 lines each. They are asked of Redis at most once a minute. */
#ifndef DAVIT_CONTROLLER_WEEK_FIGURES_H
#define DAVIT_CONTROLLER_WEEK_FIGURES_H

#include <stdint.h>

#include "proto/buf.h"
#include "proto/insights.h"

enum { WEEK_FIGURES_DAYS = 7, WEEK_FIGURES_MAX = 100, WEEK_FIGURES_KEPT_S = 60, WEEK_FIGURES_BYTES = 768 * 1024 };

void week_figures_print(const struct insights_list *list, struct buf *out);

#endif
