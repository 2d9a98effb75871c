#include "test/unit/unit.h"

#include <stdlib.h>

#include "proto/smtp.h"
#include "proto/smtp_reply.h"

static const char *const one[] = { "ada@example.com" };
static const char *const three[] = { "a@example.com", "b@example.com", "c@example.com" };

static const struct smtp_params simple = {
	.helo = "ci.example.com",
	.from = "davit@example.com",
	.to = one,
	.to_count = 1,
	.message = { "Subject: x\r\n\r\n.dot\r\n", 19 },
};

/* A dialogue as one text: what we say stands as it is sent, what the server says behind "< ". "<TLS>" is the handshake,
 * "<END>" the end. cut: the server's bytes come in pieces of that size; 0: whole. */
static void
assert_dialogue(const struct smtp_params *params, const char *const *server, const char *expected,
    struct smtp_result *ret, size_t cut)
{
	struct err err;
	struct smtp *smtp = smtp_new(params, &err);
	enum smtp_wants wants = SMTP_WANTS_BYTES;
	struct buf out, all;

	assert_non_null(smtp);
	buf_init(&out, SMTP_OUT_MAX(params->message.len));
	buf_init(&all, 64 * 1024);
	for (size_t i = 0; server[i] != NULL && wants != SMTP_WANTS_END; i++) {
		struct str rest = str_of(server[i]);

		while (rest.len > 0 && wants != SMTP_WANTS_END) {
			size_t len = cut > 0 && cut < rest.len ? cut : rest.len;

			wants = smtp_feed(smtp, (struct str){ rest.p, len }, &out);
			rest = (struct str){ rest.p + len, rest.len - len };
			buf_addstr(&all, buf_str(&out));
			buf_reset(&out);
			if (wants == SMTP_WANTS_STARTTLS && rest.len == 0) {
				buf_adds(&all, "<TLS>\r\n");
				wants = smtp_secured(smtp, &out);
				buf_addstr(&all, buf_str(&out));
				buf_reset(&out);
			}
		}
	}
	if (wants == SMTP_WANTS_END)
		buf_adds(&all, "<END>");
	assert_string_equal(all.data, expected);
	for (size_t i = 0; ret != NULL && i < params->to_count; i++)
		ret[i] = smtp_results(smtp)[i];
	buf_fini(&out);
	buf_fini(&all);
	smtp_free(&smtp);
}

#define MESSAGE "Subject: x\r\n\r\n..dot\r\n.\r\n"

static void
test_sends_one_mail_at_every_cut(void **state)
{
	static const char *const server[] = { "220-mx.example.com\r\n220 hello\r\n",
		"250-mx.example.com\r\n250-SIZE 1000\r\n250 8BITMIME\r\n", "250 ok\r\n", "250 ok\r\n",
		"354 go ahead\r\n", "250 2.0.0 queued as 7\r\n", "221 bye\r\n", NULL };

	(void)state;
	for (size_t cut = 0; cut < 50; cut++) {
		struct smtp_result result;

		assert_dialogue(&simple, server,
		    "EHLO ci.example.com\r\nMAIL FROM:<davit@example.com> SIZE=19\r\nRCPT TO:<ada@example.com>\r\n"
		    "DATA\r\n" MESSAGE "QUIT\r\n<END>",
		    &result, cut);
		assert_int_equal(result.outcome, SMTP_SENT);
		assert_int_equal(result.err.code, ERR_NONE);
	}
}

static void
test_starttls_and_auth_plain(void **state)
{
	static const char *const server[] = { "220 hi\r\n", "250-mx\r\n250-STARTTLS\r\n250 AUTH LOGIN PLAIN\r\n",
		"220 go\r\n", "250-mx\r\n250 AUTH CRAM-MD5 plain login\r\n", "235 ok\r\n", "250 ok\r\n", "250 ok\r\n",
		"354 go\r\n", "250 ok\r\n", "221 bye\r\n", NULL };
	struct smtp_params params = simple;
	struct smtp_result result;

	(void)state;
	params.user = "tim";
	params.password = "tanstaaftanstaaf"; /* the example of RFC 4616, without an authorization identity */
	assert_dialogue(&params, server,
	    "EHLO ci.example.com\r\nSTARTTLS\r\n<TLS>\r\nEHLO ci.example.com\r\n"
	    "AUTH PLAIN AHRpbQB0YW5zdGFhZnRhbnN0YWFm\r\nMAIL FROM:<davit@example.com>\r\nRCPT TO:<ada@example.com>\r\n"
	    "DATA\r\n" MESSAGE "QUIT\r\n<END>",
	    &result, 0);
	assert_int_equal(result.outcome, SMTP_SENT);
}

static void
test_auth_login_over_implicit_tls(void **state)
{
	static const char *const server[] = { "220 hi\r\n", "250-mx\r\n250 AUTH LOGIN\r\n", "334 VXNlcm5hbWU6\r\n",
		"334 UGFzc3dvcmQ6\r\n", "535 5.7.8 no\r\n", "221 bye\r\n", NULL };
	struct smtp_params params = simple;
	struct smtp_result result;

	(void)state;
	params.tls = SMTP_TLS_IMPLICIT;
	params.user = "ada";
	params.password = "secret";
	assert_dialogue(
	    &params, server, "EHLO ci.example.com\r\nAUTH LOGIN\r\nYWRh\r\nc2VjcmV0\r\nQUIT\r\n<END>", &result, 0);
	assert_int_equal(result.outcome, SMTP_PERMANENT);
	assert_int_equal(result.err.detail, 535);
	assert_null(strstr(result.err.text, "secret"));
	assert_null(strstr(result.err.text, "c2VjcmV0"));
}

static void
test_password_never_goes_in_clear(void **state)
{
	static const char *const server[] = { "220 hi\r\n", "250-mx\r\n250 AUTH PLAIN\r\n", "221 bye\r\n", NULL };
	static const char *const refuses_tls[] = { "220 hi\r\n", "250-mx\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n",
		"454 TLS not available\r\n", "221 bye\r\n", NULL };
	static const char *const allowed[] = { "220 hi\r\n", "250-mx\r\n250 AUTH PLAIN\r\n", "235 ok\r\n", NULL };
	static const enum smtp_tls modes[] = { SMTP_TLS_AUTO, SMTP_TLS_OFF };
	struct smtp_params params = simple;
	struct smtp_result result;

	(void)state;
	params.user = "a";
	params.password = "b";
	for (size_t i = 0; i < 2; i++) {
		params.tls = modes[i];
		assert_dialogue(&params, server, "EHLO ci.example.com\r\nQUIT\r\n<END>", &result, 0);
		assert_int_equal(result.outcome, SMTP_TEMPORARY);
		assert_non_null(strstr(result.err.text, "password was not sent"));
	}
	params.tls = SMTP_TLS_AUTO;
	assert_dialogue(&params, refuses_tls, "EHLO ci.example.com\r\nSTARTTLS\r\nQUIT\r\n<END>", &result, 0);
	assert_int_equal(result.outcome, SMTP_TEMPORARY);
	params.clear_auth = true;
	assert_dialogue(&params, allowed,
	    "EHLO ci.example.com\r\nAUTH PLAIN AGEAYg==\r\nMAIL FROM:<davit@example.com>\r\n", NULL, 0);
}

static void
test_required_tls_is_required(void **state)
{
	static const char *const offers_none[] = { "220 hi\r\n", "250 mx\r\n", "221 bye\r\n", NULL };
	static const char *const refuses[] = { "220 hi\r\n", "250-mx\r\n250 STARTTLS\r\n", "502 no\r\n", "221 bye\r\n",
		NULL };
	static const char *const too_old[] = { "220 hi\r\n", "500 what?\r\n", "221 bye\r\n", NULL };
	struct smtp_params params = simple;
	struct smtp_result result;

	(void)state;
	params.tls = SMTP_TLS_REQUIRED;
	assert_dialogue(&params, offers_none, "EHLO ci.example.com\r\nQUIT\r\n<END>", &result, 0);
	assert_int_equal(result.outcome, SMTP_TEMPORARY);
	assert_dialogue(&params, refuses, "EHLO ci.example.com\r\nSTARTTLS\r\nQUIT\r\n<END>", &result, 0);
	assert_int_equal(result.outcome, SMTP_PERMANENT);
	assert_dialogue(&params, too_old, "EHLO ci.example.com\r\nQUIT\r\n<END>", &result, 0);
	assert_int_equal(result.outcome, SMTP_PERMANENT);
}

static void
test_old_server_is_greeted_with_helo(void **state)
{
	static const char *const server[] = { "220 hi\r\n", "502 what?\r\n", "250 mx\r\n", "250 ok\r\n", NULL };

	(void)state;
	assert_dialogue(&simple, server,
	    "EHLO ci.example.com\r\nHELO ci.example.com\r\nMAIL FROM:<davit@example.com>\r\nRCPT "
	    "TO:<ada@example.com>\r\n",
	    NULL, 0);
}

static void
test_clear_text_behind_starttls_is_refused(void **state)
{
	static const char *const together[] = { "220 hi\r\n", "250-mx\r\n250 STARTTLS\r\n",
		"220 go\r\n250-mx\r\n250 AUTH PLAIN\r\n", "235 ok\r\n", NULL };
	struct smtp_result result;

	(void)state;
	for (size_t cut = 0; cut < 12;
	     cut++) { /* in one piece it is behind the reply, in pieces it comes in HANDSHAKE */
		assert_dialogue(&simple, together, "EHLO ci.example.com\r\nSTARTTLS\r\n<END>", &result, cut);
		assert_int_equal(result.outcome, SMTP_TEMPORARY);
		assert_int_equal(result.err.code, ERR_PROTO);
	}
}

static void
test_server_that_speaks_unasked_is_refused(void **state)
{
	static const char *const server[] = { "220 hi\r\n250 mx\r\n250 ok\r\n250 ok\r\n354 go\r\n250 ok\r\n", NULL };
	static const char *const after_sent[] = { "220 hi\r\n", "250 mx\r\n", "250 ok\r\n", "250 ok\r\n", "354 go\r\n",
		"250 taken\r\n421 closing\r\n", NULL };
	struct smtp_result result;

	(void)state;
	assert_dialogue(&simple, server, "<END>", &result, 0);
	assert_int_equal(result.err.code, ERR_PROTO);
	assert_dialogue(&simple, after_sent,
	    "EHLO ci.example.com\r\nMAIL FROM:<davit@example.com>\r\nRCPT TO:<ada@example.com>\r\nDATA\r\n" MESSAGE
	    "QUIT\r\n",
	    &result, 0);
	assert_int_equal(result.outcome, SMTP_SENT); /* it was taken: a second attempt would make two of it */
}

static void
test_each_recipient_has_its_own_result(void **state)
{
	static const char *const server[] = { "220 hi\r\n", "250 mx\r\n", "250 ok\r\n", "450 4.2.0 greylisted\r\n",
		"250 ok\r\n", "550-5.1.1 no such\r\n550 5.1.1 user\r\n", "354 go\r\n", "250 ok\r\n", "221 bye\r\n",
		NULL };
	struct smtp_params params = simple;
	struct smtp_result results[3];

	(void)state;
	params.to = three;
	params.to_count = 3;
	assert_dialogue(&params, server,
	    "EHLO ci.example.com\r\nMAIL FROM:<davit@example.com>\r\nRCPT TO:<a@example.com>\r\nRCPT "
	    "TO:<b@example.com>\r\n"
	    "RCPT TO:<c@example.com>\r\nDATA\r\n" MESSAGE "QUIT\r\n<END>",
	    results, 0);
	assert_int_equal(results[0].outcome, SMTP_TEMPORARY);
	assert_int_equal(results[0].err.detail, 450);
	assert_int_equal(results[1].outcome, SMTP_SENT);
	assert_int_equal(results[2].outcome, SMTP_PERMANENT);
	assert_non_null(strstr(results[2].err.text, "550 5.1.1 no such 5.1.1 user"));
}

/* Each step refused with 4xx is temporary, with 5xx permanent, and QUIT is said. */
static void
test_refused_at_each_step(void **state)
{
	static const char *const good[] = { "220 hi\r\n", "250 mx\r\n", "250 ok\r\n", "250 ok\r\n", "354 go\r\n",
		"250 ok\r\n" };

	(void)state;
	for (size_t step = 0; step < 6; step++) {
		for (int permanent = 0; permanent < 2; permanent++) {
			struct err err;
			struct smtp *smtp = smtp_new(&simple, &err);
			struct buf out;

			buf_init(&out, SMTP_OUT_MAX(simple.message.len));
			for (size_t i = 0; i < step; i++)
				assert_int_equal(smtp_feed(smtp, str_of(good[i]), &out), SMTP_WANTS_BYTES);
			buf_reset(&out);
			smtp_feed(smtp, str_of(permanent ? "554 no\r\n" : "451 later\r\n"), &out);
			if (step == 1 && permanent) { /* HELO is tried */
				buf_reset(&out);
				smtp_feed(smtp, STR("554 no\r\n"), &out);
			}
			assert_string_equal(out.data, "QUIT\r\n");
			assert_int_equal(smtp_feed(smtp, STR("221 bye\r\n"), &out), SMTP_WANTS_END);
			assert_int_equal(smtp_results(smtp)[0].outcome, permanent ? SMTP_PERMANENT : SMTP_TEMPORARY);
			assert_int_equal(smtp_results(smtp)[0].err.detail, permanent ? 554 : 451);
			buf_fini(&out);
			smtp_free(&smtp);
		}
	}
}

static void
test_lost_keeps_what_was_known(void **state)
{
	static const char *const good[] = { "220 hi\r\n", "250 mx\r\n", "250 ok\r\n", "550 no\r\n", "250 ok\r\n",
		"250 ok\r\n" };
	struct err cause = err_make(ERR_TIMEOUT, 0, "no answer in 25 s"), err;
	struct smtp_params params = simple;
	struct smtp *smtp;
	struct buf out;

	(void)state;
	params.to = three;
	params.to_count = 3;
	smtp = smtp_new(&params, &err);
	buf_init(&out, SMTP_OUT_MAX(params.message.len));
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		smtp_feed(smtp, str_of(good[i]), &out);
	smtp_lost(smtp, &cause);
	assert_int_equal(smtp_results(smtp)[0].outcome, SMTP_PERMANENT);
	assert_int_equal(smtp_results(smtp)[1].outcome, SMTP_TEMPORARY);
	assert_int_equal(smtp_results(smtp)[1].err.code, ERR_TIMEOUT);
	assert_string_equal(smtp_results(smtp)[1].err.text, "mail server, at DATA: no answer in 25 s");
	assert_int_equal(smtp_feed(smtp, STR("354 go\r\n"), &out), SMTP_WANTS_END);
	buf_fini(&out);
	smtp_free(&smtp);
}

static void
assert_message(const char *message, const char *sent)
{
	static const char *const server[] = { "220 hi\r\n", "250 mx\r\n", "250 ok\r\n", "250 ok\r\n", "354 go\r\n",
		NULL };
	struct smtp_params params = simple;
	struct buf expected;

	params.message = str_of(message);
	buf_init(&expected, 4096);
	buf_addf(&expected,
	    "EHLO ci.example.com\r\nMAIL FROM:<davit@example.com>\r\nRCPT TO:<ada@example.com>\r\nDATA\r\n%s", sent);
	assert_dialogue(&params, server, expected.data, NULL, 0);
	buf_fini(&expected);
}

/* CVE-2023-51764 and its kin: however the lines of a message end, it ends once. */
static void
test_message_cannot_end_early(void **state)
{
	(void)state;
	assert_message("", ".\r\n");
	assert_message(".", "..\r\n.\r\n");
	assert_message("a", "a\r\n.\r\n");
	assert_message("a\r\n.\r\nMAIL FROM:<x@y>\r\n", "a\r\n..\r\nMAIL FROM:<x@y>\r\n.\r\n");
	assert_message("a\n.\nb", "a\r\n..\r\nb\r\n.\r\n");
	assert_message("a\r.\rb", "a\r\n..\r\nb\r\n.\r\n");
	assert_message("a\n.\r\nb", "a\r\n..\r\nb\r\n.\r\n");
	assert_message("a\r\n.\nb", "a\r\n..\r\nb\r\n.\r\n");
	assert_message("a\r\r\n.\r\r\n", "a\r\n\r\n..\r\n\r\n.\r\n");
	assert_message("...", "....\r\n.\r\n");
}

static void
test_too_large_for_the_server(void **state)
{
	static const char *const server[] = { "220 hi\r\n", "250-mx\r\n250 SIZE 18\r\n", "221 bye\r\n", NULL };
	struct smtp_result result;

	(void)state;
	assert_dialogue(&simple, server, "EHLO ci.example.com\r\nQUIT\r\n<END>", &result, 0);
	assert_int_equal(result.outcome, SMTP_PERMANENT);
}

static void
test_garbage_ends_it(void **state)
{
	static const char *const bad[] = { "\r\n", "hello\r\n", "22\r\n", "2200 hi\r\n", "120 hi\r\n", "600 hi\r\n",
		"220-a\r\n250 b\r\n", "220+x\r\n", " 220 x\r\n", "SSH-2.0-OpenSSH\r\n", "HTTP/1.1 400 Bad Request\r\n",
		"\x16\x03\x01\n", "-20 x\r\n" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const char *const server[] = { bad[i], NULL };
		struct smtp_result result;

		for (size_t cut = 0; cut < 3; cut++) {
			assert_dialogue(&simple, server, "<END>", &result, cut);
			assert_int_equal(result.err.code, ERR_PROTO);
			assert_int_equal(result.outcome, SMTP_TEMPORARY);
		}
	}
}

static void
test_endless_replies_end(void **state)
{
	struct smtp_reply reply;
	struct err err;
	char line[4096];
	unsigned n;

	(void)state;
	smtp_reply_init(&reply);
	memset(line, 'x', sizeof(line));
	assert_int_equal(smtp_reply_feed(&reply, &(struct str){ line, sizeof(line) }, &err), SMTP_READ_BAD);
	assert_int_equal(err.code, ERR_LIMIT);
	smtp_reply_fini(&reply);
	smtp_reply_init(&reply);
	for (n = 0; n < 1000; n++) {
		if (smtp_reply_feed(&reply, &(struct str){ "250-x\r\n", 7 }, &err) == SMTP_READ_BAD)
			break;
	}
	assert_int_equal(n, SMTP_LINES_MAX);
	smtp_reply_fini(&reply);
}

static void
test_words_of_the_server_are_printable(void **state)
{
	struct smtp_reply reply;
	struct err err;
	char text[24];

	(void)state;
	smtp_reply_init(&reply);
	assert_int_equal(
	    smtp_reply_feed(&reply, &(struct str){ "550-\x1b[2J\r\n550 \x80\tand much more\r\n", 33 }, &err),
	    SMTP_READ_REPLY);
	smtp_reply_print(&reply, text, sizeof(text));
	assert_string_equal(text, "550 ?[2J ??and much mor");
	smtp_reply_fini(&reply);
}

static void
test_refuses_what_breaks_commands(void **state)
{
	static const char *const bad[] = { "", "a@b\r\nRSET", "a@b> SIZE=1", "a b@c", "@", NULL };
	struct err err;

	(void)state;
	for (size_t i = 0; bad[i] != NULL; i++) {
		struct smtp_params params = simple;

		params.from = bad[i];
		assert_null(smtp_new(&params, &err));
		params = simple;
		params.to = &bad[i];
		assert_null(smtp_new(&params, &err));
		assert_int_equal(err.code, ERR_INPUT);
	}
	assert_null(smtp_new(&(struct smtp_params){ .helo = "a\r\nb", .from = "a@b", .to = one, .to_count = 1 }, &err));
	assert_null(smtp_new(&(struct smtp_params){ .helo = "a", .from = "a@b", .to = one, .to_count = 0 }, &err));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sends_one_mail_at_every_cut),
		cmocka_unit_test(test_starttls_and_auth_plain),
		cmocka_unit_test(test_auth_login_over_implicit_tls),
		cmocka_unit_test(test_password_never_goes_in_clear),
		cmocka_unit_test(test_required_tls_is_required),
		cmocka_unit_test(test_old_server_is_greeted_with_helo),
		cmocka_unit_test(test_clear_text_behind_starttls_is_refused),
		cmocka_unit_test(test_server_that_speaks_unasked_is_refused),
		cmocka_unit_test(test_each_recipient_has_its_own_result),
		cmocka_unit_test(test_refused_at_each_step),
		cmocka_unit_test(test_lost_keeps_what_was_known),
		cmocka_unit_test(test_message_cannot_end_early),
		cmocka_unit_test(test_too_large_for_the_server),
		cmocka_unit_test(test_garbage_ends_it),
		cmocka_unit_test(test_endless_replies_end),
		cmocka_unit_test(test_words_of_the_server_are_printable),
		cmocka_unit_test(test_refuses_what_breaks_commands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
