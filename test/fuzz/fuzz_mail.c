/* Whatever stands in its texts, a mail is short lines of printable ASCII, none beginning with a dot, with one end of
 * its head; and an address that is taken can stand in an SMTP command. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mail.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool ok)
{
	if (!ok)
		abort();
}

static void
check_lines(struct str text)
{
	while (text.len > 0) {
		struct str line = str_cut(&text, '\n');

		must(line.len > 0 && line.p[line.len - 1] == '\r' && line.len <= 300 && line.p[0] != '.');
		for (size_t i = 0; i + 1 < line.len; i++)
			must(line.p[i] >= ' ' && line.p[i] <= '~');
	}
}

static void
check_message(const char *text, struct str body)
{
	struct mail mail = {
		.from = "davit@example.com",
		.from_name = text,
		.to = "ada@example.com",
		.subject = text,
		.message_id = "1@example.com",
		.body = body,
	};
	struct buf b;
	struct err err;

	buf_init(&b, MAIL_MAX);
	must(mail_print(&b, &mail, &err));
	must(memmem(b.data, b.len, "\r\n\r\n", 4) != NULL);
	check_lines(buf_str(&b));
	buf_fini(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str all = { (const char *)data, size };
	char *text = str_dup(all);

	check_message(text, all);
	if (mail_address_is_valid(all))
		must(strlen(text) == size && strcspn(text, " <>\r\n\t\"\\,;:()[]") == size);
	free(text);
	return 0;
}
