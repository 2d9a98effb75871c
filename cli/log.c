#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/client.h"
#include "cli/command.h"
#include "proto/buf.h"
#include "proto/mem.h"

#define LINE_MAX_BYTES (1024 * 1024)

/* A live log, event by event (WHATWG HTML section 9.2, as far as the server uses it: event, id and one line of data).
 */
struct follow {
	struct buf line;
	char event[16];
	char id[24]; /* of the last event: where to go on after a cut */
	bool ended; /* the end was told */
	bool again; /* and was that of an attempt */
};

/* The data of a "log" event is a JSON string. */
static void
print_data(struct str data)
{
	struct json *doc = NULL;

	if (json_parse(data, NULL, &doc, NULL))
		fputs(json_string(json_root(doc), ""), stdout);
	json_free(&doc);
}

/* A job, or a build; only jobs are skipped. */
static bool
is_final(const struct json_value *v)
{
	static const char *const finals[] = { "passed", "failed", "cancelled", "timed_out", "error", "skipped" };
	const char *state = json_string(json_get(v, "state"), "");

	for (size_t i = 0; i < sizeof(finals) / sizeof(finals[0]); i++)
		if (strcmp(state, finals[i]) == 0)
			return true;
	return false;
}

/* The end of a log is the job's, or that of an attempt with another one to come. */
static void
take_end(struct follow *f, struct str data)
{
	struct json *doc = NULL;
	const struct json_value *job;

	f->ended = true;
	if (!json_parse(data, NULL, &doc, NULL))
		return;
	job = json_root(doc);
	f->again = !is_final(job);
	if (f->again)
		printf("job %s is run again: attempt %" PRId64 ", after: %s\n", json_string(json_get(job, "id"), ""),
		    json_int(json_get(job, "attempt"), 0), json_string(json_get(job, "reason"), ""));
	json_free(&doc);
}

static void
take_line(struct follow *f, struct str line)
{
	struct str rest = line;
	struct str field = str_cut(&rest, ':');
	struct str value = str_trim(rest);

	if (str_is(field, "event"))
		snprintf(f->event, sizeof(f->event), "%.*s", (int)value.len, value.p);
	else if (str_is(field, "id"))
		snprintf(f->id, sizeof(f->id), "%.*s", (int)value.len, value.p);
	else if (str_is(field, "data") && strcmp(f->event, "log") == 0)
		print_data(value);
	else if (str_is(field, "data") && strcmp(f->event, "end") == 0)
		take_end(f, value);
}

static bool
on_bytes(void *arg, struct str bytes)
{
	struct follow *f = arg;

	for (size_t i = 0; i < bytes.len; i++) {
		if (bytes.p[i] != '\n') {
			buf_addc(&f->line, bytes.p[i]);
			continue;
		}
		take_line(f, buf_str(&f->line));
		buf_reset(&f->line);
	}
	fflush(stdout);
	return !f->ended;
}

/* A connection that is cut goes on behind the last byte seen; three cuts without a byte in between end it. */
static bool
follow(struct client *client, const char *job, bool *again, struct err *err)
{
	struct follow f = { .event = "" };
	char *path = xasprintf("/api/v1/jobs/%s/log/stream", job);
	char before[sizeof(f.id)] = "";
	bool ok = false;

	buf_init(&f.line, LINE_MAX_BYTES);
	for (int cuts = 0; cuts < 3 && !f.ended; cuts++) {
		ok = client_stream(client, path, f.id, on_bytes, &f, err);
		if (strcmp(before, f.id) != 0)
			cuts = -1;
		memcpy(before, f.id, sizeof(before));
		if (!ok && err->code != ERR_IO && err->code != ERR_TIMEOUT)
			break;
	}
	buf_fini(&f.line);
	free(path);
	*again = f.again;
	return f.ended || (!ok ? false : err_set(err, ERR_UNAVAILABLE, 0, "the server ended the log's connection"));
}

/* A build that has jobs, or never will. */
static bool
is_planned(const struct json_value *build)
{
	return json_count(json_get(build, "jobs")) > 0 || is_final(build);
}

static int
print_end(const char *what, const char *id, const struct json_value *v)
{
	const char *state = json_string(json_get(v, "state"), "?");
	const char *reason = json_string(json_get(v, "reason"), "");

	printf("%s %s %s%s%s\n", what, id, state, reason[0] != '\0' ? ": " : "", reason);
	return strcmp(state, "passed") == 0 ? EXIT_OK : EXIT_PROBLEM;
}

static bool
print_bytes(void *arg, struct str bytes)
{
	(void)arg;
	fwrite(bytes.p, 1, bytes.len, stdout);
	return true;
}

static bool
print_stored(struct client *client, const char *job, struct err *err)
{
	char *path = xasprintf("/api/v1/jobs/%s/log", job);
	bool ok = client_stream(client, path, "", print_bytes, NULL, err);

	free(path);
	return ok;
}

static int
log_job(struct client *client, const char *job, bool live)
{
	struct json *doc = NULL;
	struct err err;
	char *path;
	bool ok, again = live;
	int status;

	if (!live)
		return print_stored(client, job, &err) ? EXIT_OK : client_fail(&err);
	while (again)
		if (!follow(client, job, &again, &err))
			return client_fail(&err);
	path = xasprintf("/api/v1/jobs/%s", job);
	ok = client_wait(client, path, is_final, &doc, &err);
	free(path);
	if (!ok)
		return client_fail(&err);
	status = print_end("job", job, json_root(doc));
	json_free(&doc);
	return status;
}

static int
log_build(struct client *client, const char *number, bool live)
{
	struct json *doc = NULL;
	const struct json_value *jobs;
	struct err err;
	char *path = xasprintf("/api/v1/builds/%s", number);
	int status = EXIT_OK;

	if (live ? !client_wait(client, path, is_planned, &doc, &err)
		 : !client_call(client, "GET", path, STR(""), &doc, &err)) {
		free(path);
		return client_fail(&err);
	}
	jobs = json_get(json_root(doc), "jobs");
	for (size_t i = 0; i < json_count(jobs); i++) {
		int one = log_job(client, json_string(json_get(json_at(jobs, i), "id"), ""), live);

		status = one != EXIT_OK ? one : status;
	}
	json_free(&doc);
	if (live && client_wait(client, path, is_final, &doc, &err)) {
		status = print_end("build", number, json_root(doc));
		json_free(&doc);
	}
	free(path);
	return status;
}

int
log_run(int argc, char **argv)
{
	bool live = argc > 1 && strcmp(argv[1], "-f") == 0;
	const char *id = argv[live ? 2 : 1];
	struct client *client;
	int status;

	if (argc != (live ? 3 : 2) || id[strspn(id, "0123456789.")] != '\0') {
		fprintf(stderr, "davit: log wants a build's number (17) or a job's (17.2)\n");
		return EXIT_USAGE;
	}
	if ((client = client_new()) == NULL)
		return EXIT_PROBLEM;
	status = strchr(id, '.') != NULL ? log_job(client, id, live) : log_build(client, id, live);
	client_free(&client);
	return status;
}
