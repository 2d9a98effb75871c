/* HTTP/1.1 heads (RFC 9110, RFC 9112): a strict parser for requests and replies, and the printer.
 *
 * The parser takes all bytes that came so far; the caller keeps them (they may move) and a struct http1_scan, zeroed at
 * the start of each head. The verdict does not depend on how the bytes were cut. Nothing is copied: the head's strings
 * point into the text. What two readers could understand in two ways is refused: bare CR or LF, control bytes, folded
 * lines, blanks before a colon, two lengths, a length with a transfer coding, a missing or second Host. */
#ifndef DAVIT_PROTO_HTTP1_H
#define DAVIT_PROTO_HTTP1_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "proto/buf.h"
#include "proto/str.h"

#define HTTP1_HEADERS_MAX 100
#define HTTP1_DATE_SIZE 30 /* "Sun, 06 Nov 1994 08:49:37 GMT" and a NUL */

struct http1_limits {
	size_t head;      /* bytes of the whole head; more is 431 */
	size_t target;    /* bytes of the request's target; more is 414 */
	unsigned headers; /* at most HTTP1_HEADERS_MAX; more is 431 */
	bool any_method;  /* but TRACE; else CONNECT, or one that we do not know, is 501 */
	bool chunked;     /* requests may have "Transfer-Encoding: chunked"; else any transfer coding is 411 */
};

extern const struct http1_limits http1_request_limits; /* 16 KiB, 8 KiB, 64 headers, no chunked */
extern const struct http1_limits http1_proxy_limits;   /* the same, with any method: for who passes requests on */
extern const struct http1_limits http1_reply_limits;   /* 32 KiB, 100 headers */

enum http1_verdict {
	HTTP1_NEED_MORE, /* call again with more bytes behind these */
	HTTP1_DONE,      /* the head is whole: head->used bytes */
	HTTP1_REFUSED,   /* head->refusal and head->why say how to answer; the connection must be closed */
};

/* Methods that we do not know, CONNECT and TRACE are refused with 501, unless the limits say otherwise. */
enum http1_method {
	HTTP1_GET,
	HTTP1_HEAD,
	HTTP1_POST,
	HTTP1_PUT,
	HTTP1_PATCH,
	HTTP1_DELETE,
	HTTP1_OPTIONS,
	HTTP1_CONNECT, /* host is all that the target is; this and: */
	HTTP1_OTHER,   /* see method_name: only where the limits allow any */
};

/* What follows the head. */
enum http1_body {
	HTTP1_BODY_NONE,
	HTTP1_BODY_LENGTH, /* head->length bytes, maybe 0 */
	HTTP1_BODY_CHUNKED,
	HTTP1_BODY_UNTIL_CLOSE, /* replies only */
};

struct http1_header {
	struct str name;
	struct str value; /* without blanks at its ends */
};

struct http1_head {
	size_t used;    /* bytes of the text that the head took */
	unsigned minor; /* of the version: HTTP/1.minor, 0 or 1 */

	/* of a request */
	enum http1_method method;
	struct str method_name;
	struct str target; /* as it stands in the request line */
	struct str
	    path; /* path and query: begins with '/', is "*" (OPTIONS only), or empty (CONNECT); raw, see url_path() */
	struct str host;       /* of the absolute target, else of Host; empty for HTTP/1.0 without one */
	bool expects_continue; /* the client waits for "100 Continue" before it sends the body */

	/* of a reply */
	unsigned status; /* 100 to 999 */
	struct str reason;

	enum http1_body body; /* of a request; for a reply see http1_reply_body() */
	uint64_t length;      /* Content-Length, with has_length */
	bool has_length;
	bool is_chunked;

	unsigned refusal; /* HTTP status: 400, 411, 414, 417, 431, 501, 505 (502 for a reply) */
	const char *why;  /* constant text, for the answer's body or the log */

	size_t header_count;
	struct http1_header headers[HTTP1_HEADERS_MAX]; /* the last: what is behind header_count is not even cleared */
};

/* How far a text was looked at. All zero is the beginning. */
struct http1_scan {
	size_t start; /* where the head begins, behind an empty line that a request may have in front */
	size_t at;
	size_t line; /* where the line at hand begins */
	unsigned lines;
};

/* limits NULL: the defaults above. *ret is meaningful unless HTTP1_NEED_MORE. */
enum http1_verdict http1_parse_request(
    struct http1_scan *scan, struct str text, const struct http1_limits *limits, struct http1_head *ret);
enum http1_verdict http1_parse_reply(
    struct http1_scan *scan, struct str text, const struct http1_limits *limits, struct http1_head *ret);

/* A method or a header's name (RFC 9110 section 5.6.2). */
bool http1_is_token(struct str s);

/* How a reply's body ends; method is that of the request. HTTP1_BODY_NONE also for 101, after which the bytes are no
 * longer HTTP. */
enum http1_body http1_reply_body(const struct http1_head *head, const char *method);

/* The first header of that name, or NULL. */
const struct http1_header *http1_find(const struct http1_head *head, const char *name);
/* Its value, or the empty str. */
struct str http1_value(const struct http1_head *head, const char *name);
/* Is token in the comma lists of all headers of that name (Connection, Upgrade)? ASCII case does not matter. */
bool http1_has_token(const struct http1_head *head, const char *name, const char *token);
/* May the connection serve another message after this one? (RFC 9112 section 9.3) */
bool http1_keeps_alive(const struct http1_head *head);

/* Not of HTTP1_OTHER. */
const char *http1_method_name(enum http1_method method);
/* "Not Found"; "Unknown" for a status that has no name. */
const char *http1_reason(unsigned status);

/* The printer. What would break the message (CR, LF, NUL or other control bytes, a name that is no token) fails the
 * buffer as overflow does: nothing is added from then on, false is returned, and buf_failed() says so at the end. */
bool http1_print_request(struct buf *b, const char *method, struct str target);
bool http1_print_status(struct buf *b, unsigned status); /* HTTP/1.1 */
bool http1_print_header(struct buf *b, const char *name, struct str value);
bool http1_print_header_int(struct buf *b, const char *name, uint64_t value);
bool http1_print_date(struct buf *b, const char *name, time_t when);
bool http1_print_end(struct buf *b); /* the empty line */
/* RFC 9110 section 5.6.7: "Sun, 06 Nov 1994 08:49:37 GMT". */
void http1_date(time_t when, char ret[HTTP1_DATE_SIZE]);

#endif
