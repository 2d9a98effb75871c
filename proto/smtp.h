/* The client's half of an SMTP dialogue: the server's bytes in, commands out. RFC 5321 with STARTTLS (RFC 3207), AUTH
 * PLAIN and LOGIN (RFC 4954, RFC 4616) and SIZE (RFC 1870). Whoever drives it moves the bytes and makes the TLS.
 *
 * The server may speak only when it is asked: what comes beyond the reply that was waited for ends the dialogue, above
 * all behind the answer to STARTTLS (injected clear text). The password leaves only over TLS unless it is allowed. */
#ifndef DAVIT_PROTO_SMTP_H
#define DAVIT_PROTO_SMTP_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/buf.h"
#include "proto/err.h"
#include "proto/str.h"

enum smtp_tls {
	SMTP_TLS_AUTO,     /* STARTTLS when the server offers it */
	SMTP_TLS_REQUIRED, /* STARTTLS, or nothing is sent */
	SMTP_TLS_OFF,
	SMTP_TLS_IMPLICIT, /* TLS from the first byte on (smtps, port 465) */
};

/* Borrowed for as long as the dialogue lives. */
struct smtp_params {
	const char *helo; /* our host's name */
	enum smtp_tls tls;
	const char *user; /* NULL or "": no AUTH */
	const char *password;
	bool clear_auth;  /* the password may go over a connection without TLS */
	const char *from; /* addresses without brackets */
	const char *const *to;
	size_t to_count;
	struct str message; /* with headers; its line ends become CRLF, leading dots are doubled */
};

enum smtp_outcome {
	SMTP_TEMPORARY, /* not delivered; another attempt may go through */
	SMTP_SENT,      /* the server has taken it over */
	SMTP_PERMANENT, /* the server will never take it */
};

/* For one recipient. */
struct smtp_result {
	enum smtp_outcome outcome;
	struct err err; /* unless SMTP_SENT: the server's words, or what happened to the connection */
};

enum smtp_wants {
	SMTP_WANTS_BYTES,    /* send what was printed, then feed the answer */
	SMTP_WANTS_STARTTLS, /* make TLS, then call smtp_secured() */
	SMTP_WANTS_END,      /* send what was printed and close: the results are final */
};

struct smtp;

/* ERR_INPUT when an address cannot stand in a command, or there is none. */
struct smtp *smtp_new(const struct smtp_params *params, struct err *err);
void smtp_free(struct smtp **smtp);
/* Commands are appended to out, which must take SMTP_OUT_MAX(message) bytes. */
#define SMTP_OUT_MAX(message_len) ((message_len)*2 + 8192)
enum smtp_wants smtp_feed(struct smtp *smtp, struct str bytes, struct buf *out);
enum smtp_wants smtp_secured(struct smtp *smtp, struct buf *out);
/* The connection is gone (or was never made): who has no result yet gets err as a temporary one. */
void smtp_lost(struct smtp *smtp, const struct err *err);
/* Every recipient has its result; what follows is only good manners. */
bool smtp_is_settled(const struct smtp *smtp);
/* One for each recipient, in their order; as long as smtp lives. */
const struct smtp_result *smtp_results(const struct smtp *smtp);
/* "RCPT", "DATA": what the last command was, for texts. */
const char *smtp_where(const struct smtp *smtp);

#endif
