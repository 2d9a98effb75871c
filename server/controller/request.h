/* A request as handlers see it: whole, its head checked by proto/http1, its path decoded and normalised, its body in
 * one piece. Made by the gate, owned by the reply token (reply.h), and good for as long as that lives. */
#ifndef DAVIT_CONTROLLER_REQUEST_H
#define DAVIT_CONTROLLER_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/buf.h"
#include "proto/err.h"
#include "proto/http1.h"
#include "proto/role.h"
#include "proto/str.h"

#define REQUEST_PARAMS_MAX 4

struct http_request {
	enum http1_method method;
	unsigned minor;   /* of HTTP/1.minor */
	char *path;       /* decoded; begins with '/', has no "." or ".." or empty segment (but maybe the last) */
	struct str query; /* raw, without '?'; see request_query */
	char *peer;       /* the client's address, or "unix"; see request_new */
	char *who;        /* the name of the token that it comes with; NULL: it came with none, or needs none */
	enum role role;   /* of that token */
	bool is_https;    /* a trusted proxy says so */
	bool keeps_alive; /* the client wants to use the connection again */

	char *body; /* followed by a NUL of ours; "" without one */
	size_t body_len;

	/* What the router's pattern captured: ":build". */
	struct {
		struct str name;
		char *value;
	} params[REQUEST_PARAMS_MAX];
	size_t param_count;

	char *text; /* the head, into which query and headers point */
	struct http1_header *headers;
	size_t header_count;
};

/* Copies what head says about the text that it was parsed from. peer is the address that the connection comes from;
 * when it is trusted, the last entry of X-Forwarded-For takes its place, and X-Forwarded-Proto is believed. NULL and
 * *err (ERR_INPUT) for a path that url_path() refuses. */
struct http_request *request_new(
    const struct http1_head *head, struct str text, const char *peer, bool peer_is_trusted, struct err *err);
void request_free(struct http_request **request);

/* The body, followed by its NUL, is the caller's: free(). The request has none from then on. */
char *request_take_body(struct http_request *request);
/* The value of the first header of that name; empty when there is none. */
struct str request_header(const struct http_request *request, const char *name);
/* The cookie's value; empty when there is none (RFC 6265 section 4.2.1). */
struct str request_cookie(const struct http_request *request, const char *name);
/* The decoded parameter of the query into ret; false when it is absent or malformed. */
bool request_query(const struct http_request *request, const char *name, struct buf *ret);
/* The router's capture of that name; asserts that there is one. */
const char *request_param(const struct http_request *request, const char *name);

#endif
