/* /api/v1/builds/17/artifacts and /reports: what jobs left behind; /api/v1/jobs/17.2/artifacts/dist: the file, whole or
 * one range; .../dist/file?path=app: one file of it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"
#include "proto/tar.h"
#include "server/controller/api_json.h"
#include "server/controller/controller_private.h"
#include "proto/range.h"
#include "server/core/log.h"
#include "server/store/artifact_tar.h"
#include "server/store/file_store.h"
#include "server/store/pack.h"

#define HIGH_WATER (256 * 1024)

/* --- lists --- */

static void
write_artifact(struct json_writer *w, const struct artifact *a)
{
	json_write_object_open(w);
	json_member_string(w, "id", a->id);
	json_member_string(w, "job", a->job);
	json_member_string(w, "name", a->name);
	json_member_string(w, "node", a->node);
	json_member_int(w, "size", a->size);
	json_member_int(w, "content", a->content);
	json_member_int(w, "files", a->files);
	json_member_string(w, "sha256", a->sha256);
	json_member_int(w, "created_ms", a->created_ms);
	json_member_int(w, "expires_ms", a->expires_ms);
	json_write_object_close(w);
}

static void
on_artifacts(void *arg, struct artifact_list artifacts, const struct err *err)
{
	struct api_call *call = arg;
	struct json_writer *w;

	if (!api_call_failed(&call, err)) {
		w = api_list_open("artifacts");
		for (size_t i = 0; i < artifacts.count; i++)
			write_artifact(w, &artifacts.items[i]);
		api_list_answer(&call, &w);
	}
	artifact_list_fini(&artifacts);
}

void
api_artifact_list(void *arg, struct http_reply *reply)
{
	struct api_call *call = api_call_build(arg, reply);

	if (call != NULL)
		call->op = store_artifact_list(call->store, call->log.build, 0, on_artifacts, call);
}

static void
write_report(struct json_writer *w, const struct test_report *r)
{
	json_write_object_open(w);
	json_member_string(w, "job", r->job);
	json_member_int(w, "tests", r->tests);
	json_member_int(w, "failures", r->failures);
	json_member_int(w, "errors", r->errors);
	json_member_int(w, "skipped", r->skipped);
	json_member_int(w, "time_ms", r->time_ms);
	json_member_int(w, "lines", r->lines);
	json_member_int(w, "covered", r->covered);
	json_write_key(w, "failed");
	json_write_raw(w, r->failed[0] != '\0' ? str_of(r->failed) : STR("[]"));
	json_write_object_close(w);
}

static void
on_reports(void *arg, struct test_report_list reports, const struct err *err)
{
	struct api_call *call = arg;
	struct json_writer *w;

	if (!api_call_failed(&call, err)) {
		w = api_list_open("reports");
		for (size_t i = 0; i < reports.count; i++)
			write_report(w, &reports.items[i]);
		api_list_answer(&call, &w);
	}
	test_report_list_fini(&reports);
}

void
api_report_list(void *arg, struct http_reply *reply)
{
	struct api_call *call = api_call_build(arg, reply);

	if (call != NULL)
		call->op = store_report_list(call->store, call->log.build, on_reports, call);
}

/* --- a download: from the artifact's file (unpack) or of one file in it (file) --- */

struct download {
	struct http_reply *reply; /* until its stream is open */
	struct reply_stream *stream;
	struct unpack *unpack;
	struct artifact_file *file;
	struct str there; /* what unpack gave */
	uint64_t start, end, size;
	uint64_t left;
	bool is_waiting; /* for the disk */
	char text[96];   /* of an error */
};

static void
download_free(struct download *d)
{
	unpack_close(&d->unpack);
	artifact_file_close(&d->file);
	free(d);
}

static void
download_end(struct download *d)
{
	reply_stream_end(&d->stream);
	download_free(d);
}

static void
on_client_gone(void *arg)
{
	download_free(arg);
}

static void on_more(void *arg, const struct err *err);

static void
on_unpacked(void *arg, struct str bytes, const struct err *err)
{
	struct download *d = arg;
	struct err cut = err_make(ERR_IO, 0, "the file is shorter than it was");

	d->there = bytes;
	on_more(d, err == NULL && bytes.len == 0 && d->left > 0 ? &cut : err);
}

static void
wait_for_more(struct download *d)
{
	d->is_waiting = true;
	if (d->file != NULL)
		artifact_file_wait(d->file, on_more, d);
	else
		unpack_next(d->unpack, on_unpacked, d);
}

static struct str
take_there(struct download *d)
{
	struct str bytes = d->there;

	d->there.len = 0;
	return d->file != NULL ? artifact_file_read(d->file) : bytes;
}

static void
write_on(struct download *d)
{
	while (d->left > 0 && reply_stream_pending(d->stream) < HIGH_WATER) {
		struct str bytes = take_there(d);

		if (bytes.len == 0) {
			wait_for_more(d);
			return;
		}
		if (bytes.len > d->left)
			bytes.len = (size_t)d->left;
		reply_stream_write(d->stream, bytes.p, bytes.len);
		d->left -= bytes.len;
	}
	if (d->left == 0)
		download_end(d);
}

static void
on_ready(void *arg)
{
	struct download *d = arg;

	if (!d->is_waiting)
		write_on(d);
}

/* The first bytes are there: the head can be sent. */
static void
open_stream(struct download *d)
{
	struct reply_stream *stream;

	if (d->file != NULL)
		d->end = d->size = artifact_file_left(d->file);
	d->left = d->end - d->start;
	reply_on_gone(d->reply, NULL, NULL);
	reply_header(d->reply, "Content-Security-Policy", "sandbox");
	if (d->file == NULL)
		reply_header(d->reply, "Accept-Ranges", "bytes");
	if (d->end - d->start < d->size) {
		snprintf(
		    d->text, sizeof(d->text), "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, d->start, d->end - 1, d->size);
		reply_header(d->reply, "Content-Range", d->text);
	}
	stream = reply_open(&d->reply, d->end - d->start < d->size ? 206 : 200,
	    d->file != NULL ? "application/octet-stream" : "application/zstd", (int64_t)d->left, on_ready,
	    on_client_gone, d);
	d->stream = stream;
	if (stream == NULL)
		download_free(d);
}

static void
on_more(void *arg, const struct err *err)
{
	struct download *d = arg;

	d->is_waiting = false;
	if (err != NULL && d->stream == NULL) {
		reply_err(&d->reply, err);
		download_free(d);
	} else if (err != NULL) {
		log_warn("artifact: %s", err->text);
		download_end(d); /* short of what was promised: the client sees it */
	} else if (d->stream == NULL) {
		open_stream(d);
	} else {
		write_on(d);
	}
}

/* --- which one --- */

static const struct artifact *
find(const struct artifact_list *list, const char *name)
{
	uint64_t number;
	bool is_number = str_to_u64(str_of(name), INT64_MAX, &number);

	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->items[i].name, name) == 0)
			return &list->items[i];
	for (size_t i = 0; is_number && i < list->count; i++)
		if (list->items[i].number == (int64_t)number)
			return &list->items[i];
	return NULL;
}

/* Takes the reply out of the call. */
static struct download *
download_new(struct api_call **call)
{
	struct download *d = xcalloc(1, sizeof(*d));

	d->reply = (*call)->reply;
	(*call)->reply = NULL;
	api_call_end(call);
	reply_on_gone(d->reply, NULL, NULL);
	return d;
}

static void
on_reply_gone(void *arg)
{
	struct download *d = arg;

	reply_drop(&d->reply);
	download_free(d);
}

static void
start_whole(struct api_call **call, const struct artifact *artifact)
{
	const struct controller *controller = (*call)->controller;
	struct disk *disk = file_store_disk(controller->deps.files);
	char *path = file_store_artifact(controller->deps.files, artifact);
	struct download *d = download_new(call);
	struct str range = request_header(reply_request(d->reply), "Range");
	uint64_t size = (uint64_t)artifact->size;

	d->size = d->end = size;
	if (range.len > 0 && range_parse(range, size, &d->start, &d->end) < 0) {
		snprintf(d->text, sizeof(d->text), "bytes */%" PRIu64, size);
		reply_header(d->reply, "Content-Range", d->text);
		reply_error(&d->reply, 416, "range", "the artifact has %" PRIu64 " bytes", size);
		download_free(d);
	} else {
		reply_on_gone(d->reply, on_reply_gone, d);
		d->unpack = unpack_open(disk, path, PACK_PLAIN);
		unpack_seek(d->unpack, d->start);
		wait_for_more(d);
	}
	free(path);
}

static void
start_file(struct api_call **call, const struct artifact *artifact)
{
	struct file_store *files = (*call)->controller->deps.files;
	char *path = file_store_artifact(files, artifact);
	struct download *d = download_new(call);
	struct buf name;

	buf_init(&name, TAR_NAME_MAX);
	if (!request_query(reply_request(d->reply), "path", &name) || name.len == 0) {
		reply_error(&d->reply, 422, "input", "path must name a file of the artifact");
		download_free(d);
	} else {
		reply_on_gone(d->reply, on_reply_gone, d);
		d->file = artifact_file_open(files, path, name.data);
		wait_for_more(d);
	}
	buf_fini(&name);
	free(path);
}

/* Takes the list. */
static void
start(struct api_call *call, struct artifact_list *artifacts, const struct err *err,
    void (*start_it)(struct api_call **call, const struct artifact *artifact))
{
	const char *name = api_call_param(call, "artifact");
	const struct artifact *artifact = err == NULL ? find(artifacts, name) : NULL;
	struct err missing = err_make(ERR_NOT_FOUND, 0, "the job has no artifact %.100s", name);

	if (err == NULL && artifact == NULL)
		err = &missing;
	if (!api_call_failed(&call, err))
		start_it(&call, artifact);
	artifact_list_fini(artifacts);
}

static void
on_whole(void *arg, struct artifact_list artifacts, const struct err *err)
{
	start(arg, &artifacts, err, start_whole);
}

static void
on_file(void *arg, struct artifact_list artifacts, const struct err *err)
{
	start(arg, &artifacts, err, start_file);
}

void
api_artifact_get(void *arg, struct http_reply *reply)
{
	struct api_call *call = api_call_job(arg, reply);

	if (call != NULL)
		call->op = store_artifact_list(call->store, call->log.build, call->log.job, on_whole, call);
}

void
api_artifact_file(void *arg, struct http_reply *reply)
{
	struct api_call *call = api_call_job(arg, reply);

	if (call != NULL)
		call->op = store_artifact_list(call->store, call->log.build, call->log.job, on_file, call);
}
