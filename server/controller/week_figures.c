#include "server/controller/week_figures.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>

#include "server/controller/figures.h"

enum { LABELS_SIZE = 256 };

static bool
is_environment(const struct insights *insights)
{
	return insights->environment[0] != '\0';
}

/* repo="app",environment="live",phase="run"; neither name has a character that wants a backslash. */
static void
print(struct buf *out, const char *name, const struct insights *insights, const char *more, double value)
{
	char labels[LABELS_SIZE];

	if (isnan(value))
		return;
	snprintf(labels, sizeof(labels), "repo=\"%s\"%s%s%s%s", insights->repo,
	    is_environment(insights) ? ",environment=\"" : "", insights->environment,
	    is_environment(insights) ? "\"" : "", more);
	figures_value(out, name, labels, value);
}

static void
print_times(const struct insights_list *list, bool of_environments, struct buf *out)
{
	static const double quantiles[] = { 0.5, 0.95 };
	const char *name = of_environments ? "davit_week_deployment_seconds" : "davit_week_seconds";
	char more[64];

	figures_head(out, name, "gauge",
	    of_environments ? "Times of deployments of the last seven days."
			    : "Times of builds of the last seven days.");
	for (size_t i = 0; i < list->count; i++)
		for (size_t t = 0; t < INSIGHTS_TIMES && is_environment(&list->items[i]) == of_environments; t++)
			for (size_t q = 0; q < 2; q++) {
				snprintf(more, sizeof(more), ",phase=\"%s\",quantile=\"%g\"",
				    insights_time_name((enum insights_time)t), quantiles[q]);
				print(out, name, &list->items[i], more,
				    histogram_quantile(&list->items[i].sum.times[t], quantiles[q]) / 1000);
			}
}

static void
print_ends(const struct insights_list *list, bool of_environments, struct buf *out)
{
	const char *name = of_environments ? "davit_week_deployments" : "davit_week_builds";
	char more[32];

	figures_head(out, name, "gauge",
	    of_environments ? "Deployments that ended in the last seven days, by final state."
			    : "Builds that ended in the last seven days, by final state.");
	for (size_t i = 0; i < list->count; i++)
		for (size_t e = 0; e < INSIGHTS_ENDS && is_environment(&list->items[i]) == of_environments; e++) {
			snprintf(more, sizeof(more), ",state=\"%s\"", insights_end_name((enum insights_end)e));
			print(out, name, &list->items[i], more, (double)list->items[i].sum.ends[e]);
		}
}

static void
print_failures(const struct insights_list *list, struct buf *out)
{
	static const char name[] = "davit_week_change_failure_ratio";

	figures_head(out, name, "gauge", "Share of the changes of the last seven days that failed or were taken back.");
	for (size_t i = 0; i < list->count; i++)
		if (is_environment(&list->items[i]))
			print(out, name, &list->items[i], "", insights_change_failures(&list->items[i].sum));
}

void
week_figures_print(const struct insights_list *list, struct buf *out)
{
	print_ends(list, false, out);
	print_times(list, false, out);
	print_ends(list, true, out);
	print_times(list, true, out);
	print_failures(list, out);
}
