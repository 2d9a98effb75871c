/* `davit insights`: how long builds and deployments of a repository take, and how well they go. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/client.h"
#include "cli/command.h"
#include "proto/mem.h"

/* "850ms", "12s", "3m05s", "2h10m", "3.1d" */
static const char *
duration_text(double ms, char ret[32])
{
	long s = (long)(ms / 1000 + 0.5);

	if (ms < 1000)
		snprintf(ret, 32, "%.0fms", ms);
	else if (s < 60)
		snprintf(ret, 32, "%lds", s);
	else if (s < 3600)
		snprintf(ret, 32, "%ldm%02lds", s / 60, s % 60);
	else if (s < 2 * 86400)
		snprintf(ret, 32, "%ldh%02ldm", s / 3600, s % 3600 / 60);
	else
		snprintf(ret, 32, "%.1fd", (double)s / 86400);
	return ret;
}

/* "93 %", "-" for null */
static const char *
share_text(const struct json_value *share, char ret[32])
{
	if (json_type(share) != JSON_NUMBER)
		return "-";
	snprintf(ret, 32, "%.0f %%", json_double(share, 0) * 100);
	return ret;
}

static void
print_times(const struct json_value *times)
{
	char p50[32], p95[32];

	for (size_t i = 0; i < json_count(times); i++) {
		const struct json_value *t = json_at(times, i);

		printf("  %-8s p50 %-8s p95 %-8s (%" PRId64 ")\n", json_key_at(times, i),
		    duration_text(json_double(json_get(t, "p50_ms"), 0), p50),
		    duration_text(json_double(json_get(t, "p95_ms"), 0), p95), json_int(json_get(t, "count"), 0));
	}
}

/* "12 passed, 1 failed" */
static void
print_ends(const struct json_value *ends)
{
	const char *separator = "";

	for (size_t i = 0; i < json_count(ends); i++) {
		int64_t n = json_int(json_at(ends, i), 0);

		if (n > 0)
			printf("%s%" PRId64 " %s", separator, n, json_key_at(ends, i));
		if (n > 0)
			separator = ", ";
	}
	puts(separator[0] != '\0' ? "" : "none");
}

static void
print_environment(const struct json_value *e)
{
	char share[32];

	printf("\n%s: deployments: ", json_string(json_get(e, "name"), ""));
	print_ends(json_get(e, "deployments"));
	printf("  %.2g a day, %s passed, %s of %" PRId64 " changes failed or were taken back\n",
	    json_double(json_get(e, "per_day"), 0), share_text(json_get(e, "success"), share),
	    share_text(json_get(e, "change_failures"), (char[32]){ "" }), json_int(json_get(e, "changes"), 0));
	print_times(json_get(e, "times"));
}

static void
print_insights(const struct json_value *root)
{
	const struct json_value *environments = json_get(root, "environments");
	char share[32];

	printf("%s, last %" PRId64 " days: builds: ", json_string(json_get(root, "repo"), ""),
	    json_int(json_get(root, "day_count"), 0));
	print_ends(json_get(root, "builds"));
	printf("  %s passed\n", share_text(json_get(root, "success"), share));
	print_times(json_get(root, "times"));
	for (size_t i = 0; i < json_count(environments); i++)
		print_environment(json_at(environments, i));
}

int
insights_run(int argc, char **argv)
{
	struct json *doc = NULL;
	uint64_t days = 30;
	char *path;
	int code;

	if ((argc != 2 && argc != 4) || (argc == 4 && strcmp(argv[2], "--days") != 0))
		return EXIT_USAGE;
	if (argc == 4 && !str_to_u64(str_of(argv[3]), INT32_MAX, &days))
		return EXIT_USAGE;
	path = xasprintf("/api/v1/repos/%s/insights?days=%" PRIu64, argv[1], days);
	code = client_ask("GET", path, STR(""), &doc);
	free(path);
	if (code == EXIT_OK)
		print_insights(json_root(doc));
	json_free(&doc);
	return code;
}
