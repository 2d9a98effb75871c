#include <stdlib.h>

#include "proto/mem.h"
#include "server/store/files.h"
#include "server/store/op.h"

/* clang-format off */
/* From the fourth to the tenth its maker writes them. */
static const struct field artifact_fields[] = {
	{ "artifact",   FIELD_TEXT, offsetof(struct artifact, id) },
	{ "job",        FIELD_TEXT, offsetof(struct artifact, job) },
	{ "repo",       FIELD_TEXT, offsetof(struct artifact, repo) },
	{ "name",       FIELD_TEXT, offsetof(struct artifact, name) },
	{ "node",       FIELD_TEXT, offsetof(struct artifact, node) },
	{ "attempt",    FIELD_INT,  offsetof(struct artifact, attempt) },
	{ "number",     FIELD_INT,  offsetof(struct artifact, number) },
	{ "size",       FIELD_INT,  offsetof(struct artifact, size) },
	{ "content",    FIELD_INT,  offsetof(struct artifact, content) },
	{ "files",      FIELD_INT,  offsetof(struct artifact, files) },
	{ "sha256",     FIELD_TEXT, offsetof(struct artifact, sha256) },
	{ "created_ms", FIELD_INT,  offsetof(struct artifact, created_ms) },
	{ "expires_ms", FIELD_INT,  offsetof(struct artifact, expires_ms) },
};

static const struct field report_fields[] = {
	{ "tests",    FIELD_INT,  offsetof(struct test_report, tests) },
	{ "failures", FIELD_INT,  offsetof(struct test_report, failures) },
	{ "errors",   FIELD_INT,  offsetof(struct test_report, errors) },
	{ "skipped",  FIELD_INT,  offsetof(struct test_report, skipped) },
	{ "time_ms",  FIELD_INT,  offsetof(struct test_report, time_ms) },
	{ "lines",    FIELD_INT,  offsetof(struct test_report, lines) },
	{ "covered",  FIELD_INT,  offsetof(struct test_report, covered) },
	{ "failed",   FIELD_TEXT, offsetof(struct test_report, failed) },
	{ "job",      FIELD_TEXT, offsetof(struct test_report, job) },
};
/* clang-format on */

static const struct record artifact_record = { artifact_fields, 13 };
static const struct record artifact_made_record = { artifact_fields + 3, 8 };
static const struct record report_record = { report_fields, 9 };
static const struct record report_made_record = { report_fields, 8 };

void
artifact_list_fini(struct artifact_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		record_fini(&artifact_record, &list->items[i]);
	free(list->items);
	*list = (struct artifact_list){ 0 };
}

void
test_report_list_fini(struct test_report_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		record_fini(&report_record, &list->items[i]);
	free(list->items);
	*list = (struct test_report_list){ 0 };
}

/* --- artifacts --- */

static void
answer_put(const struct store_op *op, const struct redis_reply *reply, const struct err *err)
{
	struct err over;

	if (err == NULL && str_is(reply_word(reply), "over")) {
		over = err_make(ERR_LIMIT, 0, "the repository's artifacts would take too much room (keep.artifacts)");
		op->fn.done(op->arg, &over);
	} else {
		answer_done(op, reply, err);
	}
}

struct store_op *
store_artifact_put(struct store *store, const char *job, const char *token, const struct artifact *artifact,
    int64_t expire_s, int64_t repo_max, store_done_fn *fn, void *arg)
{
	struct store_op *op = op_new(store, answer_put, arg, "artifact of job %.*s", JOB_ID_MAX, job);
	struct artifact made = *artifact;
	struct args args = { 0 };

	op->fn.done = fn;
	made.node = (char *)store->conf.node;
	args_text(&args, job);
	args_text(&args, token);
	args_int(&args, artifact->number);
	args_int(&args, repo_max);
	args_int(&args, expire_s);
	args_record(&args, &artifact_made_record, &made, true);
	op_send(op, &script_artifact_put, &args, STORE_TIMEOUT_MS);
	return op;
}

static void
answer_artifacts(const struct store_op *op, const struct redis_reply *reply, const struct err *err)
{
	struct artifact_list list = { 0 };
	struct err failure;

	if ((err = op_failure(op, NULL, err, &failure)) == NULL) {
		list.items = xcalloc(redis_reply_count(reply) + 1, sizeof(*list.items));
		for (; list.count < redis_reply_count(reply); list.count++) {
			record_read(&artifact_record, redis_reply_at(reply, list.count), &list.items[list.count]);
			record_no_nulls(&artifact_record, &list.items[list.count]);
		}
	}
	op->fn.artifacts(op->arg, list, err);
}

struct store_op *
store_artifact_list(struct store *store, int64_t build, int64_t job, store_artifacts_fn *fn, void *arg)
{
	struct store_op *op = op_new(store, answer_artifacts, arg, "artifacts");
	struct args args = { 0 };

	op->fn.artifacts = fn;
	args_int(&args, build);
	args_int(&args, job);
	op_send(op, &script_artifact_list, &args, STORE_TIMEOUT_MS);
	return op;
}

struct store_op *
store_artifact_expire(struct store *store, store_artifacts_fn *fn, void *arg)
{
	struct store_op *op = op_new(store, answer_artifacts, arg, "artifacts");
	struct args args = { 0 };

	op->fn.artifacts = fn;
	args_text(&args, store->conf.node);
	args_int(&args, STORE_LIST_MAX);
	op_send(op, &script_artifact_expire, &args, STORE_TIMEOUT_MS);
	return op;
}

/* --- reports --- */

struct store_op *
store_report_put(struct store *store, const char *job, const char *token, const struct test_report *report,
    store_done_fn *fn, void *arg)
{
	struct store_op *op = op_new(store, answer_done, arg, "report of job %.*s", JOB_ID_MAX, job);
	struct args args = { 0 };

	op->fn.done = fn;
	args_text(&args, job);
	args_text(&args, token);
	args_record(&args, &report_made_record, report, true);
	op_send(op, &script_report_put, &args, STORE_TIMEOUT_MS);
	return op;
}

static void
answer_reports(const struct store_op *op, const struct redis_reply *reply, const struct err *err)
{
	struct test_report_list list = { 0 };
	struct err failure;

	if ((err = op_failure(op, NULL, err, &failure)) == NULL) {
		list.items = xcalloc(redis_reply_count(reply) + 1, sizeof(*list.items));
		for (; list.count < redis_reply_count(reply); list.count++) {
			record_read(&report_record, redis_reply_at(reply, list.count), &list.items[list.count]);
			record_no_nulls(&report_record, &list.items[list.count]);
		}
	}
	op->fn.reports(op->arg, list, err);
}

struct store_op *
store_report_list(struct store *store, int64_t build, store_reports_fn *fn, void *arg)
{
	struct store_op *op = op_new(store, answer_reports, arg, "reports");
	struct args args = { 0 };

	op->fn.reports = fn;
	args_int(&args, build);
	op_send(op, &script_report_list, &args, STORE_TIMEOUT_MS);
	return op;
}
