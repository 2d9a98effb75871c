/* E-mail messages (RFC 5322, RFC 2045, RFC 2047): plain text in UTF-8, as quoted-printable.
 *
 * Whatever stands in the texts, what is printed is lines of printable ASCII that end in CRLF, at most 76 characters
 * long but for addresses and ids, none beginning with a dot: no text can end a header, begin a part, or end the
 * message. Control characters and those that turn the direction of text around come out as blanks or U+FFFD. */
#ifndef DAVIT_PROTO_MAIL_H
#define DAVIT_PROTO_MAIL_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/buf.h"
#include "proto/err.h"
#include "proto/str.h"

#define MAIL_SUBJECT_MAX 200 /* code points; what is longer ends in "..." */
#define MAIL_BODY_MAX (64 * 1024)
#define MAIL_MAX (10 * MAIL_BODY_MAX + 16 * 1024) /* of the printed message, whatever the body: enough for a buffer */
#define MAIL_ADDRESS_MAX 190

/* Strings are borrowed. */
struct mail {
	const char *from;      /* address */
	const char *from_name; /* shown in front of it; NULL: none */
	const char *to;        /* address */
	const char *subject;
	const char *message_id; /* LEFT@RIGHT, without brackets; the same for each attempt */
	const char *thread;     /* the id that mails of one thread refer to; NULL: none */
	const char *list_id;    /* dotted name to filter by; NULL: none */
	int64_t date_s;         /* seconds since 1970 */
	struct str body;        /* lines ending in LF, CRLF or CR; cut at MAIL_BODY_MAX bytes */
};

/* Appends the whole message to b. ERR_INPUT when an address or id cannot stand in a header; ERR_LIMIT when b is full.
 */
bool mail_print(struct buf *b, const struct mail *mail, struct err *err);

/* LOCAL@DOMAIN in plain ASCII, no quoting, no comments, at most MAIL_ADDRESS_MAX bytes: what may stand in a header and
 * in an SMTP command as it is. */
bool mail_address_is_valid(struct str address);

#endif
