#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/command.h"
#include "cli/test_lines.h"
#include "proto/buf.h"
#include "proto/mem.h"
#include "proto/report.h"
#include "proto/url.h"

#define PATH_BYTES 16384

/* What /api/v1/builds/N/WHAT answers; the list of that name. */
static int
ask(const char *number, const char *what, struct json **ret, const struct json_value **list)
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
	snprintf(path, sizeof(path), "/api/v1/builds/%" PRIu64 "/%s", n, what);
	ok = client_call(client, "GET", path, STR(""), ret, &err);
	client_free(&client);
	if (!ok)
		return client_fail(&err);
	*list = json_get(json_root(*ret), what);
	return EXIT_OK;
}

static void
print_artifact(const struct json_value *a)
{
	time_t expires = (time_t)(json_int(json_get(a, "expires_ms"), 0) / 1000);
	char day[16] = "";
	struct tm tm;

	if (gmtime_r(&expires, &tm) != NULL)
		strftime(day, sizeof(day), "%Y-%m-%d", &tm);
	printf("%-8s %-24.24s %12" PRId64 " %8" PRId64 "  %s\n", json_string(json_get(a, "job"), ""),
	    json_string(json_get(a, "name"), ""), json_int(json_get(a, "content"), 0),
	    json_int(json_get(a, "files"), 0), day);
}

int
artifacts_run(int argc, char **argv)
{
	const struct json_value *list;
	struct json *doc = NULL;
	int status;

	if (argc != 2)
		return EXIT_USAGE;
	status = ask(argv[1], "artifacts", &doc, &list);
	if (status != EXIT_OK)
		return status;
	printf("%-8s %-24s %12s %8s  %s\n", "JOB", "NAME", "BYTES", "FILES", "EXPIRES");
	for (size_t i = 0; i < json_count(list); i++)
		print_artifact(json_at(list, i));
	json_free(&doc);
	return EXIT_OK;
}

/* --- one of them --- */

static bool
on_bytes(void *arg, struct str bytes)
{
	return fwrite(bytes.p, 1, bytes.len, arg) == bytes.len;
}

/* Under its name when it is whole. */
static bool
fetch(struct client *client, const char *path, const char *to, struct err *err)
{
	char *part = xasprintf("%s.part", to);
	FILE *out = strcmp(to, "-") == 0 ? stdout : fopen(part, "wx");
	bool ok = out != NULL && client_stream(client, path, "", on_bytes, out, err);

	if (out == NULL)
		*err = err_errno("%s", part);
	else if (ok && (ferror(out) || fflush(out) != 0))
		ok = err_set(err, ERR_IO, errno, "%s cannot be written", to);
	if (out != NULL && out != stdout) {
		fclose(out);
		if (ok && rename(part, to) != 0) {
			*err = err_errno("%s", to);
			ok = false;
		}
		if (!ok)
			unlink(part);
	}
	free(part);
	return ok;
}

/* Where the answer goes when nobody said: the last part of the file's path, or the artifact's name. */
static char *
default_name(const char *name, const char *file)
{
	const char *slash;

	if (file == NULL)
		return xasprintf("%s.tar.zst", strchr(name, '/') == NULL ? name : "artifact");
	slash = strrchr(file, '/');
	return xstrdup(slash != NULL ? slash + 1 : file);
}

static int
get(const char *job, const char *name, const char *file, const char *to)
{
	char *chosen = to != NULL ? xstrdup(to) : default_name(name, file);
	struct client *client = client_new();
	struct buf path;
	struct err err;
	bool ok;

	if (client == NULL) {
		free(chosen);
		return EXIT_PROBLEM;
	}
	buf_init(&path, PATH_BYTES);
	buf_adds(&path, "/api/v1/jobs/");
	url_encode(&path, str_of(job), "");
	buf_adds(&path, "/artifacts/");
	url_encode(&path, str_of(name), "");
	if (file != NULL) {
		buf_adds(&path, "/file?path=");
		url_encode(&path, str_of(file), "");
	}
	ok = fetch(client, path.data, chosen, &err);
	if (ok && strcmp(chosen, "-") != 0)
		printf("%s\n", chosen);
	buf_fini(&path);
	client_free(&client);
	free(chosen);
	return ok ? EXIT_OK : client_fail(&err);
}

/* get JOB NAME [FILE] [-o TO] */
int
artifact_run(int argc, char **argv)
{
	const char *to = NULL;

	if (argc >= 6 && strcmp(argv[argc - 2], "-o") == 0) {
		to = argv[argc - 1];
		argc -= 2;
	}
	if (argc < 4 || argc > 5 || strcmp(argv[1], "get") != 0)
		return EXIT_USAGE;
	return get(argv[2], argv[3], argc == 5 ? argv[4] : NULL, to);
}

/* --- tests --- */

static void
print_failed(const struct json_value *test)
{
	struct buf lines;

	buf_init(&lines, TEST_LINES_MAX);
	test_lines_add(json_bool(json_get(test, "error"), false), json_string(json_get(test, "name"), ""),
	    json_string(json_get(test, "message"), ""), &lines);
	fwrite(lines.data, 1, lines.len, stdout);
	buf_fini(&lines);
}

static uint64_t
count(const struct json_value *report, const char *key)
{
	return (uint64_t)json_int(json_get(report, key), 0);
}

static void
print_report(const struct json_value *report)
{
	uint64_t lines = count(report, "lines");
	const struct json_value *failed = json_get(report, "failed");
	struct buf text;

	buf_init(&text, 300);
	report_print_summary(count(report, "tests"), count(report, "failures") + count(report, "errors"),
	    lines > 0 ? (int)(count(report, "covered") * 10000 / lines) : -1, -1, &text);
	printf("job %s: %s", json_string(json_get(report, "job"), ""), text.data);
	if (count(report, "skipped") > 0)
		printf(", %" PRIu64 " skipped", count(report, "skipped"));
	printf("\n");
	for (size_t i = 0; i < json_count(failed); i++)
		print_failed(json_at(failed, i));
	buf_fini(&text);
}

int
tests_run(int argc, char **argv)
{
	const struct json_value *list;
	struct json *doc = NULL;
	int status;

	if (argc != 2)
		return EXIT_USAGE;
	status = ask(argv[1], "reports", &doc, &list);
	if (status != EXIT_OK)
		return status;
	for (size_t i = 0; i < json_count(list); i++)
		print_report(json_at(list, i));
	json_free(&doc);
	return EXIT_OK;
}
