/* What proto/http1 and proto/chunked make of the requests of connections: each record of standard input (its length as
 * four bytes, the lowest first, then the bytes) gives one line of JSON: the messages that were taken, and how it ended
 * ("end", "more", or the status of a refusal). llhttp.js does the same with Node's parser. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/chunked.h"
#include "proto/http1.h"
#include "proto/json.h"
#include "proto/mem.h"

#define RECORD_MAX 65536
#define LINE_MAX_BYTES (16u << 20)

/* Bytes as text that any reader of JSON takes: each as the code point of its number. */
static void
write_bytes(struct json_writer *w, struct str bytes)
{
	struct buf b;

	buf_init(&b, 2 * RECORD_MAX + 1);
	for (size_t i = 0; i < bytes.len; i++) {
		unsigned char c = (unsigned char)bytes.p[i];

		if (c >= 0x80)
			buf_addc(&b, (char)(0xc0 | c >> 6));
		buf_addc(&b, (char)(c >= 0x80 ? 0x80 | (c & 0x3f) : c));
	}
	json_write_str(w, buf_str(&b));
	buf_fini(&b);
}

static void
write_head(struct json_writer *w, const struct http1_head *head)
{
	json_write_object_open(w);
	json_member_string(w, "method", http1_method_name(head->method));
	json_write_key(w, "target");
	write_bytes(w, head->target);
	json_member_int(w, "minor", head->minor);
	json_write_key(w, "headers");
	json_write_array_open(w);
	for (size_t i = 0; i < head->header_count; i++) {
		write_bytes(w, head->headers[i].name);
		write_bytes(w, head->headers[i].value);
	}
	json_write_array_close(w);
	json_write_key(w, "body");
}

/* Takes the body off rest and writes it. False: more is needed, or it is refused. */
static bool
take_body(struct json_writer *w, const struct http1_head *head, struct str *rest, char *ending)
{
	struct chunked chunked;
	struct buf body;
	bool whole;

	buf_init(&body, RECORD_MAX);
	if (head->body == HTTP1_BODY_CHUNKED) {
		enum chunked_state state = CHUNKED_MORE;
		struct str piece;

		chunked_init(&chunked);
		while ((state = chunked_next(&chunked, rest, &piece)) == CHUNKED_PIECE)
			buf_addstr(&body, piece);
		whole = state == CHUNKED_END;
		strcpy(ending, state == CHUNKED_BAD ? "400" : "more");
	} else {
		size_t len = head->length < rest->len ? (size_t)head->length : rest->len;

		buf_add(&body, rest->p, len);
		*rest = (struct str){ rest->p + len, rest->len - len };
		whole = len == head->length;
		strcpy(ending, "more");
	}
	write_bytes(w, buf_str(&body));
	json_member_bool(w, "whole", whole);
	json_write_object_close(w);
	buf_fini(&body);
	return whole;
}
