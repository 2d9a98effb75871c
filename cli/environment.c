/* `davit environment`, `davit deployments`, `davit deploy`, `davit rollback`: where a repository is deployed to. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/client.h"
#include "cli/command.h"
#include "cli/file.h"
#include "cli/params.h"
#include "proto/mem.h"

#define BODY_MAX (1024 * 1024)

/* An option's name, and the API's field. */
static const char *const options[][2] = { { "--kind", "kind" }, { "--engine", "engine" }, { "--image", "image" },
	{ "--command", "command" }, { "--events", "events" }, { "--branches", "branches" }, { "--tags", "tags" },
	{ "--deployers", "deployers" }, { "--watch", "watch" } };

/* One request about REPO's environment NAME ("": all of them), VERB "" or "/lock" and such. */
static int
ask(const char *method, char **place, const char *verb, struct str body, struct json **ret)
{
	char *path = xasprintf("/api/v1/repos/%s/environments%s%s%s", place[0], place[1] != NULL ? "/" : "",
	    place[1] != NULL ? place[1] : "", verb);
	int code = client_ask(method, path, body, ret);

	free(path);
	return code;
}

/* --- looking --- */

static void
print_environment(const struct json_value *e)
{
	const struct json_value *now = json_get(e, "deployment");
	const char *locked_by = json_string(json_get(e, "locked_by"), "");

	printf("%-20s %-8s ", json_string(json_get(e, "name"), ""),
	    json_bool(json_get(e, "approve"), false) ? "approve" : "-");
	if (now == NULL)
		printf("%-8s %-20s %-8s  ", "-", "-", "-");
	else
		printf("%-8" PRId64 " %-20.40s %.8s  ", json_int(json_get(now, "build"), 0),
		    json_string(json_get(now, "ref"), ""), json_string(json_get(now, "commit"), ""));
	if (locked_by[0] != '\0')
		printf("locked by %s: %s", locked_by, json_string(json_get(e, "lock_reason"), ""));
	putchar('\n');
}

static int
list(int argc, char **argv)
{
	char *place[] = { argv[0], NULL };
	const struct json_value *environments;
	struct json *doc = NULL;
	int status;

	if (argc != 1)
		return EXIT_USAGE;
	status = ask("GET", place, "", STR(""), &doc);
	if (status == EXIT_OK)
		printf("%-20s %-8s %-8s %-20s %-8s\n", "ENVIRONMENT", "WAITS", "BUILD", "REF", "COMMIT");
	environments = status == EXIT_OK ? json_get(json_root(doc), "environments") : NULL;
	for (size_t i = 0; i < json_count(environments); i++)
		print_environment(json_at(environments, i));
	json_free(&doc);
	return status;
}

/* Its settings, those that are not set left out. */
static void
print_settings(const struct json_value *e)
{
	const struct json_value *variables = json_get(e, "variables");

	printf("environment %s of %s\n", json_string(json_get(e, "name"), ""), json_string(json_get(e, "repo"), ""));
	printf("  approve: %s\n", json_bool(json_get(e, "approve"), false) ? "on" : "off");
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		const char *value = json_string(json_get(e, options[i][1]), "");

		if (value[0] != '\0')
			printf("  %s: %s\n", options[i][1], value);
	}
	for (size_t i = 0; i < 2; i++) {
		const char *found = json_string(json_get(e, i == 0 ? "watch_digest" : "watch_error"), "");

		if (found[0] != '\0')
			printf("  watch: %s%s\n", i == 0 ? "at " : "", found);
	}
	for (size_t i = 0; i < json_count(variables); i++)
		printf("  variable: %s=%s\n", json_key_at(variables, i), json_string(json_at(variables, i), ""));
}

static int
show(int argc, char **argv)
{
	struct json *doc = NULL;
	int status;

	if (argc != 2)
		return EXIT_USAGE;
	status = ask("GET", argv, "", STR(""), &doc);
	if (status == EXIT_OK)
		print_settings(json_root(doc));
	json_free(&doc);
	return status;
}

/* --- changing --- */

static bool
write_file(struct json_writer *w, const char *path)
{
	char *text;
	size_t len;

	if (!file_read(path, &text, &len))
		return false;
	json_write_key(w, "command");
	json_write_str(w, (struct str){ text, len });
	free(text);
	return true;
}

static bool
write_option(struct json_writer *w, const char *option, const char *value)
{
	if (strcmp(option, "--variable") == 0)
		return true; /* params_write() has them all */
	if (strcmp(option, "--command-file") == 0)
		return write_file(w, value);
	if (strcmp(option, "--approve") == 0 && (strcmp(value, "on") == 0 || strcmp(value, "off") == 0)) {
		json_member_bool(w, "approve", strcmp(value, "on") == 0);
		return true;
	}
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (strcmp(option, options[i][0]) == 0) {
			json_member_string(w, options[i][1], value);
			return true;
		}
	fprintf(stderr, "davit: an environment has no option %s with the value %s\n", option, value);
	return false;
}

static char *
write_body(int argc, char **argv, size_t *len)
{
	struct json_writer *w = json_writer_new(BODY_MAX);
	bool ok = true;

	json_write_object_open(w);
	for (int i = 0; i + 1 < argc && ok; i += 2)
		ok = write_option(w, argv[i], argv[i + 1]);
	if (!ok || !params_write(w, "--variable", "variables", argc, argv)) {
		json_writer_free(&w);
		return NULL;
	}
	json_write_object_close(w);
	return json_writer_finish(&w, len);
}

static int
set(int argc, char **argv)
{
	char *place[] = { argv[0], argv[1] }, *body;
	struct json *doc = NULL;
	size_t len;
	int status;

	if (argc < 2 || argc % 2 != 0 || (body = write_body(argc - 2, argv + 2, &len)) == NULL)
		return EXIT_USAGE;
	status = ask("PUT", place, "", (struct str){ body, len }, &doc);
	free(body);
	if (status == EXIT_OK)
		print_settings(json_root(doc));
	json_free(&doc);
	return status;
}

static int
remove_it(int argc, char **argv)
{
	return argc == 2 ? ask("DELETE", argv, "", STR(""), NULL) : EXIT_USAGE;
}

static int
lock(int argc, char **argv)
{
	struct json_writer *w;
	char *body;
	size_t len;
	int status;

	if (argc != 2 && argc != 3)
		return EXIT_USAGE;
	w = json_writer_new(BODY_MAX);
	json_write_object_open(w);
	json_member_string(w, "reason", argc == 3 ? argv[2] : "");
	json_write_object_close(w);
	body = json_writer_finish(&w, &len);
	status = ask("POST", argv, "/lock", (struct str){ body, len }, NULL);
	free(body);
	return status;
}

static int
unlock(int argc, char **argv)
{
	return argc == 2 ? ask("POST", argv, "/unlock", STR(""), NULL) : EXIT_USAGE;
}

int
environment_run(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(int argc, char **argv);
	} verbs[] = { { "ls", list }, { "show", show }, { "set", set }, { "rm", remove_it }, { "lock", lock },
		{ "unlock", unlock } };

	for (size_t i = 0; argc > 1 && i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(argv[1], verbs[i].name) == 0)
			return verbs[i].run(argc - 2, argv + 2);
	return EXIT_USAGE;
}

/* --- deployments --- */

/* Of the first image: enough of it to tell it from others. */
static void
print_digest(const struct json_value *d)
{
	const char *reference = json_string(json_get(json_at(json_get(d, "images"), 0), "reference"), "");
	const char *digest = strstr(reference, "sha256:");

	if (digest != NULL)
		printf(" %.19s", digest);
}

static void
print_deployment(const struct json_value *d)
{
	time_t t = (time_t)(json_int(json_get(d, "created_ms"), 0) / 1000);
	const char *approved_by = json_string(json_get(d, "approved_by"), "");
	char when[32] = "-";
	struct tm tm;

	if (localtime_r(&t, &tm) != NULL)
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M", &tm);
	printf("%-6" PRId64 " %-10s %-8s %-16s %.8s  %-16s %s", json_int(json_get(d, "deployment"), 0),
	    json_string(json_get(d, "state"), ""), json_string(json_get(d, "job"), ""), when,
	    json_string(json_get(d, "commit"), ""), json_string(json_get(d, "person"), ""),
	    json_string(json_get(d, "image"), ""));
	print_digest(d);
	if (json_int(json_get(d, "redeploys"), 0) != 0)
		printf("  again %" PRId64, json_int(json_get(d, "redeploys"), 0));
	if (approved_by[0] != '\0')
		printf("  approved by %s", approved_by);
	if (json_string(json_get(d, "reason"), "")[0] != '\0')
		printf("  %s", json_string(json_get(d, "reason"), ""));
	putchar('\n');
}

int
deployments_run(int argc, char **argv)
{
	const struct json_value *deployments;
	struct json *doc = NULL;
	int status;

	if (argc != 3)
		return EXIT_USAGE;
	status = ask("GET", argv + 1, "/deployments", STR(""), &doc);
	if (status == EXIT_OK)
		printf("%-6s %-10s %-8s %-16s %-8s  %-16s %s\n", "NUMBER", "STATE", "JOB", "WHEN", "COMMIT", "BY",
		    "IMAGE");
	deployments = status == EXIT_OK ? json_get(json_root(doc), "deployments") : NULL;
	for (size_t i = 0; i < json_count(deployments); i++)
		print_deployment(json_at(deployments, i));
	json_free(&doc);
	return status;
}

static int
print_build(int status, struct json **doc)
{
	if (status == EXIT_OK)
		printf("build %" PRId64 "\n", json_int(json_get(json_root(*doc), "build"), 0));
	json_free(doc);
	return status;
}

int
rollback_run(int argc, char **argv)
{
	struct json *doc = NULL;

	return argc == 3 ? print_build(ask("POST", argv + 1, "/rollback", STR(""), &doc), &doc) : EXIT_USAGE;
}

int
deploy_run(int argc, char **argv)
{
	struct json_writer *w;
	struct json *doc = NULL;
	struct client *client;
	struct err err;
	char *path, *body;
	size_t len;
	bool ok;

	if (argc != 3)
		return EXIT_USAGE;
	if ((client = client_new()) == NULL)
		return EXIT_PROBLEM;
	w = json_writer_new(BODY_MAX);
	json_write_object_open(w);
	json_member_string(w, "environment", argv[2]);
	json_write_object_close(w);
	body = json_writer_finish(&w, &len);
	path = xasprintf("/api/v1/builds/%s/deploy", argv[1]);
	ok = client_call(client, "POST", path, (struct str){ body, len }, &doc, &err);
	free(path);
	free(body);
	client_free(&client);
	return print_build(ok ? EXIT_OK : client_fail(&err), &doc);
}
