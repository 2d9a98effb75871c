#include "proto/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"

void
buf_init(struct buf *b, size_t max)
{
	assert(max > 0);
	*b = (struct buf){ .data = xcalloc(1, 1), .max = max };
}

void
buf_fini(struct buf *b)
{
	free(b->data);
	*b = (struct buf){ 0 };
}

void
buf_reset(struct buf *b)
{
	b->len = 0;
	b->data[0] = '\0';
	b->failed = false;
}

static bool
reserve(struct buf *b, size_t more)
{
	size_t want, cap;

	if (b->failed || more > b->max - b->len) {
		b->failed = true;
		return false;
	}
	want = b->len + more;
	if (want <= b->cap)
		return true;
	cap = b->cap < 64 ? 64 : b->cap * 2;
	if (cap < want)
		cap = want;
	if (cap > b->max)
		cap = b->max;
	b->data = xrealloc(b->data, cap + 1);
	b->cap = cap;
	return true;
}

bool
buf_add(struct buf *b, const void *p, size_t len)
{
	if (!reserve(b, len))
		return false;
	if (len > 0)
		memcpy(b->data + b->len, p, len);
	b->len += len;
	b->data[b->len] = '\0';
	return true;
}

bool
buf_adds(struct buf *b, const char *s)
{
	return buf_add(b, s, strlen(s));
}

bool
buf_addstr(struct buf *b, struct str s)
{
	return buf_add(b, s.p, s.len);
}

bool
buf_addc(struct buf *b, char c)
{
	return buf_add(b, &c, 1);
}

bool
buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	size_t room = b->cap - b->len;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(b->data + b->len, room + 1, fmt, ap);
	va_end(ap);
	assert(len >= 0);
	if (b->failed || (size_t)len > room) {
		b->data[b->len] = '\0';
		if (!reserve(b, (size_t)len))
			return false;
		va_start(ap, fmt);
		vsnprintf(b->data + b->len, (size_t)len + 1, fmt, ap);
		va_end(ap);
	}
	b->len += (size_t)len;
	return true;
}

void
buf_shift(struct buf *b, size_t len)
{
	assert(len <= b->len);
	memmove(b->data, b->data + len, b->len - len + 1);
	b->len -= len;
}

bool
buf_failed(const struct buf *b)
{
	return b->failed;
}

struct str
buf_str(const struct buf *b)
{
	return (struct str){ b->data, b->len };
}

char *
buf_take(struct buf *b, size_t *len)
{
	char *data = b->data;
	size_t max = b->max;

	if (len != NULL)
		*len = b->len;
	buf_init(b, max);
	return data;
}
