#include "proto/mail.h"

#include <string.h>
#include <time.h>

#include "proto/utf8.h"

#define ENCODED_MAX 52 /* characters inside one encoded word: "Subject: =?UTF-8?Q?...?=" stays below 76 */
#define PLAIN_MAX 60   /* longer headers are encoded words, which fold anywhere */
#define LINE_MAX 75    /* of quoted-printable, before its "=" */
#define REPLACEMENT "\xef\xbf\xbd"

static bool
is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* RFC 5322 atext and the dot. */
static bool
is_atom(char c)
{
	return is_alnum(c) || (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~.", c) != NULL);
}

/* Names joined by single dots. */
static bool
is_dotted(struct str s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (!is_atom(s.p[i]) || (s.p[i] == '.' && (i == 0 || i + 1 == s.len || s.p[i + 1] == '.')))
			return false;
	}
	return s.len > 0;
}

static bool
is_domain(struct str s)
{
	if (!is_dotted(s))
		return false;
	while (s.len > 0) {
		struct str label = str_cut(&s, '.');

		if (label.len > 63 || label.p[0] == '-' || label.p[label.len - 1] == '-')
			return false;
		for (size_t i = 0; i < label.len; i++) {
			if (!is_alnum(label.p[i]) && label.p[i] != '-')
				return false;
		}
	}
	return true;
}

bool
mail_address_is_valid(struct str address)
{
	struct str domain = address;
	struct str local = str_cut(&domain, '@');

	return address.len <= MAIL_ADDRESS_MAX && local.len <= 64 && is_dotted(local) && is_domain(domain);
}

static bool
is_id(const char *id)
{
	struct str right = str_of(id);
	struct str left = str_cut(&right, '@');

	return strlen(id) <= 250 && is_dotted(left) && is_dotted(right);
}

/* Controls, line and paragraph separators, and what turns the direction of text around. */
static bool
is_hidden(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c <= 0x9f) || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) ||
	       c == 0x200e || c == 0x200f;
}

/* The text on one line, and short. */
static void
clean_line(struct buf *b, const char *text)
{
	struct str rest = str_of(text);
	size_t len;

	for (unsigned n = 0; rest.len > 0; n++) {
		uint32_t c = utf8_decode(rest, &len);

		if (n == MAIL_SUBJECT_MAX) {
			buf_adds(b, "...");
			return;
		}
		if (c == UTF8_BAD)
			buf_adds(b, REPLACEMENT);
		else if (is_hidden(c))
			buf_addc(b, ' ');
		else
			buf_add(b, rest.p, len);
		rest = (struct str){ rest.p + len, rest.len - len };
	}
}

enum place { UNSTRUCTURED, PHRASE };

/* Whether a header may hold the text as it is. A phrase has specials that would have to be quoted. */
static bool
is_plain(struct str s, enum place place)
{
	if (s.len > PLAIN_MAX || (s.len > 0 && (s.p[0] == ' ' || s.p[s.len - 1] == ' ')) ||
	    memmem(s.p, s.len, "=?", 2) != NULL)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] < ' ' || s.p[i] > '~' || (place == PHRASE && !is_alnum(s.p[i]) && s.p[i] != ' '))
			return false;
	}
	return true;
}

/* One character as RFC 2047 section 4.2 wants it, in the set that is good everywhere. */
static void
encode_char(struct buf *b, struct str c)
{
	for (size_t i = 0; i < c.len; i++) {
		if (is_alnum(c.p[i]))
			buf_addc(b, c.p[i]);
		else if (c.p[i] == ' ')
			buf_addc(b, '_');
		else
			buf_addf(b, "=%02X", (unsigned)(unsigned char)c.p[i]);
	}
}

/* Encoded words, one a line; a character is never cut in two. */
static void
encode_words(struct buf *b, struct str text)
{
	size_t start, len;
	struct buf c;

	buf_init(&c, 12);
	buf_adds(b, "=?UTF-8?Q?");
	start = b->len;
	for (; text.len > 0; text = (struct str){ text.p + len, text.len - len }) {
		utf8_decode(text, &len);
		buf_reset(&c);
		encode_char(&c, (struct str){ text.p, len });
		if (b->len - start + c.len > ENCODED_MAX) {
			buf_adds(b, "?=\r\n =?UTF-8?Q?");
			start = b->len;
		}
		buf_addstr(b, buf_str(&c));
	}
	buf_adds(b, "?=");
	buf_fini(&c);
}

static void
add_text(struct buf *b, const char *text, enum place place)
{
	struct buf line;

	buf_init(&line, 4 * MAIL_SUBJECT_MAX + 8);
	clean_line(&line, text);
	if (is_plain(buf_str(&line), place))
		buf_addstr(b, buf_str(&line));
	else
		encode_words(b, buf_str(&line));
	buf_fini(&line);
}

/* RFC 5322 section 3.3. strftime would speak the locale's language. */
static void
add_date(struct buf *b, int64_t date_s)
{
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	time_t t = (time_t)date_s;
	struct tm tm = { 0 };

	gmtime_r(&t, &tm);
	buf_addf(b, "Date: %.3s, %d %.3s %04d %02d:%02d:%02d +0000\r\n", days + tm.tm_wday * 3, tm.tm_mday,
	    months + tm.tm_mon * 3, tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

static void
add_headers(struct buf *b, const struct mail *mail)
{
	add_date(b, mail->date_s);
	buf_adds(b, "From: ");
	if (mail->from_name != NULL) {
		add_text(b, mail->from_name, PHRASE);
		buf_adds(b, "\r\n ");
	}
	buf_addf(b, "<%s>\r\nTo: <%s>\r\nSubject: ", mail->from, mail->to);
	add_text(b, mail->subject, UNSTRUCTURED);
	buf_addf(b, "\r\nMessage-ID: <%s>\r\n", mail->message_id);
	if (mail->thread != NULL)
		buf_addf(b, "In-Reply-To: <%s>\r\nReferences: <%s>\r\n", mail->thread, mail->thread);
	if (mail->list_id != NULL)
		buf_addf(b, "List-Id: <%s>\r\n", mail->list_id);
	buf_adds(b, "Auto-Submitted: auto-generated\r\n"
		    "Precedence: bulk\r\n"
		    "MIME-Version: 1.0\r\n"
		    "Content-Type: text/plain; charset=utf-8\r\n"
		    "Content-Transfer-Encoding: quoted-printable\r\n"
		    "\r\n");
}

/* A quoted-printable text being printed. */
struct qp {
	struct buf *b;
	size_t column;
};

/* escape: though it is printable. */
static void
qp_byte(struct qp *qp, char c, bool escape)
{
	if (qp->column + 3 > LINE_MAX) {
		buf_adds(qp->b, "=\r\n");
		qp->column = 0;
	}
	/* mailers alter a dot or "From " at the start of a line */
	if (qp->column == 0 && (c == '.' || c == 'F'))
		escape = true;
	if (!escape && c >= ' ' && c <= '~' && c != '=') {
		buf_addc(qp->b, c);
		qp->column++;
	} else {
		buf_addf(qp->b, "=%02X", (unsigned)(unsigned char)c);
		qp->column += 3;
	}
}

static void
qp_newline(struct qp *qp)
{
	buf_adds(qp->b, "\r\n");
	qp->column = 0;
}

/* Bytes of the line break at the start of s; 0: there is none. */
static size_t
break_len(struct str s)
{
	if (s.len > 1 && s.p[0] == '\r' && s.p[1] == '\n')
		return 2;
	return s.len > 0 && (s.p[0] == '\r' || s.p[0] == '\n') ? 1 : 0;
}

/* The character at the start of text, which is no line break; returns its length. */
static size_t
qp_char(struct qp *qp, struct str text)
{
	size_t len;
	uint32_t code = utf8_decode(text, &len);
	struct str rest = { text.p + len, text.len - len };
	bool last = rest.len == 0 || break_len(rest) > 0;
	struct str c = { text.p, len };

	if (code == UTF8_BAD || (is_hidden(code) && code != '\t'))
		c = STR(REPLACEMENT);
	for (size_t i = 0; i < c.len; i++)
		qp_byte(qp, c.p[i], last && (code == ' ' || code == '\t'));
	return len;
}

static void
add_body(struct buf *b, struct str body)
{
	struct qp qp = { .b = b };

	if (body.len > MAIL_BODY_MAX)
		body.len = MAIL_BODY_MAX;
	while (body.len > 0) {
		size_t len = break_len(body);

		if (len > 0)
			qp_newline(&qp);
		else
			len = qp_char(&qp, body);
		body = (struct str){ body.p + len, body.len - len };
	}
	if (qp.column > 0)
		qp_newline(&qp);
}

bool
mail_print(struct buf *b, const struct mail *mail, struct err *err)
{
	if (!mail_address_is_valid(str_of(mail->from)))
		return err_set(
		    err, ERR_INPUT, 0, "the sender's address is not of the form NAME@HOST: correct smtp.from");
	if (!mail_address_is_valid(str_of(mail->to)))
		return err_set(err, ERR_INPUT, 0, "the recipient's address is not of the form NAME@HOST");
	if (!is_id(mail->message_id) || (mail->thread != NULL && !is_id(mail->thread)) ||
	    (mail->list_id != NULL && !is_dotted(str_of(mail->list_id))))
		return err_set(err, ERR_INPUT, 0, "the message's id cannot stand in a header");
	add_headers(b, mail);
	add_body(b, mail->body);
	if (buf_failed(b))
		return err_set(err, ERR_LIMIT, 0, "the message is larger than %zu bytes", b->max);
	return true;
}
