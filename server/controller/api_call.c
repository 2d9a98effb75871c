#include <stdlib.h>

#include "server/controller/controller_private.h"
#include "server/core/loop.h"
#include "server/core/zones.h"

void
api_call_end(struct api_call **call)
{
	struct api_call *c = *call;

	*call = NULL;
	store_cancel(&c->op);
	timer_free(&c->timer);
	repo_free(&c->repo);
	json_free(&c->body);
	job_list_fini(&c->jobs);
	schedule_list_fini(&c->schedules);
	zones_cancel(&c->zones_op);
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
	call->reply = reply;
	reply_on_gone(reply, on_gone, call);
	return call;
}

bool
api_call_failed(struct api_call **call, const struct err *err)
{
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

bool
api_number(struct http_reply **reply, const char *param, int64_t *ret)
{
	const char *text = request_param(reply_request(*reply), param);
	uint64_t n;

	if (str_to_u64(str_of(text), INT64_MAX, &n) && n > 0) {
		*ret = (int64_t)n;
		return true;
	}
	reply_error(reply, 404, "not_found", "%s %s does not exist: a number is wanted", param, text);
	return false;
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
