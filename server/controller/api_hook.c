/* POST /hook/REPO: a forge's delivery, handed to the hook as it came; and how long its answer took. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"
#include "server/controller/controller_private.h"
#include "server/controller/figures.h"
#include "server/hook/hook.h"

struct delivery {
	struct controller *controller;
	struct http_reply *reply;
	struct hook_op *op;
	int64_t start_us;
};

static struct str
get_header(void *arg, const char *name, unsigned *count)
{
	const struct http_request *request = arg;
	struct str value = STR("");

	*count = 0;
	for (size_t i = 0; i < request->header_count; i++)
		if (str_is_nocase(request->headers[i].name, name) && (*count)++ == 0)
			value = request->headers[i].value;
	return value;
}

static void
on_answer(void *arg, const struct hook_answer *answer)
{
	struct delivery *d = arg;
	char seconds[16];

	figures_add_hook(&d->controller->figures, figures_now_us() - d->start_us);
	if (answer->retry_after_s > 0) {
		snprintf(seconds, sizeof(seconds), "%u", answer->retry_after_s);
		reply_header(d->reply, "Retry-After", seconds);
	}
	reply_send(&d->reply, answer->status, "application/json", answer->json, strlen(answer->json));
	free(d);
}

/* What is being submitted is submitted all the same; before that, the forge records a failure and may send it again. */
static void
on_gone(void *arg)
{
	struct delivery *d = arg;

	hook_cancel(&d->op);
	reply_drop(&d->reply);
	free(d);
}

void
api_hook(void *arg, struct http_reply *reply)
{
	struct controller *controller = arg;
	struct http_request *request = reply_own_request(reply);
	struct hook_headers headers = { .get = get_header, .arg = request };
	size_t body_len = request->body_len;
	char *body = request_take_body(request);
	struct delivery *d = xcalloc(1, sizeof(*d));

	*d = (struct delivery){ .controller = controller, .reply = reply, .start_us = figures_now_us() };
	reply_on_gone(reply, on_gone, d);
	d->op =
	    hook_receive(controller->deps.hook, request_param(request, "repo"), &headers, body, body_len, on_answer, d);
}
