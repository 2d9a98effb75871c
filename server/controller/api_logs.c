/* /api/v1/jobs/17.2/log: the bytes, whole or one range (RFC 9110 section 14), and /log/stream: as they come. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"
#include "server/controller/controller_private.h"
#include "server/controller/log_stream.h"
#include "proto/range.h"
#include "server/core/log.h"

#define HIGH_WATER (256 * 1024)
#define TEXT_TYPE "text/plain; charset=utf-8"

/* --- the job first: which attempt --- */

static void
start(void *arg, struct http_reply *reply, uint64_t offset, store_job_fn *fn)
{
	struct api_call *call = api_call_job(arg, reply);
	uint64_t attempt;

	if (call == NULL)
		return;
	if (!api_query_number(&call->reply, "attempt", 1000000, 0, &attempt)) {
		api_call_end(&call);
		return;
	}
	call->log.attempt = (int64_t)attempt;
	call->offset = offset;
	call->op = store_job_get(call->store, api_call_param(call, "job"), fn, call);
}

/* The log of a job whose result was taken over is that of the job which ran: it is asked for in its place. */
static bool
ask_for_source(struct api_call *call, struct job **job, store_job_fn *fn)
{
	if (!job_id_parse((*job)->reused_from, &call->log.build, &call->log.job))
		return false;
	call->op = store_job_get(call->store, (*job)->reused_from, fn, call);
	job_free(job);
	return true;
}

/* --- the bytes --- */

struct download {
	struct log_store *logs;
	struct log_id log;
	struct reply_stream *stream;
	uint64_t offset, end;
};

static void
on_download_ready(void *arg)
{
	struct download *d = arg;
	char *piece = xcalloc(1, LOG_READ_MAX);
	struct err err;
	size_t len = 1;

	while (d->offset < d->end && len > 0 && reply_stream_pending(d->stream) < HIGH_WATER) {
		size_t most = d->end - d->offset < LOG_READ_MAX ? (size_t)(d->end - d->offset) : LOG_READ_MAX;

		if (!log_read(d->logs, &d->log, d->offset, piece, most, &len, &err)) {
			log_warn("job %" PRId64 ".%" PRId64 ": its log: %s", d->log.build, d->log.job, err.text);
			len = 0;
		}
		reply_stream_write(d->stream, piece, len);
		d->offset += len;
	}
	free(piece);
	if (d->offset < d->end && len > 0)
		return;
	reply_stream_end(&d->stream);
	free(d);
}

static void
on_download_gone(void *arg)
{
	free(arg);
}

static void
send_log(struct api_call **call, uint64_t size)
{
	struct http_reply **reply = &(*call)->reply;
	struct download *d = xcalloc(1, sizeof(*d));
	struct str range = request_header(reply_request(*reply), "Range");
	unsigned status = 200;
	char text[96];

	*d = (struct download){ .logs = (*call)->controller->deps.logs, .log = (*call)->log, .end = size };
	reply_on_gone(*reply, NULL, NULL);
	reply_header(*reply, "Accept-Ranges", "bytes");
	reply_header(*reply, "Cache-Control", "no-cache");
	reply_header(*reply, "Content-Security-Policy", "sandbox");
	switch (range.len > 0 ? range_parse(range, size, &d->offset, &d->end) : 0) {
	case 1:
		status = 206;
		snprintf(text, sizeof(text), "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, d->offset, d->end - 1, size);
		reply_header(*reply, "Content-Range", text);
		break;
	case -1:
		snprintf(text, sizeof(text), "bytes */%" PRIu64, size);
		reply_header(*reply, "Content-Range", text);
		reply_error(reply, 416, "range", "the log has %" PRIu64 " bytes", size);
		free(d);
		return;
	default:
		break;
	}
	d->stream =
	    reply_open(reply, status, TEXT_TYPE, (int64_t)(d->end - d->offset), on_download_ready, on_download_gone, d);
	if (d->stream == NULL)
		free(d);
}

static void
on_job(void *arg, struct job *job, const struct err *err)
{
	struct api_call *call = arg;
	struct err problem;
	uint64_t size = 0;
	bool finished;

	if (api_call_failed(&call, err) || ask_for_source(call, &job, on_job))
		return;
	if (call->log.attempt == 0)
		call->log.attempt = job->attempt;
	job_free(&job);
	if (!log_stat(call->controller->deps.logs, &call->log, &size, &finished, &problem) &&
	    problem.code != ERR_NOT_FOUND) { /* a job that has not begun has an empty log */
		api_call_failed(&call, &problem);
		return;
	}
	send_log(&call, size);
	api_call_end(&call);
}

void
api_log_get(void *arg, struct http_reply *reply)
{
	start(arg, reply, 0, on_job);
}

/* --- as they come --- */

static void
on_stream_job(void *arg, struct job *job, const struct err *err)
{
	struct api_call *call = arg;

	if (!api_call_failed(&call, err)) {
		if (ask_for_source(call, &job, on_stream_job))
			return;
		if (call->log.attempt == 0)
			call->log.attempt = job->attempt;
		reply_on_gone(call->reply, NULL, NULL);
		log_streams_open(call->controller->logs, &call->reply, job, &call->log, call->offset);
		api_call_end(&call);
	}
	job_free(&job);
}

/* A browser that lost the connection says which event it had last: its id is the offset behind it. */
void
api_log_stream(void *arg, struct http_reply *reply)
{
	struct str last = request_header(reply_request(reply), "Last-Event-ID");
	uint64_t offset;

	if (!api_query_number(&reply, "offset", INT64_MAX, 0, &offset))
		return;
	if (last.len > 0 && !str_to_u64(last, INT64_MAX, &offset))
		reply_error(&reply, 422, "input", "Last-Event-ID must be an offset in the log");
	else
		start(arg, reply, offset, on_stream_job);
}
