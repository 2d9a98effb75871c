#include "server/store/fields.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"
#include "server/io/redis.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* clang-format off */
/* The first is the id, the last five are kept by the scripts: see repo_settings_record. */
static const struct field repo_fields[] = {
	{ "id",          FIELD_TEXT, offsetof(struct repo, id) },
	{ "name",        FIELD_TEXT, offsetof(struct repo, name) },
	{ "url",         FIELD_TEXT, offsetof(struct repo, url) },
	{ "forge",       FIELD_TEXT, offsetof(struct repo, forge) },
	{ "api",         FIELD_TEXT, offsetof(struct repo, api) },
	{ "web",         FIELD_TEXT, offsetof(struct repo, web) },
	{ "secret",      FIELD_TEXT, offsetof(struct repo, secret) },
	{ "token",       FIELD_TEXT, offsetof(struct repo, token) },
	{ "emails",      FIELD_TEXT, offsetof(struct repo, emails) },
	{ "statuses",    FIELD_BOOL, offsetof(struct repo, statuses) },
	{ "events",      FIELD_TEXT, offsetof(struct repo, events) },
	{ "branches",    FIELD_TEXT, offsetof(struct repo, branches) },
	{ "tags",        FIELD_TEXT, offsetof(struct repo, tags) },
	{ "pulls",       FIELD_TEXT, offsetof(struct repo, pulls) },
	{ "forks",       FIELD_TEXT, offsetof(struct repo, forks) },
	{ "approval_s",  FIELD_INT,  offsetof(struct repo, approval_s) },
	{ "max_running", FIELD_INT,  offsetof(struct repo, max_running) },
	{ "weight",      FIELD_INT,  offsetof(struct repo, weight) },
	{ "priority",    FIELD_INT,  offsetof(struct repo, priority) },
	{ "running",     FIELD_INT,  offsetof(struct repo, running) },
	{ "created_ms",  FIELD_INT,  offsetof(struct repo, created_ms) },
	{ "parameters",  FIELD_TEXT, offsetof(struct repo, parameters) },
	{ "poll_error",  FIELD_TEXT, offsetof(struct repo, poll_error) },
	{ "first_image", FIELD_INT,  offsetof(struct repo, first_image) },
};

static const struct field job_fields[] = {
	{ "job",         FIELD_TEXT, offsetof(struct job, id) },
	{ "build",       FIELD_INT,  offsetof(struct job, build) },
	{ "repo",        FIELD_TEXT, offsetof(struct job, repo) },
	{ "name",        FIELD_TEXT, offsetof(struct job, name) },
	{ "state",       FIELD_JOB_STATE, offsetof(struct job, state) },
	{ "attempt",     FIELD_INT,  offsetof(struct job, attempt) },
	{ "history",     FIELD_TEXT, offsetof(struct job, history) },
	{ "image",       FIELD_TEXT, offsetof(struct job, image) },
	{ "spec",        FIELD_TEXT, offsetof(struct job, spec) },
	{ "needs",       FIELD_TEXT, offsetof(struct job, needs) },
	{ "run_on",      FIELD_TEXT, offsetof(struct job, run_on) },
	{ "allow_failure", FIELD_BOOL, offsetof(struct job, allow_failure) },
	{ "labels",      FIELD_TEXT, offsetof(struct job, labels) },
	{ "group",       FIELD_TEXT, offsetof(struct job, group) },
	{ "reused_from", FIELD_TEXT, offsetof(struct job, reused_from) },
	{ "priority",    FIELD_INT,  offsetof(struct job, priority) },
	{ "waits_for",   FIELD_TEXT, offsetof(struct job, waits_for) },
	{ "node",        FIELD_TEXT, offsetof(struct job, node) },
	{ "engine",      FIELD_TEXT, offsetof(struct job, engine) },
	{ "container",   FIELD_TEXT, offsetof(struct job, container) },
	{ "progress",    FIELD_TEXT, offsetof(struct job, progress) },
	{ "token",       FIELD_TEXT, offsetof(struct job, token) },
	{ "exit_code",   FIELD_INT,  offsetof(struct job, exit_code) },
	{ "reason",      FIELD_TEXT, offsetof(struct job, reason) },
	{ "cancel",      FIELD_BOOL, offsetof(struct job, cancel) },
	{ "verdict",     FIELD_JOB_STATE, offsetof(struct job, verdict) },
	{ "verdict_exit", FIELD_INT, offsetof(struct job, verdict_exit) },
	{ "verdict_reason", FIELD_TEXT, offsetof(struct job, verdict_reason) },
	{ "queued_ms",   FIELD_INT,  offsetof(struct job, queued_ms) },
	{ "started_ms",  FIELD_INT,  offsetof(struct job, started_ms) },
	{ "finished_ms", FIELD_INT,  offsetof(struct job, finished_ms) },
	{ "log_bytes",   FIELD_INT,  offsetof(struct job, log_bytes) },
	{ "built",       FIELD_TEXT, offsetof(struct job, built) },
	{ "built_on",    FIELD_TEXT, offsetof(struct job, built_on) },
	{ "images",      FIELD_TEXT, offsetof(struct job, images) },
	{ "kind",        FIELD_TEXT, offsetof(struct job, kind) },
	{ "deployment",  FIELD_INT,  offsetof(struct job, deployment) },
	{ "environment", FIELD_TEXT, offsetof(struct job, environment) },
	{ "needed_images", FIELD_TEXT, offsetof(struct job, needed_images) },
};

static const struct field build_fields[] = {
	{ "build",       FIELD_INT,  offsetof(struct build, build) },
	{ "repo",        FIELD_TEXT, offsetof(struct build, repo) },
	{ "change",      FIELD_INT,  offsetof(struct build, change_id) },
	{ "state",       FIELD_BUILD_STATE, offsetof(struct build, state) },
	{ "reason",      FIELD_TEXT, offsetof(struct build, reason) },
	{ "ref",         FIELD_TEXT, offsetof(struct build, ref) },
	{ "branch",      FIELD_TEXT, offsetof(struct build, branch) },
	{ "commit",      FIELD_TEXT, offsetof(struct build, commit) },
	{ "title",       FIELD_TEXT, offsetof(struct build, title) },
	{ "author",      FIELD_TEXT, offsetof(struct build, author) },
	{ "event",       FIELD_TEXT, offsetof(struct build, event) },
	{ "created_ms",  FIELD_INT,  offsetof(struct build, created_ms) },
	{ "commit_ms",   FIELD_INT,  offsetof(struct build, commit_ms) },
	{ "planned_ms",  FIELD_INT,  offsetof(struct build, planned_ms) },
	{ "started_ms",  FIELD_INT,  offsetof(struct build, started_ms) },
	{ "finished_ms", FIELD_INT,  offsetof(struct build, finished_ms) },
	{ "jobs",        FIELD_INT,  offsetof(struct build, job_total) },
	{ "jobs_left",   FIELD_INT,  offsetof(struct build, jobs_left) },
	{ "cancel",      FIELD_BOOL, offsetof(struct build, cancel) },
	{ "notify",      FIELD_TEXT, offsetof(struct build, notify) },
	{ "warnings",    FIELD_TEXT, offsetof(struct build, warnings) },
	{ "previous",    FIELD_TEXT, offsetof(struct build, previous) },
	{ "tests",       FIELD_INT,  offsetof(struct build, tests) },
	{ "tests_failed", FIELD_INT, offsetof(struct build, tests_failed) },
	{ "coverage",    FIELD_TEXT, offsetof(struct build, coverage) },
	{ "coverage_before", FIELD_TEXT, offsetof(struct build, coverage_before) },
	{ "rerun_of",    FIELD_INT,  offsetof(struct build, rerun_of) },
	{ "base",        FIELD_TEXT, offsetof(struct build, base) },
	{ "built",       FIELD_TEXT, offsetof(struct build, built) },
	{ "approved_by", FIELD_TEXT, offsetof(struct build, approved_by) },
	{ "rerun_jobs",  FIELD_TEXT, offsetof(struct build, rerun_jobs) },
	{ "attempt",     FIELD_INT,  offsetof(struct build, attempt) },
	{ "node",        FIELD_TEXT, offsetof(struct build, node) },
	{ "token",       FIELD_TEXT, offsetof(struct build, token) },
};

static const struct field change_fields[] = {
	{ "event",        FIELD_EVENT, offsetof(struct change, event) },
	{ "trust",        FIELD_TRUST, offsetof(struct change, trust) },
	{ "ref",          FIELD_TEXT,  offsetof(struct change, ref) },
	{ "branch",       FIELD_TEXT,  offsetof(struct change, branch) },
	{ "commit",       FIELD_TEXT,  offsetof(struct change, commit) },
	{ "before",       FIELD_TEXT,  offsetof(struct change, before) },
	{ "title",        FIELD_TEXT,  offsetof(struct change, title) },
	{ "message",      FIELD_TEXT,  offsetof(struct change, message) },
	{ "author_name",  FIELD_TEXT,  offsetof(struct change, author_name) },
	{ "author_email", FIELD_TEXT,  offsetof(struct change, author_email) },
	{ "sender",       FIELD_TEXT,  offsetof(struct change, sender) },
	{ "web_url",      FIELD_TEXT,  offsetof(struct change, web_url) },
	{ "fetch_url",    FIELD_TEXT,  offsetof(struct change, fetch_url) },
	{ "params",       FIELD_TEXT,  offsetof(struct change, params) },
	{ "pull_number",  FIELD_INT,   offsetof(struct change, pull_number) },
};

/* The last two are kept by the scripts. */
/* The first and the last are the store's. */
static const struct field access_token_fields[] = {
	{ "name",       FIELD_TEXT, offsetof(struct access_token, name) },
	{ "role",       FIELD_TEXT, offsetof(struct access_token, role) },
	{ "sha256",     FIELD_TEXT, offsetof(struct access_token, sha256) },
	{ "created_by", FIELD_TEXT, offsetof(struct access_token, created_by) },
	{ "created_ms", FIELD_INT,  offsetof(struct access_token, created_ms) },
};

static const struct field secret_fields[] = {
	{ "scope",      FIELD_TEXT, offsetof(struct secret, scope) },
	{ "owner",      FIELD_TEXT, offsetof(struct secret, owner) },
	{ "name",       FIELD_TEXT, offsetof(struct secret, name) },
	{ "value",      FIELD_TEXT, offsetof(struct secret, value) },
	{ "events",     FIELD_TEXT, offsetof(struct secret, events) },
	{ "branches",   FIELD_TEXT, offsetof(struct secret, branches) },
	{ "created_ms", FIELD_INT,  offsetof(struct secret, created_ms) },
	{ "changed_ms", FIELD_INT,  offsetof(struct secret, changed_ms) },
};

/* The last three are set by the scripts: see schedule_settings_record. */
static const struct field schedule_fields[] = {
	{ "repo",       FIELD_TEXT, offsetof(struct schedule, repo) },
	{ "name",       FIELD_TEXT, offsetof(struct schedule, name) },
	{ "rule",       FIELD_TEXT, offsetof(struct schedule, rule) },
	{ "zone",       FIELD_TEXT, offsetof(struct schedule, zone) },
	{ "branch",     FIELD_TEXT, offsetof(struct schedule, branch) },
	{ "params",     FIELD_TEXT, offsetof(struct schedule, params) },
	{ "next_ms",    FIELD_INT,  offsetof(struct schedule, next_ms) },
	{ "last_ms",    FIELD_INT,  offsetof(struct schedule, last_ms) },
	{ "last_build", FIELD_INT,  offsetof(struct schedule, last_build) },
};

/* The first two are its id, the last nine are set by the scripts: see environment_settings_record. */
static const struct field environment_fields[] = {
	{ "repo", FIELD_TEXT, offsetof(struct environment, repo) },
	{ "name", FIELD_TEXT, offsetof(struct environment, name) },
	{ "kind", FIELD_TEXT, offsetof(struct environment, kind) },
	{ "engine", FIELD_TEXT, offsetof(struct environment, engine) },
	{ "image", FIELD_TEXT, offsetof(struct environment, image) },
	{ "command", FIELD_TEXT, offsetof(struct environment, command) },
	{ "variables", FIELD_TEXT, offsetof(struct environment, variables) },
	{ "events", FIELD_TEXT, offsetof(struct environment, events) },
	{ "branches", FIELD_TEXT, offsetof(struct environment, branches) },
	{ "tags", FIELD_TEXT, offsetof(struct environment, tags) },
	{ "deployers", FIELD_TEXT, offsetof(struct environment, deployers) },
	{ "watch", FIELD_TEXT, offsetof(struct environment, watch) },
	{ "approve", FIELD_BOOL, offsetof(struct environment, approve) },
	{ "locked_by", FIELD_TEXT, offsetof(struct environment, locked_by) },
	{ "lock_reason", FIELD_TEXT, offsetof(struct environment, lock_reason) },
	{ "locked_ms", FIELD_INT, offsetof(struct environment, locked_ms) },
	{ "deployed", FIELD_INT, offsetof(struct environment, deployed) },
	{ "deployed_ms", FIELD_INT, offsetof(struct environment, deployed_ms) },
	{ "open", FIELD_INT, offsetof(struct environment, open) },
	{ "created_ms", FIELD_INT, offsetof(struct environment, created_ms) },
	{ "watch_digest", FIELD_TEXT, offsetof(struct environment, watch_digest) },
	{ "watch_error", FIELD_TEXT, offsetof(struct environment, watch_error) },
};

static const struct field deployment_fields[] = {
	{ "deployment", FIELD_INT, offsetof(struct deployment, number) },
	{ "repo", FIELD_TEXT, offsetof(struct deployment, repo) },
	{ "environment", FIELD_TEXT, offsetof(struct deployment, environment) },
	{ "build", FIELD_INT, offsetof(struct deployment, build) },
	{ "job", FIELD_TEXT, offsetof(struct deployment, job) },
	{ "event", FIELD_TEXT, offsetof(struct deployment, event) },
	{ "ref", FIELD_TEXT, offsetof(struct deployment, ref) },
	{ "commit", FIELD_TEXT, offsetof(struct deployment, commit) },
	{ "image", FIELD_TEXT, offsetof(struct deployment, image) },
	{ "images", FIELD_TEXT, offsetof(struct deployment, images) },
	{ "person", FIELD_TEXT, offsetof(struct deployment, person) },
	{ "approved_by", FIELD_TEXT, offsetof(struct deployment, approved_by) },
	{ "state", FIELD_JOB_STATE, offsetof(struct deployment, state) },
	{ "reason", FIELD_TEXT, offsetof(struct deployment, reason) },
	{ "attempt", FIELD_INT, offsetof(struct deployment, attempt) },
	{ "history", FIELD_TEXT, offsetof(struct deployment, history) },
	{ "redeploys", FIELD_INT, offsetof(struct deployment, redeploys) },
	{ "created_ms", FIELD_INT, offsetof(struct deployment, created_ms) },
	{ "started_ms", FIELD_INT, offsetof(struct deployment, started_ms) },
	{ "finished_ms", FIELD_INT, offsetof(struct deployment, finished_ms) },
};

static const struct field notice_fields[] = {
	{ "notice",     FIELD_TEXT, offsetof(struct notice, notice) },
	{ "target",     FIELD_TEXT, offsetof(struct notice, target) },
	{ "kind",       FIELD_TEXT, offsetof(struct notice, kind) },
	{ "build",      FIELD_INT,  offsetof(struct notice, build) },
	{ "state",      FIELD_TEXT, offsetof(struct notice, state) },
	{ "payload",    FIELD_TEXT, offsetof(struct notice, payload) },
	{ "attempts",   FIELD_INT,  offsetof(struct notice, attempts) },
	{ "created_ms", FIELD_INT,  offsetof(struct notice, created_ms) },
	{ "last_error", FIELD_TEXT, offsetof(struct notice, last_error) },
};
/* clang-format on */

const struct record repo_record = { repo_fields, COUNT(repo_fields) };
const struct record repo_settings_record = { repo_fields + 1, COUNT(repo_fields) - 6 };
const struct record job_record = { job_fields, COUNT(job_fields) };
const struct record build_record = { build_fields, COUNT(build_fields) };
const struct record change_record = { change_fields, COUNT(change_fields) };
const struct record schedule_record = { schedule_fields, COUNT(schedule_fields) };
const struct record schedule_settings_record = { schedule_fields, COUNT(schedule_fields) - 3 };
const struct record notice_record = { notice_fields, COUNT(notice_fields) };
const struct record environment_record = { environment_fields, COUNT(environment_fields) };
const struct record environment_settings_record = { environment_fields + 2, COUNT(environment_fields) - 11 };
const struct record deployment_record = { deployment_fields, COUNT(deployment_fields) };
const struct record access_token_record = { access_token_fields, COUNT(access_token_fields) };
const struct record access_token_settings_record = { access_token_fields + 1, COUNT(access_token_fields) - 2 };
const struct record secret_record = { secret_fields, COUNT(secret_fields) };

/* --- writing --- */

void
args_str(struct args *args, struct str s)
{
	if (args->count == args->cap) {
		args->cap = args->cap == 0 ? 32 : args->cap * 2;
		args->items = xrealloc(args->items, args->cap * sizeof(*args->items));
	}
	args->items[args->count++] = s;
}

void
args_text(struct args *args, const char *text)
{
	args_str(args, str_of(text));
}

void
args_copy(struct args *args, struct str s)
{
	args_str(args, (struct str){ arena_str(&args->arena, s), s.len });
}

static struct str
print_int(struct args *args, int64_t n)
{
	char digits[24];
	size_t len = (size_t)snprintf(digits, sizeof(digits), "%lld", (long long)n);

	return (struct str){ arena_str(&args->arena, (struct str){ digits, len }), len };
}

void
args_int(struct args *args, int64_t n)
{
	args_str(args, print_int(args, n));
}

void
args_set_int(struct args *args, size_t i, int64_t n)
{
	args->items[i] = print_int(args, n);
}

static void *
field_at(const struct field *field, const void *of)
{
	return (char *)of + field->offset;
}

static void
args_field(struct args *args, const struct field *field, const void *of)
{
	const void *at = field_at(field, of);

	switch (field->kind) {
	case FIELD_TEXT:
		args_text(args, *(char *const *)at);
		break;
	case FIELD_INT:
		args_int(args, *(const int64_t *)at);
		break;
	case FIELD_BOOL:
		args_int(args, *(const bool *)at);
		break;
	case FIELD_BUILD_STATE:
		args_text(args, build_state_name(*(const enum build_state *)at));
		break;
	case FIELD_JOB_STATE:
		args_text(args, job_state_name(*(const enum job_state *)at));
		break;
	case FIELD_EVENT:
		args_text(args, change_event_name(*(const enum change_event *)at));
		break;
	case FIELD_TRUST:
		args_text(args, *(const enum change_trust *)at == CHANGE_FORK ? "fork" : "trusted");
		break;
	}
}

static bool
field_is_empty(const struct field *field, const void *of)
{
	const void *at = field_at(field, of);

	if (field->kind == FIELD_TEXT)
		return *(char *const *)at == NULL || **(char *const *)at == '\0';
	return field->kind == FIELD_INT && *(const int64_t *)at == 0;
}

void
args_record(struct args *args, const struct record *record, const void *of, bool empty_too)
{
	for (size_t i = 0; i < record->count; i++)
		if (empty_too || !field_is_empty(&record->fields[i], of)) {
			args_text(args, record->fields[i].name);
			args_field(args, &record->fields[i], of);
		}
}

void
args_fini(struct args *args)
{
	free(args->items);
	arena_fini(&args->arena);
	*args = (struct args){ 0 };
}

/* --- reading --- */

/* A state that this version does not know is one that it must not act upon. */
static void
field_read(const struct field *field, const struct redis_reply *reply, void *of)
{
	struct str value = redis_reply_str(reply);
	void *at = field_at(field, of);

	switch (field->kind) {
	case FIELD_TEXT:
		free(*(char **)at);
		*(char **)at = xstrndup(value.p, value.len);
		break;
	case FIELD_INT:
		*(int64_t *)at = redis_reply_int(reply, str_is(value, "-1") ? -1 : 0);
		break;
	case FIELD_BOOL:
		*(bool *)at = str_is(value, "1");
		break;
	case FIELD_BUILD_STATE:
		if (!build_state_from_name(value.p, at))
			*(enum build_state *)at = BUILD_ERROR;
		break;
	case FIELD_JOB_STATE:
		if (!job_state_from_name(value.p, at))
			*(enum job_state *)at = JOB_ERROR;
		break;
	case FIELD_EVENT:
		if (!change_event_from_name(value.p, at))
			*(enum change_event *)at = CHANGE_PUSH;
		break;
	case FIELD_TRUST:
		*(enum change_trust *)at = str_is(value, "trusted") ? CHANGE_TRUSTED : CHANGE_FORK;
		break;
	}
}

void
record_read(const struct record *record, const struct redis_reply *list, void *ret)
{
	for (size_t i = 0; i + 1 < redis_reply_count(list); i += 2) {
		struct str name = redis_reply_str(redis_reply_at(list, i));

		for (size_t k = 0; k < record->count; k++)
			if (str_is(name, record->fields[k].name)) {
				field_read(&record->fields[k], redis_reply_at(list, i + 1), ret);
				break;
			}
	}
}

void
record_no_nulls(const struct record *record, void *of)
{
	for (size_t i = 0; i < record->count; i++)
		if (record->fields[i].kind == FIELD_TEXT) {
			char **text = field_at(&record->fields[i], of);

			if (*text == NULL)
				*text = xstrdup("");
		}
}

void
record_fini(const struct record *record, void *of)
{
	for (size_t i = 0; i < record->count; i++)
		if (record->fields[i].kind == FIELD_TEXT) {
			char **text = field_at(&record->fields[i], of);

			free(*text);
			*text = NULL;
		}
}

void
record_own_texts(const struct record *record, void *of)
{
	for (size_t i = 0; i < record->count; i++)
		if (record->fields[i].kind == FIELD_TEXT) {
			char **text = field_at(&record->fields[i], of);

			*text = xstrdup_null(*text);
		}
}

void
repo_init(struct repo *repo, const struct redis_reply *list)
{
	record_read(&repo_record, list, repo);
	record_no_nulls(&repo_record, repo);
}

static void
job_init(struct job *job, const struct redis_reply *list)
{
	record_read(&job_record, list, job);
	record_no_nulls(&job_record, job);
}

struct job *
job_read(const struct redis_reply *list)
{
	struct job *job = xcalloc(1, sizeof(*job));

	job_init(job, list);
	return job;
}

struct job_list
job_list_read(const struct redis_reply *reply, size_t first)
{
	size_t count = redis_reply_count(reply);
	struct job_list list = { 0 };

	if (count <= first)
		return list;
	list.items = xcalloc(count - first, sizeof(*list.items));
	for (size_t i = first; i < count; i++)
		job_init(&list.items[list.count++], redis_reply_at(reply, i));
	return list;
}

void
build_init(struct build *build, const struct redis_reply *list)
{
	record_read(&build_record, list, build);
	record_no_nulls(&build_record, build);
}

struct build *
build_read(const struct redis_reply *list, const struct redis_reply *change)
{
	struct build *build = xcalloc(1, sizeof(*build));

	build_init(build, list);
	if (change != NULL) {
		build->change = xcalloc(1, sizeof(*build->change));
		record_read(&change_record, change, build->change);
	}
	return build;
}

struct notice *
notice_read(const struct redis_reply *list)
{
	struct notice *notice = xcalloc(1, sizeof(*notice));

	record_read(&notice_record, list, notice);
	record_no_nulls(&notice_record, notice);
	return notice;
}

struct schedule_list
schedule_list_read(const struct redis_reply *reply, size_t first)
{
	size_t count = redis_reply_count(reply);
	struct schedule_list list = { 0 };

	if (count <= first)
		return list;
	list.items = xcalloc(count - first, sizeof(*list.items));
	for (size_t i = first; i < count; i++) {
		struct schedule *schedule = &list.items[list.count++];

		record_read(&schedule_record, redis_reply_at(reply, i), schedule);
		record_no_nulls(&schedule_record, schedule);
	}
	return list;
}

void
environment_init(struct environment *ret, const struct redis_reply *list)
{
	record_read(&environment_record, list, ret);
	record_no_nulls(&environment_record, ret);
}

void
deployment_init(struct deployment *ret, const struct redis_reply *list)
{
	record_read(&deployment_record, list, ret);
	record_no_nulls(&deployment_record, ret);
}

struct deployment_list
deployment_list_read(const struct redis_reply *reply, size_t first)
{
	size_t count = redis_reply_count(reply);
	struct deployment_list list = { 0 };

	if (count <= first)
		return list;
	list.items = xcalloc(count - first, sizeof(*list.items));
	for (size_t i = first; i < count; i++)
		deployment_init(&list.items[list.count++], redis_reply_at(reply, i));
	return list;
}
