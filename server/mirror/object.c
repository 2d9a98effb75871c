#include "server/mirror/object.h"

#include <stdlib.h>
#include <string.h>

#include "proto/http_vary.h"
#include "proto/mem.h"

#define HEAD_MAX (64 * 1024)

struct variant *
variant_new(uint64_t id, struct str head, struct str selection, const struct http_cache_times *times)
{
	struct variant *v = xcalloc(1, sizeof(*v) + head.len + 1 + selection.len + 1);

	v->refs = 1;
	v->id = id;
	v->times = *times;
	v->used = v->noted = times->received;
	memcpy(v->text, head.p, head.len);
	if (selection.len > 0)
		memcpy(v->text + head.len + 1, selection.p, selection.len);
	v->head = v->text;
	v->head_len = head.len;
	v->selection = v->text + head.len + 1;
	return v;
}

struct variant *
variant_ref(struct variant *v)
{
	v->refs++;
	return v;
}

void
variant_unref(struct variant **variant)
{
	struct variant *v = *variant;

	*variant = NULL;
	if (v == NULL || --v->refs > 0)
		return;
	draft_unref(&v->draft);
	draft_unref(&v->open);
	if (v->head != v->text)
		free(v->head);
	free(v);
}

/* It was printed by us, and checked when it was read from the disk. */
void
variant_read_head(const struct variant *v, struct http1_head *ret)
{
	struct http1_scan scan = { 0 };

	http1_parse_reply(&scan, (struct str){ v->head, v->head_len }, NULL, ret);
}

bool
variant_is_clean(const struct variant *v)
{
	struct http1_scan scan = { 0 };
	struct http1_head head;

	return http1_parse_reply(&scan, (struct str){ v->head, v->head_len }, NULL, &head) == HTTP1_DONE;
}

bool
variant_is_filed(const struct variant *v)
{
	return v->draft == NULL;
}

static void
print_header(struct buf *b, const struct http1_header *header)
{
	buf_addstr(b, header->name);
	buf_adds(b, ": ");
	buf_addstr(b, header->value);
	buf_adds(b, "\r\n");
}

static bool
is_stored_header(const struct http1_head *reply, struct str name)
{
	return !http_cache_is_hop_header(reply, name) && !str_is_nocase(name, "Content-Length");
}

bool
variant_print_head(struct buf *b, const struct http1_head *reply, enum http1_method method)
{
	buf_addf(b, "HTTP/1.1 %u ", reply->status);
	buf_addstr(b, reply->reason);
	buf_adds(b, "\r\n");
	for (size_t i = 0; i < reply->header_count; i++)
		if (is_stored_header(reply, reply->headers[i].name) ||
		    (method == HTTP1_HEAD && str_is_nocase(reply->headers[i].name, "Content-Length")))
			print_header(b, &reply->headers[i]);
	return http1_print_end(b) && !buf_failed(b);
}

static bool
is_replaced(const struct http1_head *news, const struct http1_header *old)
{
	if (http_cache_is_kept(old->name))
		return false;
	if (str_is_nocase(old->name, "Age")) /* of the old reply */
		return true;
	for (size_t i = 0; i < news->header_count; i++)
		if (str_eq_nocase(news->headers[i].name, old->name))
			return true;
	return false;
}

void
variant_freshen(struct variant *v, const struct http1_head *news, const struct http_cache_times *times)
{
	struct http1_head old;
	struct buf b;

	variant_read_head(v, &old);
	buf_init(&b, HEAD_MAX);
	buf_addf(&b, "HTTP/1.1 %u ", old.status);
	buf_addstr(&b, old.reason);
	buf_adds(&b, "\r\n");
	for (size_t i = 0; i < old.header_count; i++)
		if (!is_replaced(news, &old.headers[i]))
			print_header(&b, &old.headers[i]);
	for (size_t i = 0; i < news->header_count; i++)
		if (is_stored_header(news, news->headers[i].name) && !http_cache_is_kept(news->headers[i].name))
			print_header(&b, &news->headers[i]);
	http1_print_end(&b);
	if (!buf_failed(&b) && b.len < http1_reply_limits.head) {
		if (v->head != v->text)
			free(v->head);
		v->head = buf_take(&b, &v->head_len);
	}
	v->times = *times;
	buf_fini(&b);
}

static bool
speaks(const struct variant *v, const struct http1_head *request)
{
	struct http1_head head;

	if (strstr(v->selection, "accept-language") == NULL)
		return false;
	variant_read_head(v, &head);
	return http_vary_speaks(str_of(v->selection), request, http1_value(&head, "Content-Language"));
}

struct variant *
object_select(const struct object *object, const struct http1_head *request)
{
	struct variant *v;

	LIST_FOREACH(v, &object->variants, of_object)
	if (http_vary_matches(str_of(v->selection), request))
		return v;
	LIST_FOREACH(v, &object->variants, of_object)
	if (speaks(v, request))
		return v;
	return NULL;
}

/* --- the record --- */

static void
put_u64(struct buf *b, uint64_t n)
{
	for (int i = 0; i < 8; i++)
		buf_addc(b, (char)(n >> 8 * i));
}

static bool
get_u64(struct str *s, uint64_t *ret)
{
	*ret = 0;
	if (s->len < 8)
		return false;
	for (int i = 0; i < 8; i++)
		*ret |= (uint64_t)(unsigned char)s->p[i] << 8 * i;
	*s = (struct str){ s->p + 8, s->len - 8 };
	return true;
}

static void
put_text(struct buf *b, struct str text)
{
	put_u64(b, text.len);
	buf_addstr(b, text);
}

static bool
get_text(struct str *s, struct str *ret)
{
	uint64_t len;

	if (!get_u64(s, &len) || len > s->len)
		return false;
	*ret = (struct str){ s->p, (size_t)len };
	*s = (struct str){ s->p + len, s->len - (size_t)len };
	return true;
}

bool
variant_print_record(struct buf *b, const char *key, const struct variant *v)
{
	put_u64(b, v->id);
	put_u64(b, v->size);
	put_u64(b, (uint64_t)v->times.requested);
	put_u64(b, (uint64_t)v->times.received);
	put_text(b, str_of(key));
	put_text(b, str_of(v->selection));
	put_text(b, (struct str){ v->head, v->head_len });
	return !buf_failed(b);
}

bool
variant_read_key(struct str record, struct str *key)
{
	const size_t numbers = 4 * sizeof(uint64_t);

	if (record.len < numbers)
		return false;
	record = (struct str){ record.p + numbers, record.len - numbers };
	return get_text(&record, key);
}

struct variant *
variant_read_record(struct str record, struct str *key)
{
	uint64_t id, size, requested, received;
	struct str name, selection, head;
	struct variant *v;

	if (!get_u64(&record, &id) || !get_u64(&record, &size) || !get_u64(&record, &requested) ||
	    !get_u64(&record, &received) || !get_text(&record, &name) || !get_text(&record, &selection) ||
	    !get_text(&record, &head) || record.len > 0 || size > INT64_MAX)
		return NULL;
	v = variant_new(id, head, selection, &(struct http_cache_times){ (int64_t)requested, (int64_t)received });
	v->size = size;
	*key = name;
	return v;
}
