#include "proto/http_condition.h"

#include <stddef.h>

#include "proto/http_date.h"

static bool
is_weak(struct str etag)
{
	return str_has_prefix(etag, "W/");
}

static struct str
opaque(struct str etag)
{
	return is_weak(etag) ? (struct str){ etag.p + 2, etag.len - 2 } : etag;
}

/* Without quotes it is no ETag, but servers send and clients repeat such. */
static bool
etags_match(struct str a, struct str b, bool strong)
{
	if (strong && (is_weak(a) || is_weak(b)))
		return false;
	return str_eq(opaque(a), opaque(b));
}

/* "*" or a list; commas within quotes part nothing. */
static bool
list_has(struct str list, struct str etag, bool strong)
{
	while (list.len > 0) {
		bool is_quoted = false;
		size_t i = 0;

		for (; i < list.len && (is_quoted || list.p[i] != ','); i++)
			if (list.p[i] == '"')
				is_quoted = !is_quoted;
		if (etags_match(str_trim((struct str){ list.p, i }), etag, strong))
			return true;
		list = i < list.len ? (struct str){ list.p + i + 1, list.len - i - 1 } : (struct str){ list.p + i, 0 };
	}
	return false;
}

static bool
names_reply(const struct http1_head *request, const char *name, struct str etag, bool strong)
{
	for (size_t i = 0; i < request->header_count; i++) {
		struct str value = request->headers[i].value;

		if (!str_is_nocase(request->headers[i].name, name))
			continue;
		if (str_is(value, "*") || (etag.len > 0 && list_has(value, etag, strong)))
			return true;
	}
	return false;
}

/* Compares a date of the request's with Last-Modified, in its absence with Date (RFC 9111 section 4.3.2): another reply
 * may be of the same second, so then the stored one counts as the later. False when one of them is missing or
 * malformed. */
static bool
compare_dates(const struct http1_head *request, const char *name, const struct http1_head *reply, int64_t now, int *ret)
{
	struct str told = http1_value(request, name), modified;
	bool is_of_content;
	int64_t asked, stored;

	if (told.len == 0 || !http_date_parse(told, now, &asked))
		return false;
	modified = http1_value(reply, "Last-Modified");
	is_of_content = modified.len > 0;
	if (!is_of_content)
		modified = http1_value(reply, "Date");
	if (!http_date_parse(modified, now, &stored))
		return false;
	*ret = stored > asked || (stored == asked && !is_of_content) ? 1 : stored < asked ? -1 : 0;
	return true;
}

enum http_condition
http_condition_judge(const struct http1_head *request, const struct http1_head *reply, int64_t now)
{
	struct str etag = http1_value(reply, "ETag");
	int order;

	if (http1_find(request, "If-Match") != NULL) {
		if (!names_reply(request, "If-Match", etag, true))
			return HTTP_CONDITION_FAILED;
	} else if (compare_dates(request, "If-Unmodified-Since", reply, now, &order) && order > 0) {
		return HTTP_CONDITION_FAILED;
	}
	if (http1_find(request, "If-None-Match") != NULL)
		return names_reply(request, "If-None-Match", etag, false) ? HTTP_CONDITION_NOT_MODIFIED
									  : HTTP_CONDITION_SERVE;
	if (compare_dates(request, "If-Modified-Since", reply, now, &order) && order <= 0)
		return HTTP_CONDITION_NOT_MODIFIED;
	return HTTP_CONDITION_SERVE;
}

bool
http_condition_ranges(const struct http1_head *request, const struct http1_head *reply)
{
	struct str asked = http1_value(request, "If-Range");

	if (http1_find(request, "If-Range") == NULL)
		return true;
	if (asked.len > 0 && (asked.p[0] == '"' || is_weak(asked)))
		return etags_match(asked, http1_value(reply, "ETag"), true);
	return asked.len > 0 && str_eq(asked, http1_value(reply, "Last-Modified"));
}

struct str
http_condition_strong(const struct http1_head *reply)
{
	struct str etag = http1_value(reply, "ETag");

	if (etag.len > 0 && etag.p[0] == '"')
		return etag;
	return http1_value(reply, "Last-Modified");
}

struct str
http_condition_date(const struct http1_head *reply)
{
	struct str modified = http1_value(reply, "Last-Modified");
	int64_t changed, sent;

	if (http_date_parse(http1_value(reply, "Date"), 0, &sent) && http_date_parse(modified, sent, &changed) &&
	    changed + 1 >= sent)
		return STR("");
	return modified;
}
