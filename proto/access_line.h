/* One line of an access log in the combined format of Apache and nginx, with what Cache-Status (RFC 9211) says behind
 * it:
 *
 *   10.0.0.7 - builds [29/Nov/2026:13:55:36 +0000] "GET /v2/a/manifests/1 HTTP/1.1" 200 2326 "-" "curl/8" "davit; hit"
 *
 * A query may hold a signature or a token and a URL a login: in the place of the one stands "?...", of the other
 * nothing. What would break the line is written as \xHH. */
#ifndef DAVIT_PROTO_ACCESS_LINE_H
#define DAVIT_PROTO_ACCESS_LINE_H

#include <stdint.h>
#include <time.h>

#include "proto/buf.h"
#include "proto/str.h"

/* What is empty is written as "-". */
struct access_line {
	const char *peer; /* its address */
	const char *user;
	time_t when;
	struct str request; /* the first line, without its end */
	unsigned status;
	uint64_t bytes; /* of the body, as far as it was sent */
	struct str referer;
	struct str agent;
	const char *source;
};

bool access_line_print(struct buf *b, const struct access_line *line);

#endif
