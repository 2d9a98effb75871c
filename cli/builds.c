#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/command.h"
#include "proto/buf.h"
#include "proto/mem.h"

#define PATH_BYTES 4096

static void
print_duration(char *text, size_t size, int64_t start_ms, int64_t end_ms)
{
	int64_t s = (end_ms - start_ms + 500) / 1000;

	if (start_ms == 0 || end_ms == 0)
		snprintf(text, size, "-");
	else if (s < 60)
		snprintf(text, size, "%" PRId64 "s", s);
	else
		snprintf(text, size, "%" PRId64 "m%02" PRId64 "s", s / 60, s % 60);
}

static void
print_build(const struct json_value *b)
{
	char duration[32];

	print_duration(duration, sizeof(duration), json_int(json_get(b, "started_ms"), 0),
	    json_int(json_get(b, "finished_ms"), 0));
	printf("%-6" PRId64 " %-10s %-16s %-20.20s %.8s  %-8s %.60s\n", json_int(json_get(b, "build"), 0),
	    json_string(json_get(b, "state"), ""), json_string(json_get(b, "repo"), ""),
	    json_string(json_get(b, "branch"), ""), json_string(json_get(b, "commit"), ""), duration,
	    json_string(json_get(b, "title"), ""));
}

int
builds_run(int argc, char **argv)
{
	struct client *client;
	struct json *doc = NULL;
	const struct json_value *builds;
	struct buf path;
	struct err err;
	bool ok;

	if (argc > 2)
		return EXIT_USAGE;
	if ((client = client_new()) == NULL)
		return EXIT_PROBLEM;
	buf_init(&path, PATH_BYTES);
	buf_adds(&path, "/api/v1/builds?limit=20");
	if (argc == 2)
		buf_addf(&path, "&repo=%s", argv[1]);
	ok = client_call(client, "GET", path.data, STR(""), &doc, &err);
	buf_fini(&path);
	client_free(&client);
	if (!ok)
		return client_fail(&err);
	builds = json_get(json_root(doc), "builds");
	printf("%-6s %-10s %-16s %-20s %-8s  %-8s %s\n", "BUILD", "STATE", "REPOSITORY", "BRANCH", "COMMIT", "TOOK",
	    "TITLE");
	for (size_t i = 0; i < json_count(builds); i++)
		print_build(json_at(builds, i));
	json_free(&doc);
	return EXIT_OK;
}

/* POST /api/v1/builds/N/VERB; *ret may be NULL. */
static int
post(const char *number, const char *verb, struct json **ret)
{
	struct client *client;
	struct err err;
	uint64_t n;
	char path[128];
	bool ok;

	if (!str_to_u64(str_of(number), INT64_MAX, &n)) {
		fprintf(stderr, "davit: %s is no build's number\n", number);
		return EXIT_USAGE;
	}
	if ((client = client_new()) == NULL)
		return EXIT_PROBLEM;
	snprintf(path, sizeof(path), "/api/v1/builds/%" PRIu64 "/%s", n, verb);
	ok = client_call(client, "POST", path, STR(""), ret, &err);
	client_free(&client);
	return ok ? EXIT_OK : client_fail(&err);
}

int
cancel_run(int argc, char **argv)
{
	return argc == 2 ? post(argv[1], "cancel", NULL) : EXIT_USAGE;
}

int
approve_run(int argc, char **argv)
{
	return argc == 2 ? post(argv[1], "approve", NULL) : EXIT_USAGE;
}

int
reject_run(int argc, char **argv)
{
	return argc == 2 ? post(argv[1], "reject", NULL) : EXIT_USAGE;
}

int
rerun_run(int argc, char **argv)
{
	struct json *doc = NULL;
	int status;

	if (argc != 2)
		return EXIT_USAGE;
	status = post(argv[1], "rerun", &doc);
	if (status == EXIT_OK)
		printf("build %" PRId64 "\n", json_int(json_get(json_root(doc), "build"), 0));
	json_free(&doc);
	return status;
}
