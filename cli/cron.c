#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/cron.h"
#include "cli/command.h"
#include "cli/params.h"
#include "proto/mem.h"

#define BODY_MAX (1024 * 1024)

static const char *const options[][2] = { { "--cron", "cron" }, { "--timezone", "timezone" },
	{ "--branch", "branch" } };

static void
print_time(int64_t ms)
{
	time_t t = (time_t)(ms / 1000);
	struct tm tm;
	char text[64];

	if (ms == 0 || localtime_r(&t, &tm) == NULL || strftime(text, sizeof(text), "%Y-%m-%d %H:%M %Z", &tm) == 0)
		snprintf(text, sizeof(text), "-");
	printf("  %-22s", text);
}

static void
print_cron(const struct json_value *cron)
{
	int64_t last = json_int(json_get(cron, "last_build"), 0);

	printf("%-20s %-20s %-18s %-16s", json_string(json_get(cron, "name"), ""),
	    json_string(json_get(cron, "cron"), ""), json_string(json_get(cron, "timezone"), ""),
	    json_string(json_get(cron, "branch"), ""));
	print_time(json_int(json_get(cron, "next_ms"), 0));
	if (last != 0)
		printf("  %" PRId64, last);
	putchar('\n');
}

static void
print_head(void)
{
	printf("%-20s %-20s %-18s %-16s  %-22s  %s\n", "NAME", "CRON", "TIME ZONE", "BRANCH", "NEXT (local time)",
	    "LAST BUILD");
}

static int
list(struct client *client, int argc, char **argv)
{
	struct json *doc = NULL;
	const struct json_value *crons;
	struct err err;
	char *path;
	bool ok;

	if (argc != 1)
		return EXIT_USAGE;
	path = xasprintf("/api/v1/repos/%s/crons", argv[0]);
	ok = client_call(client, "GET", path, STR(""), &doc, &err);
	free(path);
	if (!ok)
		return client_fail(&err);
	print_head();
	crons = json_get(json_root(doc), "crons");
	for (size_t i = 0; i < json_count(crons); i++)
		print_cron(json_at(crons, i));
	json_free(&doc);
	return EXIT_OK;
}

static bool
write_option(struct json_writer *w, const char *option, const char *value)
{
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (strcmp(option, options[i][0]) == 0) {
			json_member_string(w, options[i][1], value);
			return true;
		}
	if (strcmp(option, "--param") == 0)
		return true;
	fprintf(stderr, "davit: repo cron add has no option %s\n", option);
	return false;
}

static char *
add_body(int argc, char **argv, size_t *len)
{
	struct json_writer *w = json_writer_new(BODY_MAX);
	bool ok = true;

	json_write_object_open(w);
	for (int i = 0; i + 1 < argc && ok; i += 2)
		ok = write_option(w, argv[i], argv[i + 1]);
	if (!ok || !params_write(w, "--param", "parameters", argc, argv)) {
		json_writer_free(&w);
		return NULL;
	}
	json_write_object_close(w);
	return json_writer_finish(&w, len);
}

static int
add(struct client *client, int argc, char **argv)
{
	struct json *doc = NULL;
	struct err err;
	size_t len;
	char *path, *body;
	bool ok;

	if (argc < 4 || argc % 2 != 0)
		return EXIT_USAGE;
	body = add_body(argc - 2, argv + 2, &len);
	if (body == NULL)
		return EXIT_USAGE;
	path = xasprintf("/api/v1/repos/%s/crons/%s", argv[0], argv[1]);
	ok = client_call(client, "PUT", path, (struct str){ body, len }, &doc, &err);
	free(path);
	free(body);
	if (!ok)
		return client_fail(&err);
	print_head();
	print_cron(json_root(doc));
	json_free(&doc);
	return EXIT_OK;
}

static int
remove_cron(struct client *client, int argc, char **argv)
{
	struct err err;
	char *path;
	bool ok;

	if (argc != 2)
		return EXIT_USAGE;
	path = xasprintf("/api/v1/repos/%s/crons/%s", argv[0], argv[1]);
	ok = client_call(client, "DELETE", path, STR(""), NULL, &err);
	free(path);
	return ok ? EXIT_OK : client_fail(&err);
}

int
cron_run(struct client *client, int argc, char **argv)
{
	if (argc > 0 && strcmp(argv[0], "ls") == 0)
		return list(client, argc - 1, argv + 1);
	if (argc > 0 && strcmp(argv[0], "add") == 0)
		return add(client, argc - 1, argv + 1);
	if (argc > 0 && strcmp(argv[0], "rm") == 0)
		return remove_cron(client, argc - 1, argv + 1);
	return EXIT_USAGE;
}
