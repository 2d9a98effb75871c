/* A server's bytes give the same dialogue whole and byte by byte, and never a password without TLS. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/smtp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool ok)
{
	if (!ok)
		abort();
}

static const char *const to[] = { "ada@example.com", "bob@example.com" };

static const struct smtp_params with_login = {
	.helo = "ci.example.com",
	.user = "davit",
	.password = "s3cret",
	.from = "davit@example.com",
	.to = to,
	.to_count = 2,
	.message = { ".x\r\n", 4 },
};

struct run {
	struct smtp *smtp;
	struct buf said;
	enum smtp_wants wants;
};

/* The server's bytes come one reply at a time (up to an LF that is followed by a NUL), since what is unasked ends it.
 */
static void
run(struct run *r, const struct smtp_params *params, struct str bytes, bool cut)
{
	struct err err;
	struct buf out;

	*r = (struct run){ .smtp = smtp_new(params, &err) };
	buf_init(&r->said, 65536);
	buf_init(&out, SMTP_OUT_MAX(params->message.len));
	while (bytes.len > 0 && r->wants == SMTP_WANTS_BYTES) {
		struct str turn = str_cut(&bytes, '\0');

		for (size_t i = 0; i < turn.len && r->wants == SMTP_WANTS_BYTES; i += cut ? 1 : turn.len) {
			r->wants = smtp_feed(r->smtp, (struct str){ turn.p + i, cut ? 1 : turn.len }, &out);
			buf_addstr(&r->said, buf_str(&out));
			buf_reset(&out);
		}
	}
	must(strstr(r->said.data, "AUTH") == NULL);
	buf_fini(&out);
}

static void
end(struct run *r)
{
	buf_fini(&r->said);
	smtp_free(&r->smtp);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct smtp_params params = with_login;
	struct run whole, cut;

	if (size > 1 && data[1] == '2') /* "220", not "200": without a login it goes on in clear */
		params.user = NULL;
	run(&whole, &params, (struct str){ (const char *)data, size }, false);
	run(&cut, &params, (struct str){ (const char *)data, size }, true);
	/* cut, a command may have been sent before the unasked bytes behind the reply were seen */
	must(strncmp(cut.said.data, whole.said.data, whole.said.len) == 0);
	end(&whole);
	end(&cut);
	return 0;
}
