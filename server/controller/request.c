#include "server/controller/request.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"
#include "proto/url.h"

#define PATH_MAX_BYTES 8192

/* The part of copy that lies where s lies in text. */
static struct str
rebase(struct str s, struct str text, char *copy)
{
	if (s.len == 0)
		return STR("");
	assert(s.p >= text.p && s.p + s.len <= text.p + text.len);
	return (struct str){ copy + (s.p - text.p), s.len };
}

static void
copy_head(struct http_request *request, const struct http1_head *head, struct str text)
{
	text.len = head->used;
	request->text = xcalloc(1, text.len + 1);
	memcpy(request->text, text.p, text.len);
	request->header_count = head->header_count;
	request->headers = xcalloc(head->header_count, sizeof(*request->headers));
	for (size_t i = 0; i < head->header_count; i++)
		request->headers[i] = (struct http1_header){
			.name = rebase(head->headers[i].name, text, request->text),
			.value = rebase(head->headers[i].value, text, request->text),
		};
}

/* A proxy appends the address that it saw: the last entry is the only one that is not the client's own word. */
static struct str
forwarded_for(const struct http_request *request)
{
	struct str rest = request_header(request, "X-Forwarded-For"), last = STR("");

	while (rest.len > 0)
		last = str_trim(str_cut(&rest, ','));
	return last;
}

static void
take_peer(struct http_request *request, const char *peer, bool is_trusted)
{
	struct str forwarded = is_trusted ? forwarded_for(request) : STR("");

	request->peer = forwarded.len > 0 && forwarded.len < 64 ? str_dup(forwarded) : xstrdup(peer);
	request->is_https = is_trusted && str_is_nocase(request_header(request, "X-Forwarded-Proto"), "https");
}

struct http_request *
request_new(const struct http1_head *head, struct str text, const char *peer, bool peer_is_trusted, struct err *err)
{
	struct http_request *request;
	struct str query = STR("");
	struct buf path;

	buf_init(&path, PATH_MAX_BYTES);
	if (str_is(head->path, "*"))
		buf_adds(&path, "*"); /* OPTIONS of the server as a whole */
	else if (!url_path(head->path, &path, &query, err)) {
		buf_fini(&path);
		return NULL;
	}
	request = xcalloc(1, sizeof(*request));
	*request = (struct http_request){
		.method = head->method,
		.minor = head->minor,
		.keeps_alive = http1_keeps_alive(head),
		.path = buf_take(&path, NULL),
		.body = xstrdup(""),
	};
	buf_fini(&path);
	copy_head(request, head, text);
	request->query = rebase(query, text, request->text);
	take_peer(request, peer, peer_is_trusted);
	return request;
}

char *
request_take_body(struct http_request *request)
{
	char *body = request->body;

	request->body = xstrdup("");
	request->body_len = 0;
	return body;
}

void
request_free(struct http_request **request)
{
	struct http_request *r = *request;

	if (r == NULL)
		return;
	*request = NULL;
	for (size_t i = 0; i < r->param_count; i++)
		free(r->params[i].value);
	free(r->peer);
	free(r->who);
	free(r->headers);
	free(r->text);
	free(r->body);
	free(r->path);
	free(r);
}

struct str
request_header(const struct http_request *request, const char *name)
{
	for (size_t i = 0; i < request->header_count; i++)
		if (str_is_nocase(request->headers[i].name, name))
			return request->headers[i].value;
	return STR("");
}

struct str
request_cookie(const struct http_request *request, const char *name)
{
	struct str rest = request_header(request, "Cookie");

	while (rest.len > 0) {
		struct str value = str_trim(str_cut(&rest, ';'));
		struct str key = str_cut(&value, '=');

		if (str_is(key, name))
			return value;
	}
	return STR("");
}

bool
request_query(const struct http_request *request, const char *name, struct buf *ret)
{
	return url_query_get(request->query, name, ret);
}

const char *
request_param(const struct http_request *request, const char *name)
{
	for (size_t i = 0; i < request->param_count; i++)
		if (str_is(request->params[i].name, name))
			return request->params[i].value;
	assert(!"a parameter that the route's pattern does not have");
	return "";
}
