#include "test/unit/unit.h"

#include "test/unit/fake_gate.h"

#include <event2/buffer.h>

#include "proto/http1.h"
#include "server/controller/reply.h"

void
fake_gate_init(struct gate *gate)
{
	*gate = (struct gate){ .out = evbuffer_new() };
}

void
fake_gate_fini(struct gate *gate)
{
	evbuffer_free(gate->out);
}

struct http_request *
fake_request(const char *text)
{
	struct http1_scan scan = { 0 };
	struct http1_head head;
	struct http_request *request;
	struct err err;

	assert_int_equal(http1_parse_request(&scan, str_of(text), NULL, &head), HTTP1_DONE);
	request = request_new(&head, str_of(text), "192.0.2.1", false, &err);
	assert_non_null(request);
	return request;
}

const char *
fake_gate_text(struct gate *gate)
{
	evbuffer_add(gate->out, "", 1);
	return (const char *)evbuffer_pullup(gate->out, -1);
}

struct evbuffer *
gate_output(struct gate *gate)
{
	return gate->out;
}

bool
gate_may_keep(const struct gate *gate)
{
	return !gate->is_ended;
}

void
gate_begin_send(struct gate *gate, unsigned status, struct reply_stream *stream)
{
	assert_int_equal(gate->status, 0);
	gate->status = status;
	gate->stream = stream;
}

void
gate_end_send(struct gate *gate, bool keep)
{
	assert_int_not_equal(gate->status, 0);
	assert_false(gate->is_ended);
	gate->is_ended = true;
	gate->keeps = keep;
}

void
gate_pause_input(struct gate *gate, bool is_paused)
{
	(void)gate;
	(void)is_paused;
}

void
gate_no_answer(struct gate *gate)
{
	gate->is_dropped = true;
}
