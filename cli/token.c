/* `davit token`: who may do what. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/client.h"
#include "cli/command.h"
#include "proto/mem.h"

#define PATH "/api/v1/tokens"

static void
print_token(const struct json_value *token)
{
	time_t t = (time_t)(json_int(json_get(token, "created_ms"), 0) / 1000);
	struct tm tm;
	char made[32] = "-";

	if (localtime_r(&t, &tm) != NULL)
		strftime(made, sizeof(made), "%Y-%m-%d %H:%M", &tm);
	printf("%-20s %-8s %s by %s\n", json_string(json_get(token, "name"), ""),
	    json_string(json_get(token, "role"), ""), made, json_string(json_get(token, "created_by"), ""));
}

static int
list(void)
{
	struct json *doc = NULL;
	int code = client_ask("GET", PATH, STR(""), &doc);
	const struct json_value *tokens;

	if (code != EXIT_OK)
		return code;
	printf("%-20s %-8s %s\n", "NAME", "ROLE", "MADE");
	tokens = json_get(json_root(doc), "tokens");
	for (size_t i = 0; i < json_count(tokens); i++)
		print_token(json_at(tokens, i));
	json_free(&doc);
	return EXIT_OK;
}

/* What it prints is the token alone, so that it can go into a file. */
static int
add(const char *name, const char *role)
{
	char *path = xasprintf(PATH "/%s", name);
	struct json *doc = NULL;
	int code = client_ask_with("PUT", path, "role", role, &doc);

	if (code == EXIT_OK)
		puts(json_string(json_get(json_root(doc), "token"), ""));
	json_free(&doc);
	free(path);
	return code;
}

static int
remove_token(const char *name)
{
	char *path = xasprintf(PATH "/%s", name);
	int code = client_ask("DELETE", path, STR(""), NULL);

	free(path);
	return code;
}

int
token_run(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "ls") == 0)
		return list();
	if (argc == 5 && strcmp(argv[1], "add") == 0 && strcmp(argv[3], "--role") == 0)
		return add(argv[2], argv[4]);
	if (argc == 3 && strcmp(argv[1], "rm") == 0)
		return remove_token(argv[2]);
	return EXIT_USAGE;
}
