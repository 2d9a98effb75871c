#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/crypto.h"
#include "server/controller/api_json.h"
#include "server/controller/controller_private.h"
#include "server/core/log.h"
#include "server/core/loop.h"
#include "server/core/zones.h"
#include "server/mirror/purge.h"

#define AUDIT_MAX 512

void
api_call_end(struct api_call **call)
{
	struct api_call *c = *call;

	*call = NULL;
	store_cancel(&c->op);
	timer_free(&c->timer);
	repo_free(&c->repo);
	crypto_wipe_free(&c->token);
	json_free(&c->body);
	job_list_fini(&c->jobs);
	schedule_list_fini(&c->schedules);
	zones_cancel(&c->zones_op);
	purge_cancel(&c->purge);
	if (c->reply != NULL)
		reply_drop(&c->reply);
	free(c);
}

static void
on_gone(void *arg)
{
	struct api_call *call = arg;

	api_call_end(&call);
}

struct api_call *
api_call_new(struct controller *controller, struct http_reply *reply)
{
	struct api_call *call = xcalloc(1, sizeof(*call));

	call->controller = controller;
	call->store = controller->deps.store;
	call->reply = reply;
	reply_on_gone(reply, on_gone, call);
	return call;
}

struct api_call *
api_call_build(struct controller *controller, struct http_reply *reply)
{
	const char *text = request_param(reply_request(reply), "build");
	struct api_call *call;
	uint64_t build;

	if (!str_to_u64(str_of(text), INT64_MAX, &build) || build == 0) {
		reply_error(&reply, 404, "not_found", "build %s does not exist: a number is wanted", text);
		return NULL;
	}
	call = api_call_new(controller, reply);
	call->log.build = (int64_t)build;
	return call;
}

struct api_call *
api_call_job(struct controller *controller, struct http_reply *reply)
{
	const char *id = request_param(reply_request(reply), "job");
	struct api_call *call;
	int64_t build, job;

	if (!job_id_parse(id, &build, &job)) {
		reply_error(&reply, 404, "not_found", "job %s does not exist: 17.2 is the form", id);
		return NULL;
	}
	call = api_call_new(controller, reply);
	call->log.build = build;
	call->log.job = job;
	return call;
}

const char *
api_call_param(const struct api_call *call, const char *name)
{
	return request_param(reply_request(call->reply), name);
}

bool
api_call_failed(struct api_call **call, const struct err *err)
{
	(*call)->op = NULL;
	if (err == NULL)
		return false;
	reply_err(&(*call)->reply, err);
	api_call_end(call);
	return true;
}

void
api_call_limit(struct api_call *call, int64_t ms, void (*fn)(void *call))
{
	call->timer = timer_new(call->controller->deps.loop, fn, call);
	timer_start(call->timer, ms);
}

bool
api_call_parse(struct api_call **call)
{
	const struct http_request *request = reply_request((*call)->reply);
	struct str text = { request->body, request->body_len };
	struct err err;

	if (!json_parse(text, NULL, &(*call)->body, &err)) {
		err = err_prefix(err, "the request's body is no JSON");
		err.code = ERR_INPUT;
	} else if (json_type(json_root((*call)->body)) != JSON_OBJECT) {
		err = err_make(ERR_INPUT, 0, "the request's body is no JSON object");
	} else {
		return true;
	}
	api_call_failed(call, &err);
	return false;
}

/* --- answers --- */

void
api_call_json(struct api_call **call, unsigned status, struct json_writer **w)
{
	reply_json(&(*call)->reply, status, w);
	api_call_end(call);
}

struct json_writer *
api_list_open(const char *key)
{
	struct json_writer *w = json_writer_new(API_JSON_MAX);

	json_write_object_open(w);
	json_write_key(w, key);
	json_write_array_open(w);
	return w;
}

void
api_list_answer(struct api_call **call, struct json_writer **w)
{
	json_write_array_close(*w);
	json_write_object_close(*w);
	api_call_json(call, 200, w);
}

void
api_call_done(void *arg, const struct err *err)
{
	struct api_call *call = arg;

	if (api_call_failed(&call, err))
		return;
	reply_send(&call->reply, 204, NULL, "", 0);
	api_call_end(&call);
}

void
api_audit(const struct http_request *request, const char *fmt, ...)
{
	char text[AUDIT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_info("%s by %s at %s", text, request->who, request->peer);
}

/* --- what requests say --- */

bool
api_check_members(const struct json_value *body, const char *const *names, const char *what, struct err *err)
{
	for (size_t i = 0; i < json_count(body); i++) {
		const char *key = json_key_at(body, i);
		const char *const *name = names;

		while (*name != NULL && strcmp(*name, key) != 0)
			name++;
		if (*name == NULL)
			return err_set(err, ERR_INPUT, 0, "\"%.64s\" is no field of %s", key, what);
	}
	return true;
}

bool
api_query_number(struct http_reply **reply, const char *name, uint64_t max, uint64_t fallback, uint64_t *ret)
{
	struct buf text;
	bool ok;

	*ret = fallback;
	buf_init(&text, 64);
	ok = !request_query(reply_request(*reply), name, &text) || str_to_u64(buf_str(&text), max, ret);
	buf_fini(&text);
	if (!ok)
		reply_error(reply, 422, "input", "%s must be a number of at most %llu", name, (unsigned long long)max);
	return ok;
}

void
api_print_base(const struct controller *controller, const struct http_request *request, struct buf *ret)
{
	if (controller->deps.url != NULL && controller->deps.url[0] != '\0') {
		buf_adds(ret, controller->deps.url);
		return;
	}
	buf_adds(ret, request->is_https ? "https://" : "http://");
	buf_addstr(ret, request_header(request, "Host"));
}
