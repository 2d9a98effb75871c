/* URLs (RFC 3986): those that our clients connect to, percent-encoding, and the paths that our router matches. */
#ifndef DAVIT_PROTO_URL_H
#define DAVIT_PROTO_URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/buf.h"
#include "proto/err.h"
#include "proto/str.h"

#define URL_MAX 4096 /* bytes of a URL that url_parse takes */

enum url_scheme { URL_HTTP, URL_HTTPS, URL_UNIX, URL_TCP, URL_SMTP, URL_SMTPS };

struct url {
	enum url_scheme scheme;
	char *host;     /* lower case, an IPv6 address without its brackets; NULL for unix */
	unsigned port;  /* the scheme's own when the URL has none (80, 443, 25, 465; tcp must have one); 0 for unix */
	char *path;     /* path and query as written, "" or beginning with '/'; for unix the socket's absolute path */
	char *user;     /* decoded; NULL without userinfo */
	char *password; /* decoded; NULL without one */
};

enum url_userinfo { URL_NO_USERINFO, URL_WITH_USERINFO };

/* Refuses other schemes, fragments, blanks and control bytes, a bad host or port, and userinfo unless it is asked for.
 * *ret is filled on success only; end it with url_fini. The error's text does not repeat the URL, as it may hold a
 * password. */
bool url_parse(struct str text, enum url_userinfo userinfo, struct url *ret, struct err *err);
void url_fini(struct url *url);
const char *url_scheme_name(enum url_scheme scheme);
/* "host", "host:port" or "[v6]:port", as the Host header wants it: the scheme's own port is left out; "localhost" for
 * unix. */
bool url_print_host(struct buf *b, const struct url *url);

/* Splits "host", "host:port", "[v6]:port". host has no brackets; port is 0 when there is none. */
bool url_split_host(struct str text, struct str *host, unsigned *port);

/* Appends s with its %XX decoded; false (and b failed or part of s added) for a malformed escape. */
bool url_decode(struct buf *b, struct str s);
/* Appends s with all but the unreserved characters (letters, digits, "-._~") and those in keep ("/" for a path; may be
 * "") as %XX. */
bool url_encode(struct buf *b, struct str s, const char *keep);

/* A request's path for the router: splits target at the first '?', decodes the path once into path (emptied first) and
 * gives the raw query ("" without one). Refused, so that no two readers disagree about the segments: a path that does
 * not begin with '/', malformed escapes, %00 and control bytes, %2F, backslashes, the segments "." and "..", however
 * encoded, and empty segments, but for the last. */
bool url_path(struct str target, struct buf *path, struct str *query, struct err *err);

/* Cuts the next name=value off a raw query; false at its end. Both are raw; value is empty without '='. */
bool url_query_next(struct str *query, struct str *name, struct str *value);
/* The first parameter of that name, decoded ('+' is a blank) into ret (emptied first). False when there is none, or its
 * escapes are malformed or hold a NUL. */
bool url_query_get(struct str query, const char *name, struct buf *ret);

#endif
