/* `davit mirror fetch`: what the server's mirror is to have before anybody asks for it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "cli/client.h"
#include "cli/command.h"
#include "cli/mirror.h"
#include "proto/mem.h"

#define BODY_MAX (1024 * 1024)
#define PAUSE_MS 200

enum { LINE_SIZE = 4096 };

struct names {
	struct json_writer *writer;
	size_t count;
};

static void
add_name(struct names *names, const char *name)
{
	json_write_string(names->writer, name);
	names->count++;
}

/* A name in each line; what is empty, or begins with #, is none. */
static bool
add_file(struct names *names, const char *path)
{
	FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	char line[LINE_SIZE];

	if (file == NULL) {
		perror(path);
		return false;
	}
	while (fgets(line, sizeof(line), file) != NULL) {
		line[strcspn(line, "\r\n")] = '\0';
		if (line[0] != '\0' && line[0] != '#')
			add_name(names, line);
	}
	if (file != stdin)
		fclose(file);
	return true;
}

/* As images have this machine's. */
static void
print_own_platform(char *ret, size_t size)
{
	static const char *const names[][2] = { { "x86_64", "amd64" }, { "aarch64", "arm64" }, { "armv7l", "arm/v7" } };
	struct utsname system;

	uname(&system);
	snprintf(ret, size, "linux/%.60s", system.machine);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(system.machine, names[i][0]) == 0)
			snprintf(ret, size, "linux/%s", names[i][1]);
}

/* "all" is none that counts. */
static void
write_platforms(struct json_writer *w, int argc, char **argv)
{
	char own[80];
	bool is_said = false, is_all = false;

	for (int i = 1; i + 1 < argc; i++)
		if (strcmp(argv[i], "--platform") == 0) {
			is_said = true;
			is_all = is_all || strcmp(argv[i + 1], "all") == 0;
		}
	json_write_key(w, "platforms");
	json_write_array_open(w);
	for (int i = 1; i + 1 < argc && !is_all; i++)
		if (strcmp(argv[i], "--platform") == 0)
			json_write_string(w, argv[i + 1]);
	if (!is_said) {
		print_own_platform(own, sizeof(own));
		json_write_string(w, own);
	}
	json_write_array_close(w);
}

static bool
write_names(struct names *names, int argc, char **argv)
{
	bool ok = true;

	json_write_key(names->writer, "names");
	json_write_array_open(names->writer);
	for (int i = 1; i < argc && ok; i++) {
		bool is_option = strncmp(argv[i], "--", 2) == 0;

		if (!is_option)
			add_name(names, argv[i]);
		else if (i + 1 < argc && strcmp(argv[i], "--file") == 0)
			ok = add_file(names, argv[++i]);
		else if (i + 1 < argc && strcmp(argv[i], "--platform") == 0)
			i++;
		else
			names->count = 0, ok = false;
	}
	json_write_array_close(names->writer);
	return ok;
}

static void
print_end(const struct json_value *progress)
{
	const struct json_value *errors = json_get(progress, "errors");
	int64_t failed = json_int(json_get(progress, "failed"), 0);

	for (size_t i = 0; i < json_count(errors); i++)
		fprintf(stderr, "davit: %s\n", json_string(json_at(errors, i), ""));
	if (failed > (int64_t)json_count(errors))
		fprintf(stderr, "davit: and %" PRId64 " more have failed\n", failed - (int64_t)json_count(errors));
}

/* A line when a tenth more is there. */
static void
print_progress(const struct json_value *progress, int64_t *said)
{
	int64_t done = json_int(json_get(progress, "done"), 0), total = json_int(json_get(progress, "total"), 0);
	int64_t tenth = total > 0 ? done * 10 / total : 10;
	char bytes[32];

	if (tenth <= *said)
		return;
	*said = tenth;
	printf("%" PRId64 " of %" PRId64 ", %s\n", done, total,
	    mirror_bytes(json_int(json_get(progress, "bytes"), 0), bytes));
	fflush(stdout);
}

static int
follow(struct client *client, int64_t id)
{
	const struct timespec pause = { 0, PAUSE_MS * 1000000L };
	char path[64];
	int64_t said = 0, failed = 0;
	bool is_over = false;
	struct err err;

	snprintf(path, sizeof(path), "/api/v1/mirror/fetch/%" PRId64, id);
	while (!is_over) {
		struct json *doc = NULL;
		const struct json_value *progress;

		if (!client_call(client, "GET", path, STR(""), &doc, &err))
			return client_fail(&err);
		progress = json_root(doc);
		failed = json_int(json_get(progress, "failed"), 0);
		is_over = json_int(json_get(progress, "done"), 0) == json_int(json_get(progress, "total"), 0);
		print_progress(progress, &said);
		if (is_over)
			print_end(progress);
		else
			nanosleep(&pause, NULL);
		json_free(&doc);
	}
	return failed == 0 ? EXIT_OK : EXIT_PROBLEM;
}

static int
fetch(struct str body)
{
	struct client *client = client_new();
	struct json *doc = NULL;
	struct err err;
	int code;

	if (client == NULL)
		return EXIT_PROBLEM;
	if (client_call(client, "POST", "/api/v1/mirror/fetch", body, &doc, &err))
		code = follow(client, json_int(json_get(json_root(doc), "id"), 0));
	else
		code = client_fail(&err);
	json_free(&doc);
	client_free(&client);
	return code;
}

int
mirror_fetch_run(int argc, char **argv)
{
	struct names names = { .writer = json_writer_new(BODY_MAX) };
	char *body;
	size_t len;
	bool ok;
	int code;

	json_write_object_open(names.writer);
	write_platforms(names.writer, argc, argv);
	ok = write_names(&names, argc, argv);
	if (!ok || names.count == 0) {
		json_writer_free(&names.writer);
		return ok || names.count == 0 ? EXIT_USAGE : EXIT_PROBLEM;
	}
	json_write_object_close(names.writer);
	body = json_writer_finish(&names.writer, &len);
	if (body == NULL) {
		fprintf(stderr, "davit: the names are more than %d bytes\n", BODY_MAX);
		return EXIT_PROBLEM;
	}
	code = fetch((struct str){ body, len });
	free(body);
	return code;
}
