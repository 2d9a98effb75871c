#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/client.h"
#include "cli/command.h"
#include "cli/cron.h"
#include "proto/buf.h"
#include "proto/mem.h"
#include "proto/units.h"

#define SECRET_MAX 4096

/* What `repo add` and `repo set` take: an option's name, the API's field, and whether its value is read from a file. */
static const struct {
	const char *option;
	const char *field;
	bool is_file;
} options[] = {
	{ "--clone", "url", false },
	{ "--forge", "forge", false },
	{ "--name", "name", false },
	{ "--api", "api", false },
	{ "--web", "web", false },
	{ "--secret-file", "secret", true },
	{ "--token-file", "token", true },
	{ "--emails", "emails", false },
	{ "--events", "events", false },
	{ "--branches", "branches", false },
	{ "--tags", "tags", false },
	{ "--pulls", "pulls", false },
	{ "--forks", "forks", false },
};

static bool
read_line(const char *path, char line[SECRET_MAX])
{
	FILE *file = fopen(path, "re");
	bool ok;

	if (file == NULL) {
		fprintf(stderr, "davit: %s\n", err_errno("%s", path).text);
		return false;
	}
	ok = fgets(line, SECRET_MAX, file) != NULL;
	fclose(file);
	if (ok)
		line[strcspn(line, "\r\n")] = '\0';
	else
		fprintf(stderr, "davit: %s is empty\n", path);
	return ok;
}

static bool
write_option(struct json_writer *w, const char *option, const char *value)
{
	char line[SECRET_MAX];
	uint64_t n;

	if (strcmp(option, "--statuses") == 0) {
		json_member_bool(w, "statuses", strcmp(value, "on") == 0);
		return true;
	}
	if (strcmp(option, "--approval") == 0 && units_duration(str_of(value), 365 * 24 * 3600, &n)) {
		json_member_int(w, "approval_s", (int64_t)n);
		return true;
	}
	if (strcmp(option, "--priority") == 0 && str_to_u64(str_of(value), 7, &n)) {
		json_member_int(w, "priority", (int64_t)n);
		return true;
	}
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		if (strcmp(option, options[i].option) != 0)
			continue;
		if (options[i].is_file && !read_line(value, line))
			return false;
		json_member_string(w, options[i].field, options[i].is_file ? line : value);
		return true;
	}
	fprintf(stderr, "davit: a repository has no option %s with the value %s\n", option, value);
	return false;
}

/* id NULL: the path names it. */
static char *
write_body(const char *id, int argc, char **argv, size_t *len)
{
	struct json_writer *w = json_writer_new(64 * 1024);

	json_write_object_open(w);
	if (id != NULL)
		json_member_string(w, "id", id);
	for (int i = 0; i + 1 < argc; i += 2)
		if (!write_option(w, argv[i], argv[i + 1])) {
			json_writer_free(&w);
			return NULL;
		}
	json_write_object_close(w);
	return json_writer_finish(&w, len);
}

static void
print_repo(const struct json_value *repo)
{
	static const char *const fields[][2] = {
		{ "id", "repository" },
		{ "url", "clone URL" },
		{ "forge", "forge" },
		{ "api", "API" },
		{ "emails", "e-mails" },
		{ "events", "events" },
		{ "branches", "branches" },
		{ "tags", "tags" },
		{ "pulls", "pull requests" },
		{ "forks", "forks" },
		{ "webhook", "webhook URL" },
		{ "secret", "webhook secret" },
	};

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		const char *value = json_string(json_get(repo, fields[i][0]), "");

		if (value[0] != '\0')
			printf("%-15s %s\n", fields[i][1], value);
	}
}

static int
add(struct client *client, int argc, char **argv)
{
	struct json *doc = NULL;
	struct err err;
	size_t len;
	char *body;
	bool ok;

	if (argc < 3 || argc % 2 == 0)
		return EXIT_USAGE;
	body = write_body(argv[0], argc - 1, argv + 1, &len);
	if (body == NULL)
		return EXIT_USAGE;
	ok = client_call(client, "POST", "/api/v1/repos", (struct str){ body, len }, &doc, &err);
	free(body);
	if (!ok)
		return client_fail(&err);
	print_repo(json_root(doc));
	json_free(&doc);
	return EXIT_OK;
}

static int
set(struct client *client, int argc, char **argv)
{
	struct json *doc = NULL;
	struct err err;
	size_t len;
	char *body, *path;
	bool ok;

	if (argc < 3 || argc % 2 == 0)
		return EXIT_USAGE;
	body = write_body(NULL, argc - 1, argv + 1, &len);
	if (body == NULL)
		return EXIT_USAGE;
	path = xasprintf("/api/v1/repos/%s", argv[0]);
	ok = client_call(client, "PATCH", path, (struct str){ body, len }, &doc, &err);
	free(path);
	free(body);
	if (!ok)
		return client_fail(&err);
	print_repo(json_root(doc));
	json_free(&doc);
	return EXIT_OK;
}

static int
list(struct client *client, int argc, char **argv)
{
	struct json *doc = NULL;
	const struct json_value *repos;
	struct err err;

	(void)argv;
	if (argc != 0)
		return EXIT_USAGE;
	if (!client_call(client, "GET", "/api/v1/repos", STR(""), &doc, &err))
		return client_fail(&err);
	repos = json_get(json_root(doc), "repos");
	for (size_t i = 0; i < json_count(repos); i++)
		printf("%-24s %-8s %s\n", json_string(json_get(json_at(repos, i), "id"), ""),
		    json_string(json_get(json_at(repos, i), "forge"), ""),
		    json_string(json_get(json_at(repos, i), "url"), ""));
	json_free(&doc);
	return EXIT_OK;
}

static int
one(struct client *client, const char *method, int argc, char **argv)
{
	struct json *doc = NULL;
	struct err err;
	char *path;
	bool ok;

	if (argc != 1)
		return EXIT_USAGE;
	path = xasprintf("/api/v1/repos/%s", argv[0]);
	ok = client_call(client, method, path, STR(""), strcmp(method, "GET") == 0 ? &doc : NULL, &err);
	free(path);
	if (!ok)
		return client_fail(&err);
	if (doc != NULL)
		print_repo(json_root(doc));
	json_free(&doc);
	return EXIT_OK;
}

static int
show(struct client *client, int argc, char **argv)
{
	return one(client, "GET", argc, argv);
}

static int
remove_repo(struct client *client, int argc, char **argv)
{
	return one(client, "DELETE", argc, argv);
}

int
repo_run(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(struct client *client, int argc, char **argv);
	} verbs[] = { { "add", add }, { "set", set }, { "cron", cron_run }, { "list", list }, { "show", show },
		{ "remove", remove_repo } };
	struct client *client;
	int status = EXIT_USAGE;

	if (argc < 2)
		return EXIT_USAGE;
	if ((client = client_new()) == NULL)
		return EXIT_PROBLEM;
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(argv[1], verbs[i].name) == 0)
			status = verbs[i].run(client, argc - 2, argv + 2);
	client_free(&client);
	return status;
}
