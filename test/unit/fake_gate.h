/* Stands in for server/controller/gate.c: an answer ends up in a buffer instead of a connection. */
#ifndef DAVIT_TEST_FAKE_GATE_H
#define DAVIT_TEST_FAKE_GATE_H

#include <stdbool.h>

#include "server/controller/gate.h"

struct gate {
	struct evbuffer *out;
	unsigned status; /* 0: no answer yet */
	struct reply_stream *stream;
	bool is_ended;
	bool keeps;
	bool is_dropped;
};

void fake_gate_init(struct gate *gate);
void fake_gate_fini(struct gate *gate);
/* A request as the parser gives it; method, path and headers as in "GET /x HTTP/1.1\r\nHost: a\r\n\r\n". */
struct http_request *fake_request(const char *head);
/* What was sent, NUL-terminated, good until the next call. */
const char *fake_gate_text(struct gate *gate);

#endif
