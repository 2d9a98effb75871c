/* Replies of an SMTP server (RFC 5321 section 4.2): three digits and text, on one or more lines. The verdict does not
 * depend on how the bytes were cut. */
#ifndef DAVIT_PROTO_SMTP_REPLY_H
#define DAVIT_PROTO_SMTP_REPLY_H

#include <stdbool.h>

#include "proto/buf.h"
#include "proto/err.h"
#include "proto/str.h"

#define SMTP_LINE_MAX 2048 /* RFC 5321 allows 512; some servers say more in EHLO */
#define SMTP_LINES_MAX 100

enum smtp_read { SMTP_READ_MORE, SMTP_READ_REPLY, SMTP_READ_BAD };

struct smtp_reply {
	unsigned code;   /* 200 to 599 */
	struct buf text; /* what stands behind the codes, each line followed by LF */
	struct buf line; /* the one that is not whole yet */
	unsigned lines;
	bool whole;
};

void smtp_reply_init(struct smtp_reply *reply);
void smtp_reply_fini(struct smtp_reply *reply);
/* Takes bytes off the front of *bytes until the reply is whole; the next call begins a new one. *err is set for
 * SMTP_READ_BAD, after which the connection is of no use. */
enum smtp_read smtp_reply_feed(struct smtp_reply *reply, struct str *bytes, struct err *err);
/* "550 5.1.1 no such user": the code and the lines in one, printable, at most size - 1 bytes. */
void smtp_reply_print(const struct smtp_reply *reply, char *ret, size_t size);

#endif
