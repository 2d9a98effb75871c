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

/* What /api/v1/builds/N/VERB answers; ret may be NULL. */
static int
ask(const char *method, const char *number, const char *verb, struct json **ret)
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
	snprintf(path, sizeof(path), "/api/v1/builds/%" PRIu64 "%s%s", n, verb[0] != '\0' ? "/" : "", verb);
	ok = client_call(client, method, path, STR(""), ret, &err);
	client_free(&client);
	return ok ? EXIT_OK : client_fail(&err);
}

int
cancel_run(int argc, char **argv)
{
	return argc == 2 ? ask("POST", argv[1], "cancel", NULL) : EXIT_USAGE;
}

/* --- the jobs of a build --- */

/* What a job waits for, why it ended so, and what else is worth a word. */
static void
print_remarks(const struct json_value *job)
{
	const char *words[] = { json_string(json_get(job, "waits_for"), ""), json_string(json_get(job, "reason"), ""),
		json_string(json_get(job, "reused_from"), "") };
	int64_t attempt = json_int(json_get(job, "attempt"), 1);

	if (words[0][0] != '\0')
		printf("  waits for %s", words[0]);
	else if (words[1][0] != '\0')
		printf("  %s", words[1]);
	if (json_bool(json_get(job, "allow_failure"), false))
		printf("  (allowed to fail)");
	if (attempt > 1)
		printf("  (attempt %" PRId64 ")", attempt);
	if (words[2][0] != '\0')
		printf("  (result of job %s)", words[2]);
	printf("\n");
}

/* A line for each name of what it has built. */
static void
print_images(const struct json_value *images)
{
	for (size_t i = 0; i < json_count(images); i++)
		printf("%-8s built %s as %s\n", "", json_string(json_get(json_at(images, i), "name"), ""),
		    json_string(json_get(json_at(images, i), "reference"), ""));
}

static void
print_job(const struct json_value *job)
{
	const struct json_value *needs = json_get(job, "needs");
	char duration[32], text[64] = "";

	print_duration(duration, sizeof(duration), json_int(json_get(job, "started_ms"), 0),
	    json_int(json_get(job, "finished_ms"), 0));
	for (size_t i = 0; i < json_count(needs); i++) {
		size_t len = strlen(text);

		snprintf(
		    text + len, sizeof(text) - len, "%s%" PRId64, i > 0 ? " " : "", json_int(json_at(needs, i), 0));
	}
	printf("%-8s %-10s %-24.24s %-8s %-8s", json_string(json_get(job, "id"), ""),
	    json_string(json_get(job, "state"), ""), json_string(json_get(job, "name"), ""), text, duration);
	print_remarks(job);
	print_images(json_get(job, "images"));
}

int
jobs_run(int argc, char **argv)
{
	struct json *doc = NULL;
	const struct json_value *jobs;
	int status;

	if (argc != 2)
		return EXIT_USAGE;
	status = ask("GET", argv[1], "", &doc);
	jobs = status == EXIT_OK ? json_get(json_root(doc), "jobs") : NULL;
	if (status == EXIT_OK)
		printf("%-8s %-10s %-24s %-8s %s\n", "JOB", "STATE", "NAME", "NEEDS", "TOOK");
	for (size_t i = 0; i < json_count(jobs); i++)
		print_job(json_at(jobs, i));
	json_free(&doc);
	return status;
}

/* --- again --- */

/* --failed, or --job with a number ("3" or "17.3"), into a query; false: neither. */
static bool
read_which(int argc, char **argv, char *ret, size_t size)
{
	const char *number;
	uint64_t k;

	snprintf(ret, size, "rerun");
	if (argc == 2)
		return true;
	if (argc == 3 && strcmp(argv[2], "--failed") == 0) {
		snprintf(ret, size, "rerun?jobs=failed");
		return true;
	}
	if (argc != 4 || strcmp(argv[2], "--job") != 0)
		return false;
	number = strchr(argv[3], '.') != NULL ? strchr(argv[3], '.') + 1 : argv[3];
	snprintf(ret, size, "rerun?jobs=%.20s", number);
	return str_to_u64(str_of(number), INT64_MAX, &k);
}

/* Of a build, or of one of its jobs ("17.2"). */
static int
judge(const char *what, const char *verb)
{
	struct client *client;
	struct err err;
	char *path;
	bool ok;

	if (strchr(what, '.') == NULL)
		return ask("POST", what, verb, NULL);
	if ((client = client_new()) == NULL)
		return EXIT_PROBLEM;
	path = xasprintf("/api/v1/jobs/%s/%s", what, verb);
	ok = client_call(client, "POST", path, STR(""), NULL, &err);
	free(path);
	client_free(&client);
	return ok ? EXIT_OK : client_fail(&err);
}

int
approve_run(int argc, char **argv)
{
	return argc == 2 ? judge(argv[1], "approve") : EXIT_USAGE;
}

int
reject_run(int argc, char **argv)
{
	return argc == 2 ? judge(argv[1], "reject") : EXIT_USAGE;
}

int
rerun_run(int argc, char **argv)
{
	struct json *doc = NULL;
	char verb[64];
	int status;

	if (argc < 2 || !read_which(argc, argv, verb, sizeof(verb)))
		return EXIT_USAGE;
	status = ask("POST", argv[1], verb, &doc);
	if (status == EXIT_OK)
		printf("build %" PRId64 "\n", json_int(json_get(json_root(doc), "build"), 0));
	json_free(&doc);
	return status;
}
