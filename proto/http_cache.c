#include "proto/http_cache.h"

#include <string.h>

#include "proto/http_date.h"

#define HEURISTIC_MAX 86400

static bool
is_one_of(unsigned status, const unsigned *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (list[i] == status)
			return true;
	return false;
}

/* RFC 9110 section 15.1, without 206, which is not stored. */
static bool
is_heuristic(unsigned status)
{
	static const unsigned list[] = { 200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501 };

	return is_one_of(status, list, sizeof(list) / sizeof(list[0]));
}

/* Statuses whose rules for caches are followed here. */
static bool
is_understood(unsigned status)
{
	static const unsigned list[] = { 200, 203, 204, 300, 301, 302, 303, 307, 308, 400, 401, 403, 404, 405, 410, 414,
		451, 500, 501, 502, 503, 504 };

	return is_one_of(status, list, sizeof(list) / sizeof(list[0]));
}

static bool
has_expires(const struct http1_head *reply)
{
	return http1_find(reply, "Expires") != NULL;
}

/* "*" anywhere, or what is no header's name: no request can be said to match. */
static bool
varies_by_all(const struct http1_head *reply)
{
	for (size_t i = 0; i < reply->header_count; i++) {
		struct str list = reply->headers[i].value;

		while (str_is_nocase(reply->headers[i].name, "Vary") && list.len > 0) {
			struct str name = str_trim(str_cut(&list, ','));

			if (str_is(name, "*") || (name.len > 0 && !http1_is_token(name)))
				return true;
		}
	}
	return false;
}

static bool
is_forbidden(const struct http1_head *request, const struct http1_head *reply, const struct cache_control *cc)
{
	struct cache_control asked;

	cache_control_read(request, &asked);
	if (asked.no_store || (cc->no_store && !(cc->must_understand && is_understood(reply->status))))
		return true;
	if (cc->is_private || varies_by_all(reply) || (cc->must_understand && !is_understood(reply->status)))
		return true;
	if (http1_find(request, "Cookie") != NULL && !cc->is_public)
		return true;
	return http1_find(request, "Authorization") != NULL && !cc->is_public && !cc->must_revalidate &&
	       cc->s_maxage == CACHE_CONTROL_NONE;
}

static bool
is_explicit(const struct http1_head *reply, const struct cache_control *cc)
{
	return cc->max_age != CACHE_CONTROL_NONE || cc->s_maxage != CACHE_CONTROL_NONE || has_expires(reply);
}

bool
http_cache_may_store(const struct http1_head *request, const struct http1_head *reply)
{
	struct cache_control cc;

	cache_control_read(reply, &cc);
	if (reply->status < 200 || reply->status == 206 || reply->status == 304 || is_forbidden(request, reply, &cc))
		return false;
	if (is_explicit(reply, &cc) || cc.is_public)
		return true;
	/* a cookie is for everybody only when the server says for how long */
	return is_heuristic(reply->status) && http1_find(reply, "Set-Cookie") == NULL;
}

bool
http_cache_may_store_post(const struct http1_head *request, const struct http1_head *reply)
{
	struct cache_control cc;

	cache_control_read(reply, &cc);
	return reply->status == 200 && is_explicit(reply, &cc) && http_cache_may_store(request, reply);
}

static bool
read_date(const struct http1_head *head, const char *name, int64_t now, int64_t *ret)
{
	struct str value = http1_value(head, name);

	return value.len > 0 && http_date_parse(value, now, ret);
}

/* Without a date of its own it was made when it came. */
static int64_t
date_of(const struct http1_head *reply, int64_t received)
{
	int64_t date;

	return read_date(reply, "Date", received, &date) ? date : received;
}

static int64_t
by_expires(const struct http1_head *reply, int64_t received)
{
	int64_t expires, date = date_of(reply, received);

	if (!read_date(reply, "Expires", received, &expires) || expires < date)
		return 0;
	return expires - date < CACHE_CONTROL_MAX ? expires - date : CACHE_CONTROL_MAX;
}

static int64_t
by_heuristic(const struct http1_head *reply, const struct cache_control *cc, int64_t received)
{
	int64_t modified, date = date_of(reply, received);

	if (!is_heuristic(reply->status) && !cc->is_public)
		return 0;
	if (!read_date(reply, "Last-Modified", received, &modified) || modified >= date)
		return 0;
	return (date - modified) / 10 < HEURISTIC_MAX ? (date - modified) / 10 : HEURISTIC_MAX;
}

int64_t
http_cache_lifetime(const struct http1_head *reply, int64_t received)
{
	struct cache_control cc;

	cache_control_read(reply, &cc);
	if (cc.s_maxage != CACHE_CONTROL_NONE)
		return cc.s_maxage;
	if (cc.max_age != CACHE_CONTROL_NONE)
		return cc.max_age;
	return has_expires(reply) ? by_expires(reply, received) : by_heuristic(reply, &cc, received);
}

/* The first of a list counts (RFC 9111 section 5.1); two headers, or what is no number, make the reply too old. */
static int64_t
told_age(const struct http1_head *reply)
{
	unsigned count = 0;
	uint64_t age = 0;

	for (size_t i = 0; i < reply->header_count; i++) {
		struct str value = reply->headers[i].value;

		if (!str_is_nocase(reply->headers[i].name, "Age"))
			continue;
		if (count++ > 0 || !str_to_u64(str_trim(str_cut(&value, ',')), CACHE_CONTROL_MAX, &age))
			return CACHE_CONTROL_MAX;
	}
	return (int64_t)age;
}

int64_t
http_cache_age(const struct http1_head *reply, const struct http_cache_times *times, int64_t now)
{
	int64_t age = told_age(reply), apparent = times->received - date_of(reply, times->received);

	age += times->received - times->requested;
	if (apparent > age)
		age = apparent;
	age += now - times->received;
	if (age < 0)
		return 0;
	return age < CACHE_CONTROL_MAX ? age : CACHE_CONTROL_MAX;
}

/* No word of the request's is older than Pragma, which counts where Cache-Control says nothing. */
static bool
asks_for_new(const struct http1_head *request, const struct cache_control *asked, int64_t age, int64_t lifetime)
{
	if (asked->no_cache || asked->no_store)
		return true;
	if (http1_find(request, "Cache-Control") == NULL && http1_has_token(request, "Pragma", "no-cache"))
		return true;
	if (asked->max_age != CACHE_CONTROL_NONE && age >= asked->max_age)
		return true;
	return asked->min_fresh != CACHE_CONTROL_NONE && lifetime - age < asked->min_fresh;
}

/* Beyond its lifetime only with the upstream's word. */
static bool
is_strict(const struct cache_control *cc)
{
	return cc->no_cache || cc->must_revalidate || cc->proxy_revalidate || cc->s_maxage != CACHE_CONTROL_NONE;
}

enum http_cache_verdict
http_cache_judge(
    const struct http1_head *request, const struct http1_head *reply, const struct http_cache_times *times, int64_t now)
{
	int64_t age = http_cache_age(reply, times, now), lifetime = http_cache_lifetime(reply, times->received);
	struct cache_control asked, cc;

	cache_control_read(request, &asked);
	cache_control_read(reply, &cc);
	if (cc.no_cache || asks_for_new(request, &asked, age, lifetime))
		return HTTP_CACHE_REVALIDATE;
	if (age < lifetime)
		return HTTP_CACHE_FRESH;
	if (is_strict(&cc))
		return HTTP_CACHE_REVALIDATE;
	if (asked.max_stale != CACHE_CONTROL_NONE && age - lifetime <= asked.max_stale)
		return HTTP_CACHE_FRESH;
	if (cc.stale_while_revalidate != CACHE_CONTROL_NONE && age - lifetime < cc.stale_while_revalidate)
		return HTTP_CACHE_BEHIND;
	return HTTP_CACHE_REVALIDATE;
}

bool
http_cache_may_serve_stale(
    const struct http1_head *reply, const struct http_cache_times *times, int64_t now, int64_t grace)
{
	struct cache_control cc;
	int64_t over = http_cache_age(reply, times, now) - http_cache_lifetime(reply, times->received);

	cache_control_read(reply, &cc);
	if (is_strict(&cc))
		return false;
	return over <= (cc.stale_if_error != CACHE_CONTROL_NONE ? cc.stale_if_error : grace);
}

bool
http_cache_is_hop_header(const struct http1_head *head, struct str name)
{
	static const char *const hop[] = { "Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate",
		"Proxy-Authentication-Info", "Proxy-Authorization", "TE", "Trailer", "Transfer-Encoding", "Upgrade" };
	char text[64]; /* a longer name is nobody's to list */

	for (size_t i = 0; i < sizeof(hop) / sizeof(hop[0]); i++)
		if (str_is_nocase(name, hop[i]))
			return true;
	if (name.len >= sizeof(text))
		return false;
	memcpy(text, name.p, name.len);
	text[name.len] = '\0';
	return http1_has_token(head, "Connection", text);
}

bool
http_cache_is_kept(struct str name)
{
	static const char *const kept[] = { "Content-Encoding", "Content-Length", "Content-MD5", "Content-Range",
		"ETag" };

	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		if (str_is_nocase(name, kept[i]))
			return true;
	return false;
}
