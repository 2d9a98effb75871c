#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/client.h"
#include "cli/command.h"
#include "cli/params.h"
#include "proto/mem.h"

#define BODY_MAX (1024 * 1024)

/* The options that are a member of the request's body each. */
static const char *const options[][2] = { { "--branch", "branch" }, { "--tag", "tag" }, { "--ref", "ref" },
	{ "--commit", "commit" }, { "--title", "title" } };

static bool
write_option(struct json_writer *w, const char *option, const char *value)
{
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (strcmp(option, options[i][0]) == 0) {
			json_member_string(w, options[i][1], value);
			return true;
		}
	if (strcmp(option, "--param") == 0)
		return true; /* params_write() has them all */
	fprintf(stderr, "davit: start has no option %s\n", option);
	return false;
}

static char *
start_body(int argc, char **argv, size_t *len)
{
	struct json_writer *w = json_writer_new(BODY_MAX);
	bool ok = true;

	json_write_object_open(w);
	json_member_string(w, "event", "manual");
	for (int i = 0; i + 1 < argc && ok; i += 2)
		ok = write_option(w, argv[i], argv[i + 1]);
	ok = ok && params_write(w, "--param", "parameters", argc, argv);
	if (!ok) {
		json_writer_free(&w);
		return NULL;
	}
	json_write_object_close(w);
	return json_writer_finish(&w, len);
}

static void
print_parameter(const struct json_value *parameter)
{
	const struct json_value *choices = json_get(parameter, "options");
	const char *value = json_string(json_get(parameter, "default"), "");
	const char *words = json_string(json_get(parameter, "description"), "");
	bool required = json_bool(json_get(parameter, "required"), false);

	printf("  %s%s%s%s%s%s", json_string(json_get(parameter, "name"), ""), value[0] != '\0' ? "=" : "", value,
	    required ? " (required)" : "", words[0] != '\0' ? ": " : "", words);
	for (size_t i = 0; i < json_count(choices); i++)
		printf("%s%s", i == 0 ? " [" : ", ", json_string(json_at(choices, i), ""));
	puts(json_count(choices) > 0 ? "]" : "");
}

static void
print_parameters(const char *repo, const struct json_value *parameters)
{
	if (json_count(parameters) == 0)
		printf("The pipeline of %s, as it was planned last, has no parameters.\n", repo);
	else
		printf("Parameters of %s, of the pipeline that was planned last, with their defaults:\n", repo);
	for (size_t i = 0; i < json_count(parameters); i++)
		print_parameter(json_at(parameters, i));
}

/* start REPO --help: what may be chosen. */
static int
help(const char *repo)
{
	struct client *client = client_new();
	struct json *doc = NULL;
	struct err err;
	char *path;
	bool ok;

	if (client == NULL)
		return EXIT_PROBLEM;
	path = xasprintf("/api/v1/repos/%s", repo);
	ok = client_call(client, "GET", path, STR(""), &doc, &err);
	free(path);
	client_free(&client);
	if (!ok)
		return client_fail(&err);
	print_parameters(repo, json_get(json_root(doc), "parameters"));
	json_free(&doc);
	return EXIT_OK;
}

/* start REPO [--branch B | --tag T] [--commit C] [--param NAME=VALUE] ... */
int
start_run(int argc, char **argv)
{
	struct client *client;
	struct json *doc = NULL;
	struct err err;
	size_t len;
	char *body, *path;
	bool ok;

	if (argc == 3 && strcmp(argv[2], "--help") == 0)
		return help(argv[1]);
	if (argc < 2 || argc % 2 != 0)
		return EXIT_USAGE;
	body = start_body(argc - 2, argv + 2, &len);
	if (body == NULL)
		return EXIT_USAGE;
	if ((client = client_new()) == NULL) {
		free(body);
		return EXIT_PROBLEM;
	}
	path = xasprintf("/api/v1/repos/%s/builds", argv[1]);
	ok = client_call(client, "POST", path, (struct str){ body, len }, &doc, &err);
	free(path);
	free(body);
	client_free(&client);
	if (!ok)
		return client_fail(&err);
	printf("build %" PRId64 "\n", json_int(json_get(json_root(doc), "build"), 0));
	json_free(&doc);
	return EXIT_OK;
}
