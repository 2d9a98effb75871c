#include "proto/smtp.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base64.h"
#include "proto/mail.h"
#include "proto/mem.h"
#include "proto/smtp_reply.h"

#define TO_MAX 100
#define LOGIN_MAX 512 /* bytes of a user's name or a password */

enum smtp_state {
	SMTP_GREETING,
	SMTP_EHLO,
	SMTP_HELO,
	SMTP_STARTTLS,
	SMTP_HANDSHAKE, /* TLS is being made: nothing is sent, nothing may come */
	SMTP_AUTH_PLAIN,
	SMTP_AUTH_LOGIN,
	SMTP_AUTH_USER,
	SMTP_AUTH_PASSWORD,
	SMTP_MAIL,
	SMTP_RCPT,
	SMTP_DATA,
	SMTP_MESSAGE,
	SMTP_QUIT,
	SMTP_OVER,
};

struct smtp {
	const struct smtp_params *params;
	struct smtp_reply reply;
	struct smtp_result *results;
	enum smtp_state state;
	size_t rcpt;     /* the recipient that RCPT is about */
	size_t accepted; /* recipients */
	bool secure;     /* TLS stands */
	/* what the server offers since the last EHLO */
	bool has_starttls;
	bool has_plain;
	bool has_login;
	bool has_size;
	uint64_t size_max; /* 0: no limit */
};

static bool
is_login(const char *s)
{
	return s == NULL || strlen(s) <= LOGIN_MAX;
}

static bool
has_user(const struct smtp_params *params)
{
	return params->user != NULL && params->user[0] != '\0';
}

/* The domain of RFC 5321 section 4.1.1.1, or an address literal. */
static bool
is_helo(const char *helo)
{
	for (const char *p = helo; *p != '\0'; p++) {
		if (*p <= ' ' || *p > '~')
			return false;
	}
	return helo[0] != '\0' && strlen(helo) <= 255;
}

struct smtp *
smtp_new(const struct smtp_params *params, struct err *err)
{
	struct smtp *smtp;
	bool good = params->to_count > 0 && params->to_count <= TO_MAX && mail_address_is_valid(str_of(params->from));

	for (size_t i = 0; good && i < params->to_count; i++)
		good = mail_address_is_valid(str_of(params->to[i]));
	if (!good || !is_helo(params->helo) || !is_login(params->user) || !is_login(params->password)) {
		err_set(err, ERR_INPUT, 0,
		    "the mail's sender, recipients, host name or login cannot stand in SMTP commands");
		return NULL;
	}
	smtp = xcalloc(1, sizeof(*smtp));
	*smtp = (struct smtp){ .params = params, .secure = params->tls == SMTP_TLS_IMPLICIT };
	smtp->results = xcalloc(params->to_count, sizeof(*smtp->results));
	smtp_reply_init(&smtp->reply);
	return smtp;
}

void
smtp_free(struct smtp **smtp)
{
	struct smtp *s = *smtp;

	if (s == NULL)
		return;
	*smtp = NULL;
	smtp_reply_fini(&s->reply);
	free(s->results);
	free(s);
}

/* Those without a result are: SMTP_TEMPORARY without an error. */
static void
settle(struct smtp *smtp, enum smtp_outcome outcome, struct err err)
{
	for (size_t i = 0; i < smtp->params->to_count; i++) {
		if (smtp->results[i].outcome == SMTP_TEMPORARY && smtp->results[i].err.code == ERR_NONE)
			smtp->results[i] = (struct smtp_result){ outcome, err };
	}
}

void
smtp_lost(struct smtp *smtp, const struct err *err)
{
	settle(smtp, SMTP_TEMPORARY, err_prefix(*err, "mail server, at %s", smtp_where(smtp)));
	smtp->state = SMTP_OVER;
}

static struct err
refusal(const struct smtp *smtp)
{
	char words[180];

	smtp_reply_print(&smtp->reply, words, sizeof(words));
	return err_make(
	    ERR_REFUSED, (int)smtp->reply.code, "the mail server answered %s with: %s", smtp_where(smtp), words);
}

static enum smtp_outcome
outcome_of(unsigned code)
{
	return code >= 500 ? SMTP_PERMANENT : SMTP_TEMPORARY;
}

/* The reply is not what this state can go on with. */
static enum smtp_state
give_up(struct smtp *smtp)
{
	settle(smtp, outcome_of(smtp->reply.code), refusal(smtp));
	return SMTP_QUIT;
}

/* The server can do too little for what the settings ask. They may change, hence temporary. */
static enum smtp_state
give_up_saying(struct smtp *smtp, const char *why)
{
	settle(smtp, SMTP_TEMPORARY, err_make(ERR_REFUSED, 0, "%s", why));
	return SMTP_QUIT;
}

static bool
says_ok(const struct smtp *smtp)
{
	return smtp->reply.code / 100 == 2;
}

static void
read_auth(struct smtp *smtp, struct str mechanisms)
{
	while (mechanisms.len > 0) {
		struct str name = str_cut(&mechanisms, ' ');

		smtp->has_plain |= str_is_nocase(name, "PLAIN");
		smtp->has_login |= str_is_nocase(name, "LOGIN");
	}
}

static void
read_offers(struct smtp *smtp)
{
	struct str text = buf_str(&smtp->reply.text);

	smtp->has_starttls = smtp->has_plain = smtp->has_login = smtp->has_size = false;
	smtp->size_max = 0;
	str_cut(&text, '\n'); /* the server's name */
	while (text.len > 0) {
		struct str rest = str_cut(&text, '\n');
		struct str word = str_cut(&rest, ' ');

		if (str_is_nocase(word, "STARTTLS"))
			smtp->has_starttls = true;
		else if (str_is_nocase(word, "AUTH"))
			read_auth(smtp, rest);
		else if (str_is_nocase(word, "SIZE")) {
			smtp->has_size = true;
			str_to_u64(rest, UINT64_MAX, &smtp->size_max);
		}
	}
}

static enum smtp_state
begin_mail(struct smtp *smtp)
{
	if (smtp->size_max > 0 && smtp->params->message.len > smtp->size_max) {
		settle(smtp, SMTP_PERMANENT, err_make(ERR_LIMIT, 0, "the mail is larger than the mail server takes"));
		return SMTP_QUIT;
	}
	return SMTP_MAIL;
}

/* After EHLO, and there is no TLS to come. */
static enum smtp_state
begin_auth(struct smtp *smtp)
{
	if (!has_user(smtp->params))
		return begin_mail(smtp);
	if (!smtp->secure && !smtp->params->clear_auth)
		return give_up_saying(smtp, "the mail server offers no TLS, so that the password was not sent: use "
					    "smtp.tls: implicit or another server");
	if (smtp->has_plain)
		return SMTP_AUTH_PLAIN;
	if (smtp->has_login)
		return SMTP_AUTH_LOGIN;
	return give_up_saying(smtp, "the mail server offers neither AUTH PLAIN nor AUTH LOGIN: remove smtp.user?");
}

static enum smtp_state
on_greeting(struct smtp *smtp)
{
	return smtp->reply.code == 220 ? SMTP_EHLO : give_up(smtp);
}

static enum smtp_state
on_ehlo(struct smtp *smtp)
{
	enum smtp_tls tls = smtp->params->tls;

	if (!says_ok(smtp)) /* an old server; without EHLO it can do neither TLS nor AUTH */
		return smtp->reply.code / 100 == 5 && tls != SMTP_TLS_REQUIRED && !has_user(smtp->params)
			   ? SMTP_HELO
			   : give_up(smtp);
	read_offers(smtp);
	if (smtp->secure || tls == SMTP_TLS_OFF || (tls == SMTP_TLS_AUTO && !smtp->has_starttls))
		return begin_auth(smtp);
	if (!smtp->has_starttls)
		return give_up_saying(
		    smtp, "the mail server offers no STARTTLS, which smtp.starttls: required asks for");
	return SMTP_STARTTLS;
}

static enum smtp_state
on_helo(struct smtp *smtp)
{
	return says_ok(smtp) ? begin_mail(smtp) : give_up(smtp);
}

static enum smtp_state
on_starttls(struct smtp *smtp)
{
	if (smtp->reply.code == 220)
		return SMTP_HANDSHAKE;
	return smtp->params->tls == SMTP_TLS_AUTO && smtp->reply.code != 421 ? begin_auth(smtp) : give_up(smtp);
}

static enum smtp_state
on_auth(struct smtp *smtp)
{
	return says_ok(smtp) ? begin_mail(smtp) : give_up(smtp);
}

static enum smtp_state
on_auth_login(struct smtp *smtp)
{
	return smtp->reply.code == 334 ? SMTP_AUTH_USER : give_up(smtp);
}

static enum smtp_state
on_auth_user(struct smtp *smtp)
{
	return smtp->reply.code == 334 ? SMTP_AUTH_PASSWORD : give_up(smtp);
}

static enum smtp_state
on_mail(struct smtp *smtp)
{
	return says_ok(smtp) ? SMTP_RCPT : give_up(smtp);
}

static enum smtp_state
on_rcpt(struct smtp *smtp)
{
	if (smtp->reply.code == 421)
		return give_up(smtp);
	if (says_ok(smtp))
		smtp->accepted++;
	else
		smtp->results[smtp->rcpt] = (struct smtp_result){ outcome_of(smtp->reply.code), refusal(smtp) };
	if (++smtp->rcpt < smtp->params->to_count)
		return SMTP_RCPT;
	return smtp->accepted > 0 ? SMTP_DATA : SMTP_QUIT;
}

static enum smtp_state
on_data(struct smtp *smtp)
{
	return smtp->reply.code == 354 ? SMTP_MESSAGE : give_up(smtp);
}

static enum smtp_state
on_message(struct smtp *smtp)
{
	if (!says_ok(smtp))
		return give_up(smtp);
	settle(smtp, SMTP_SENT, ERR_OK);
	return SMTP_QUIT;
}

static enum smtp_state
on_quit(struct smtp *smtp)
{
	(void)smtp;
	return SMTP_OVER;
}

static void
print_nothing(const struct smtp *smtp, struct buf *out)
{
	(void)smtp;
	(void)out;
}

static void
print_ehlo(const struct smtp *smtp, struct buf *out)
{
	buf_addf(out, "EHLO %s\r\n", smtp->params->helo);
}

static void
print_helo(const struct smtp *smtp, struct buf *out)
{
	buf_addf(out, "HELO %s\r\n", smtp->params->helo);
}

static void
print_starttls(const struct smtp *smtp, struct buf *out)
{
	(void)smtp;
	buf_adds(out, "STARTTLS\r\n");
}

static void
print_base64(struct buf *out, const char *s)
{
	base64_encode(str_of(s), BASE64_STANDARD, out);
	buf_adds(out, "\r\n");
}

static void
print_auth_plain(const struct smtp *smtp, struct buf *out)
{
	struct buf login;

	buf_init(&login, 2 * LOGIN_MAX + 2);
	buf_addc(&login, '\0');
	buf_adds(&login, smtp->params->user);
	buf_addc(&login, '\0');
	buf_addstr(&login, str_of(smtp->params->password));
	buf_adds(out, "AUTH PLAIN ");
	base64_encode(buf_str(&login), BASE64_STANDARD, out);
	buf_adds(out, "\r\n");
	buf_fini(&login);
}

static void
print_auth_login(const struct smtp *smtp, struct buf *out)
{
	(void)smtp;
	buf_adds(out, "AUTH LOGIN\r\n");
}

static void
print_auth_user(const struct smtp *smtp, struct buf *out)
{
	print_base64(out, smtp->params->user);
}

static void
print_auth_password(const struct smtp *smtp, struct buf *out)
{
	print_base64(out, smtp->params->password);
}

static void
print_mail(const struct smtp *smtp, struct buf *out)
{
	buf_addf(out, "MAIL FROM:<%s>", smtp->params->from);
	if (smtp->has_size)
		buf_addf(out, " SIZE=%zu", smtp->params->message.len);
	buf_adds(out, "\r\n");
}

static void
print_rcpt(const struct smtp *smtp, struct buf *out)
{
	buf_addf(out, "RCPT TO:<%s>\r\n", smtp->params->to[smtp->rcpt]);
}

static void
print_data(const struct smtp *smtp, struct buf *out)
{
	(void)smtp;
	buf_adds(out, "DATA\r\n");
}

/* RFC 5321 section 4.5.2. A lone CR or LF is a line end like CRLF: no two servers can disagree about where lines, and
 * with them the message, end. */
static void
print_message(const struct smtp *smtp, struct buf *out)
{
	struct str s = smtp->params->message;
	bool at_start = true;

	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] == '\r' || s.p[i] == '\n') {
			i += s.p[i] == '\r' && i + 1 < s.len && s.p[i + 1] == '\n';
			buf_adds(out, "\r\n");
			at_start = true;
			continue;
		}
		if (at_start && s.p[i] == '.')
			buf_addc(out, '.');
		buf_addc(out, s.p[i]);
		at_start = false;
	}
	buf_adds(out, at_start ? ".\r\n" : "\r\n.\r\n");
}

static void
print_quit(const struct smtp *smtp, struct buf *out)
{
	(void)smtp;
	buf_adds(out, "QUIT\r\n");
}

/* clang-format off */
static const struct {
	const char *name; /* of the command, for texts: never what it carries */
	void (*print)(const struct smtp *, struct buf *);
	enum smtp_state (*on_reply)(struct smtp *);
} states[] = {
	[SMTP_GREETING]      = { "connecting",    print_nothing,       on_greeting },
	[SMTP_EHLO]          = { "EHLO",          print_ehlo,          on_ehlo },
	[SMTP_HELO]          = { "HELO",          print_helo,          on_helo },
	[SMTP_STARTTLS]      = { "STARTTLS",      print_starttls,      on_starttls },
	[SMTP_HANDSHAKE]     = { "TLS",           print_nothing,       NULL },
	[SMTP_AUTH_PLAIN]    = { "AUTH PLAIN",    print_auth_plain,    on_auth },
	[SMTP_AUTH_LOGIN]    = { "AUTH LOGIN",    print_auth_login,    on_auth_login },
	[SMTP_AUTH_USER]     = { "AUTH LOGIN",    print_auth_user,     on_auth_user },
	[SMTP_AUTH_PASSWORD] = { "AUTH LOGIN",    print_auth_password, on_auth },
	[SMTP_MAIL]          = { "MAIL",          print_mail,          on_mail },
	[SMTP_RCPT]          = { "RCPT",          print_rcpt,          on_rcpt },
	[SMTP_DATA]          = { "DATA",          print_data,          on_data },
	[SMTP_MESSAGE]       = { "the message",   print_message,       on_message },
	[SMTP_QUIT]          = { "QUIT",          print_quit,          on_quit },
	[SMTP_OVER]          = { "the end",       print_nothing,       NULL },
};
/* clang-format on */

const char *
smtp_where(const struct smtp *smtp)
{
	return states[smtp->state].name;
}

/* The only place where the state changes on the happy path; smtp_lost() is the other way. */
static enum smtp_wants
enter(struct smtp *smtp, enum smtp_state next, struct buf *out)
{
	smtp->state = next;
	states[next].print(smtp, out);
	assert(!buf_failed(out));
	if (next == SMTP_HANDSHAKE)
		return SMTP_WANTS_STARTTLS;
	return next == SMTP_OVER ? SMTP_WANTS_END : SMTP_WANTS_BYTES;
}

static enum smtp_wants
fail(struct smtp *smtp, struct err err)
{
	smtp_lost(smtp, &err);
	return SMTP_WANTS_END;
}

enum smtp_wants
smtp_feed(struct smtp *smtp, struct str bytes, struct buf *out)
{
	enum smtp_wants wants;
	struct err err;

	if (smtp->state == SMTP_OVER)
		return SMTP_WANTS_END;
	if (smtp->state == SMTP_HANDSHAKE)
		return fail(smtp, err_make(ERR_PROTO, 0, "clear text behind the answer to STARTTLS"));
	switch (smtp_reply_feed(&smtp->reply, &bytes, &err)) {
	case SMTP_READ_MORE:
		return SMTP_WANTS_BYTES;
	case SMTP_READ_BAD:
		return fail(smtp, err);
	case SMTP_READ_REPLY:
		break;
	}
	wants = enter(smtp, states[smtp->state].on_reply(smtp), out);
	if (bytes.len > 0 && smtp->state < SMTP_QUIT) {
		buf_reset(out); /* nothing may be sent to whom we cannot believe */
		return fail(smtp, err_make(ERR_PROTO, 0, "it spoke without having been asked"));
	}
	return wants;
}

enum smtp_wants
smtp_secured(struct smtp *smtp, struct buf *out)
{
	assert(smtp->state == SMTP_HANDSHAKE);
	smtp->secure = true;
	return enter(smtp, SMTP_EHLO, out);
}

bool
smtp_is_settled(const struct smtp *smtp)
{
	return smtp->state >= SMTP_QUIT;
}

const struct smtp_result *
smtp_results(const struct smtp *smtp)
{
	return smtp->results;
}
