#include "proto/marker.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>

#define MARKER_BYTE '\x1e'

void
marker_init(struct marker *m, const char *nonce, marker_fn *fn, void *arg)
{
	assert(strlen(nonce) == MARKER_NONCE_LEN);
	*m = (struct marker){ .fn = fn, .arg = arg };
	memcpy(m->nonce, nonce, MARKER_NONCE_LEN);
}

static void
give(struct marker *m, struct buf *out, const char *p, size_t len)
{
	bool fits = buf_add(out, p, len);

	assert(fits);
	m->offset += len;
}

/* What the held bytes are. */
enum verdict {
	PARTIAL, /* the beginning of a marker */
	WHOLE,   /* a marker */
	OTHER,   /* plain output */
};

/* Cuts word off *s; PARTIAL when *s ends within it. */
static enum verdict
cut_word(struct str *s, const char *word, size_t len)
{
	size_t have = s->len < len ? s->len : len;

	if (memcmp(s->p, word, have) != 0)
		return OTHER;
	s->p += have;
	s->len -= have;
	return have < len ? PARTIAL : WHOLE;
}

/* Cuts the name and the character that ends it. */
static enum verdict
cut_name(struct str *s, char end, struct marker_event *event)
{
	size_t len = 0;

	while (len < s->len && (isalnum((unsigned char)s->p[len]) || strchr("_.-", s->p[len]) != NULL) &&
	       s->p[len] != '\0')
		len++;
	if (len > MARKER_NAME_MAX)
		return OTHER;
	if (len == s->len)
		return PARTIAL;
	if (len == 0 || s->p[len] != end)
		return OTHER;
	memcpy(event->name, s->p, len);
	event->name[len] = '\0';
	s->p += len + 1;
	s->len -= len + 1;
	return WHOLE;
}

/* The exit code and the newline: the rest of an end marker. */
static enum verdict
cut_exit(struct str *s, struct marker_event *event)
{
	struct str digits = *s;
	uint64_t code;

	if (digits.len == 0)
		return PARTIAL;
	digits.len -= digits.p[digits.len - 1] == '\n';
	if (!str_to_u64(digits, 255, &code) || digits.len > 3)
		return OTHER;
	event->exit_code = (unsigned)code;
	return digits.len < s->len ? WHOLE : PARTIAL;
}

static enum verdict
judge(const struct marker *m, struct marker_event *event)
{
	struct str s = { m->held + 1, m->held_len - 1 };
	enum verdict verdict = cut_word(&s, m->nonce, MARKER_NONCE_LEN);

	*event = (struct marker_event){ .kind = MARKER_BEGIN, .offset = m->offset };
	if (verdict != WHOLE)
		return verdict;
	if ((verdict = cut_word(&s, " ", 1)) != WHOLE || s.len == 0)
		return verdict == OTHER ? OTHER : PARTIAL;
	if (s.p[0] == 'b') {
		verdict = cut_word(&s, "begin ", 6);
		return verdict == WHOLE ? cut_name(&s, '\n', event) : verdict;
	}
	event->kind = MARKER_END;
	if ((verdict = cut_word(&s, "end ", 4)) == WHOLE && (verdict = cut_name(&s, ' ', event)) == WHOLE)
		verdict = cut_exit(&s, event);
	return verdict;
}

/* One byte that is, or may become, part of a marker. */
static void
hold(struct marker *m, char byte, struct buf *out)
{
	struct marker_event event;

	assert(m->held_len < sizeof(m->held));
	m->held[m->held_len++] = byte;
	switch (judge(m, &event)) {
	case PARTIAL:
		break;
	case WHOLE:
		event.length = m->held_len;
		m->held_len = 0;
		m->fn(m->arg, &event);
		break;
	case OTHER:
		/* 0x1e is in no marker but at its front: only the last byte can begin another one. */
		m->held_len--;
		give(m, out, m->held, m->held_len);
		m->held_len = 0;
		if (byte == MARKER_BYTE)
			m->held[m->held_len++] = byte;
		else
			give(m, out, &byte, 1);
		break;
	}
}

void
marker_feed(struct marker *m, struct str in, struct buf *out)
{
	while (in.len > 0) {
		const char *at = in.p;

		if (m->held_len == 0 && (at = memchr(in.p, MARKER_BYTE, in.len)) == NULL)
			at = in.p + in.len;
		give(m, out, in.p, (size_t)(at - in.p));
		in.len -= (size_t)(at - in.p);
		in.p = at;
		if (in.len > 0) {
			hold(m, *in.p++, out);
			in.len--;
		}
	}
}

void
marker_finish(struct marker *m, struct buf *out)
{
	give(m, out, m->held, m->held_len);
	m->held_len = 0;
}
