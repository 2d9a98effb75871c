#include "test/unit/unit.h"

#include <stdlib.h>

#include "proto/mail.h"

static const struct mail plain = {
	.from = "davit@ci.example.com",
	.from_name = "Davit",
	.to = "ada@example.com",
	.subject = "acme/boat: main failed (build 17)",
	.message_id = "build-17.failed@ci.example.com",
	.thread = "build-17@ci.example.com",
	.list_id = "boat.davit.ci.example.com",
	.date_s = 1794787199,
	.body = { "Hello,\nthis is build 17.\n", 25 },
};

static char *
print(const struct mail *mail)
{
	struct buf b;
	struct err err;

	buf_init(&b, MAIL_MAX);
	assert_true(mail_print(&b, mail, &err));
	return b.data;
}

static void
test_golden_message(void **state)
{
	char *text = print(&plain);

	(void)state;
	assert_string_equal(text, "Date: Sun, 15 Nov 2026 23:59:59 +0000\r\n"
				  "From: Davit\r\n"
				  " <davit@ci.example.com>\r\n"
				  "To: <ada@example.com>\r\n"
				  "Subject: acme/boat: main failed (build 17)\r\n"
				  "Message-ID: <build-17.failed@ci.example.com>\r\n"
				  "In-Reply-To: <build-17@ci.example.com>\r\n"
				  "References: <build-17@ci.example.com>\r\n"
				  "List-Id: <boat.davit.ci.example.com>\r\n"
				  "Auto-Submitted: auto-generated\r\n"
				  "Precedence: bulk\r\n"
				  "MIME-Version: 1.0\r\n"
				  "Content-Type: text/plain; charset=utf-8\r\n"
				  "Content-Transfer-Encoding: quoted-printable\r\n"
				  "\r\n"
				  "Hello,\r\n"
				  "this is build 17.\r\n");
	free(text);
}

/* What stands behind the empty line, decoded; a soft line break joins. */
static char *
decode_body(const char *text)
{
	const char *p = strstr(text, "\r\n\r\n") + 4;
	char *ret = calloc(1, strlen(p) + 1);
	size_t len = 0;

	while (*p != '\0') {
		char hex[3] = { 0 };

		if (strncmp(p, "=\r\n", 3) == 0) {
			p += 3;
		} else if (*p == '=') {
			memcpy(hex, p + 1, 2);
			ret[len++] = (char)strtol(hex, NULL, 16);
			p += 3;
		} else if (strncmp(p, "\r\n", 2) == 0) {
			ret[len++] = '\n';
			p += 2;
		} else {
			ret[len++] = *p++;
		}
	}
	return ret;
}

static void
assert_body(const char *body, const char *expected)
{
	struct mail mail = plain;
	char *text, *decoded;

	mail.body = str_of(body);
	text = print(&mail);
	decoded = decode_body(text);
	assert_string_equal(decoded, expected);
	free(decoded);
	free(text);
}

static void
test_body_comes_out_as_it_went_in(void **state)
{
	(void)state;
	assert_body("", "");
	assert_body("a", "a\n");
	assert_body("a\r\nb\rc\nd", "a\nb\nc\nd\n");
	assert_body("\n\n", "\n\n");
	assert_body("trailing \t\nblank ", "trailing \t\nblank \n");
	assert_body(".\r\n..\nFrom me\n", ".\n..\nFrom me\n");
	assert_body("1=2", "1=2\n");
	assert_body("gr\xc3\xbc\xc3\x9f dich \xf0\x9f\x9a\xa2", "gr\xc3\xbc\xc3\x9f dich \xf0\x9f\x9a\xa2\n");
	assert_body("bad \x80 byte", "bad \xef\xbf\xbd byte\n");
	assert_body("\x1b[2J", "\xef\xbf\xbd[2J\n");
	assert_body("a\xe2\x80\xae"
		    "b",
	    "a\xef\xbf\xbd"
	    "b\n");
}

/* Every line ends in CRLF, is short, printable, and none begins with a dot; one empty line parts head and body; the
 * head's field names are those of the golden message. */
static void
assert_one_message(const char *text)
{
	static const char names[] =
	    "Date From To Subject Message-ID In-Reply-To References List-Id Auto-Submitted Precedence "
	    "MIME-Version Content-Type Content-Transfer-Encoding ";
	struct str rest = str_of(text);
	char seen[512] = "";
	bool in_head = true;

	assert_int_equal(rest.p[rest.len - 1], '\n');
	while (rest.len > 0) {
		struct str line = str_cut(&rest, '\n');

		assert_true(line.len > 0 && line.p[line.len - 1] == '\r');
		line.len--;
		assert_in_range(line.len, 0, 300);
		for (size_t i = 0; i < line.len; i++)
			assert_in_range(line.p[i], ' ', '~');
		if (line.len > 0)
			assert_int_not_equal(line.p[0], '.');
		if (!in_head)
			assert_in_range(line.len, 0, 76);
		if (line.len == 0)
			in_head = false;
		if (in_head && line.p[0] != ' ') {
			strncat(seen, line.p, (size_t)((const char *)memchr(line.p, ':', line.len) - line.p));
			strcat(seen, " ");
		}
	}
	assert_false(in_head);
	assert_string_equal(seen, names);
}

static const char *const nasty[] = { "", "-", "--help", "@/etc/passwd", "../", "%00", "\r", "\n", "\r\n",
	"x\r\nBcc: evil@example.com", "x\nBcc: evil@example.com", "x\rBcc: evil@example.com", ".\r\n", "\n.\r\n",
	"\r\n.\r\n", "\r.\r", "\n.\n", "\r\n.\r\nMAIL FROM:<evil@example.com>\r\n", "\"", "'", "`", "$(id)", ";id",
	"|id", "&", "<script>", "{{7*7}}", "%n%s", "\x80", "\xc0\xaf", "\xe2\x80\xae", "\xe2\x80\xa8", "\xc2\x85",
	"\x1b]0;x\x07", "\x1b[2J", "=?UTF-8?Q?=0D=0A?=", "=?utf-8?b?DQo=?=", "=\r\n", "ext::", "file:///",
	"\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0", " leading", "trailing ", "\t", "a\tb", "evil@example.com>, <x@y", "\\",
	"(comment", "\xff\xfe" };

static void
test_nothing_breaks_out(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(nasty) / sizeof(nasty[0]); i++) {
		struct mail mail = plain;
		char *text;

		mail.subject = mail.from_name = nasty[i];
		mail.body = str_of(nasty[i]);
		text = print(&mail);
		assert_one_message(text);
		free(text);
	}
}

static void
test_one_megabyte_everywhere(void **state)
{
	static const char *const units[] = { "A", "\xf0\x9f\x9a\xa2", "\x80", "\r\n.", " ", "=" };
	size_t size = 1024 * 1024;
	char *big = malloc(size + 1);

	(void)state;
	for (size_t u = 0; u < sizeof(units) / sizeof(units[0]); u++) {
		struct mail mail = plain;
		size_t len = strlen(units[u]);
		char *text;

		for (size_t i = 0; i < size; i++)
			big[i] = units[u][i % len];
		big[size] = '\0';
		mail.subject = mail.from_name = big;
		mail.body = (struct str){ big, size };
		text = print(&mail);
		assert_one_message(text);
		free(text);
	}
	free(big);
}

static void
test_long_subject_is_cut_and_folded_between_characters(void **state)
{
	struct mail mail = plain;
	char subject[3 * 300 + 1] = "";
	char *text, *p;
	size_t ships = 0;

	(void)state;
	for (int i = 0; i < 300; i++)
		strcat(subject, "\xe8\x88\xb9");
	mail.subject = subject;
	text = print(&mail);
	for (p = text; (p = strstr(p, "=E8=88=B9")) != NULL; p += 9)
		ships++;
	assert_int_equal(ships, MAIL_SUBJECT_MAX);
	assert_non_null(strstr(text, "=2E?=\r\nMessage-ID"));
	assert_null(strstr(text, "=E8=88?=")); /* each encoded word holds whole characters: RFC 2047 section 5 (3) */
	free(text);
}

static void
test_addresses(void **state)
{
	static const char *const good[] = { "a@b", "ada@example.com", "ada.l+ci@sub.example.co.uk", "a_b-c@x-y.example",
		"o'hara@example.com" };
	static const char *const bad[] = { "", "a", "@", "a@", "@b", "a@b@c", "a b@c", "a@b c", "<a@b>", "a@b>",
		"a@b\r\n", "a@b\r\nRCPT TO:<x@y>", "a\n@b", ".a@b", "a.@b", "a..b@c", "a@.b", "a@b.", "a@b..c", "a@-b",
		"a@b-", "a@b_c", "\"a\"@b", "a@[127.0.0.1]", "\xc3\xa4@b", "a@\xc3\xa4", "a,b@c", "a@b,c@d", "a@b;",
		"a\0@b", "(x)a@b" };
	char longer[300];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(mail_address_is_valid(str_of(good[i])));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (mail_address_is_valid(str_of(bad[i])))
			fail_msg("accepted %s", bad[i]);
	}
	assert_false(mail_address_is_valid((struct str){ "a\0b@c", 5 }));
	memset(longer, 'a', sizeof(longer));
	memcpy(longer + 65, "@b", 3);
	assert_false(mail_address_is_valid(str_of(longer)));
	assert_true(mail_address_is_valid(str_of(longer + 1)));
}

static void
test_refuses_ids_and_addresses_that_break_headers(void **state)
{
	static const char *const bad[] = { "", "x", "a@b\r\nBcc: x", "a b@c", "a@b>", "<a@b>" };
	struct buf b;
	struct err err;

	(void)state;
	buf_init(&b, MAIL_MAX);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct mail mail = plain;

		mail.message_id = bad[i];
		assert_false(mail_print(&b, &mail, &err));
		mail = plain;
		mail.thread = bad[i];
		assert_false(mail_print(&b, &mail, &err));
		mail = plain;
		mail.from = bad[i];
		assert_false(mail_print(&b, &mail, &err));
		mail = plain;
		mail.to = bad[i];
		assert_false(mail_print(&b, &mail, &err));
		assert_int_equal(err.code, ERR_INPUT);
	}
	assert_int_equal(b.len, 0);
	buf_fini(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden_message),
		cmocka_unit_test(test_body_comes_out_as_it_went_in),
		cmocka_unit_test(test_nothing_breaks_out),
		cmocka_unit_test(test_one_megabyte_everywhere),
		cmocka_unit_test(test_long_subject_is_cut_and_folded_between_characters),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_refuses_ids_and_addresses_that_break_headers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
