#include "proto/access_line.h"

#include <inttypes.h>
#include <string.h>

static void
add_escaped(struct buf *b, struct str s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c < 0x20 || c >= 0x7f || c == '"' || c == '\\')
			buf_addf(b, "\\x%02X", c);
		else
			buf_addc(b, (char)c);
	}
}

static const char *
find(struct str s, const char *text)
{
	return memmem(s.p, s.len, text, strlen(text));
}

static void
skip_login(struct buf *b, struct str *s)
{
	const char *scheme = find(*s, "://"), *host = scheme != NULL ? scheme + 3 : s->p, *end = s->p + s->len,
		   *at = NULL;

	if (scheme == NULL)
		return;
	for (const char *p = host; p < end && *p != '/'; p++)
		at = *p == '@' ? p : at;
	add_escaped(b, (struct str){ s->p, (size_t)(host - s->p) });
	host = at != NULL ? at + 1 : host;
	*s = (struct str){ host, (size_t)(end - host) };
}

/* A URL, or a path. */
static void
add_url(struct buf *b, struct str url)
{
	struct str path;

	skip_login(b, &url);
	path = url;
	path = str_cut(&url, '?');
	add_escaped(b, path);
	if (url.len > 0)
		buf_adds(b, "?...");
}

static void
add_quoted(struct buf *b, struct str s)
{
	buf_adds(b, " \"");
	add_url(b, s.len > 0 ? s : STR("-"));
	buf_addc(b, '"');
}

/* METHOD target HTTP/1.1, of which nothing is certain when it was refused. */
static void
add_request(struct buf *b, struct str line)
{
	struct str rest = line, method = str_cut(&rest, ' '), target = str_cut(&rest, ' ');

	buf_adds(b, " \"");
	add_escaped(b, method);
	if (target.len > 0)
		buf_addc(b, ' ');
	add_url(b, target);
	if (rest.len > 0)
		buf_addc(b, ' ');
	add_escaped(b, rest);
	buf_addc(b, '"');
}

static void
add_time(struct buf *b, time_t when)
{
	static const char months[][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov",
		"Dec" };
	struct tm tm;

	gmtime_r(&when, &tm);
	buf_addf(b, " [%02d/%s/%d:%02d:%02d:%02d +0000]", tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour,
	    tm.tm_min, tm.tm_sec);
}

static const char *
or_dash(const char *s)
{
	return s[0] != '\0' ? s : "-";
}

bool
access_line_print(struct buf *b, const struct access_line *line)
{
	buf_addf(b, "%s - ", or_dash(line->peer));
	add_escaped(b, str_of(or_dash(line->user)));
	add_time(b, line->when);
	add_request(b, line->request);
	buf_addf(b, " %u %" PRIu64, line->status, line->bytes);
	add_quoted(b, line->referer);
	buf_adds(b, " \"");
	add_escaped(b, line->agent.len > 0 ? line->agent : STR("-"));
	buf_addf(b, "\" \"%s\"\n", or_dash(line->source));
	return !buf_failed(b);
}
