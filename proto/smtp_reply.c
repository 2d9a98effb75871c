#include "proto/smtp_reply.h"

#include <stdio.h>

void
smtp_reply_init(struct smtp_reply *reply)
{
	*reply = (struct smtp_reply){ 0 };
	buf_init(&reply->text, SMTP_LINE_MAX * 8);
	buf_init(&reply->line, SMTP_LINE_MAX);
}

void
smtp_reply_fini(struct smtp_reply *reply)
{
	buf_fini(&reply->text);
	buf_fini(&reply->line);
}

static void
begin(struct smtp_reply *reply)
{
	buf_reset(&reply->text);
	buf_reset(&reply->line);
	reply->code = reply->lines = 0;
	reply->whole = false;
}

/* "250-text", "250 text" or "250"; the code must be that of the lines before. */
static bool
parse_line(struct smtp_reply *reply, struct str line, bool *last)
{
	uint64_t code;

	if (line.len > 0 && line.p[line.len - 1] == '\r')
		line.len--;
	if (line.len < 3 || !str_to_u64((struct str){ line.p, 3 }, 599, &code) || code < 200 ||
	    (line.len > 3 && line.p[3] != ' ' && line.p[3] != '-') || (reply->lines > 0 && code != reply->code))
		return false;
	reply->code = (unsigned)code;
	reply->lines++;
	*last = line.len == 3 || line.p[3] == ' ';
	if (line.len > 4)
		buf_add(&reply->text, line.p + 4, line.len - 4);
	buf_addc(&reply->text, '\n');
	return true;
}

enum smtp_read
smtp_reply_feed(struct smtp_reply *reply, struct str *bytes, struct err *err)
{
	if (reply->whole)
		begin(reply);
	while (bytes->len > 0) {
		const char *start = bytes->p;
		struct str line = str_cut(bytes, '\n');
		bool ended = bytes->p > start + line.len;

		if (!buf_addstr(&reply->line, line) || reply->lines >= SMTP_LINES_MAX) {
			err_set(err, ERR_LIMIT, 0, "the mail server's reply is too long");
			return SMTP_READ_BAD;
		}
		if (!ended)
			break;
		if (!parse_line(reply, buf_str(&reply->line), &reply->whole) || buf_failed(&reply->text)) {
			err_set(err, ERR_PROTO, 0, "the mail server does not speak SMTP");
			return SMTP_READ_BAD;
		}
		buf_reset(&reply->line);
		if (reply->whole)
			return SMTP_READ_REPLY;
	}
	return SMTP_READ_MORE;
}

void
smtp_reply_print(const struct smtp_reply *reply, char *ret, size_t size)
{
	size_t len = (size_t)snprintf(ret, size, "%u ", reply->code);

	for (size_t i = 0; i < reply->text.len && len + 1 < size; i++) {
		char c = reply->text.data[i];

		if (c == '\n')
			c = ' ';
		ret[len++] = c >= ' ' && c <= '~' ? c : '?';
	}
	while (len > 0 && ret[len - 1] == ' ')
		len--;
	ret[len] = '\0';
}
