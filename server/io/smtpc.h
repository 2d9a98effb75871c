/* The SMTP client: hands messages to a mail server (a relay or the final one), one connection for each. proto/smtp.h
 * has the dialogue; the async contract is that of server/core/loop.h. */
#ifndef DAVIT_IO_SMTPC_H
#define DAVIT_IO_SMTPC_H

#include <stddef.h>
#include <stdint.h>

#include "proto/err.h"
#include "proto/smtp.h"
#include "proto/str.h"
#include "server/core/loop.h"
#include "server/io/stream.h"

struct smtpc;
struct smtpc_op;

/* Copied by smtpc_new(). */
struct smtpc_conf {
	const char *host; /* name or address; with TLS also what the certificate must say */
	unsigned port;
	enum smtp_tls tls;
	struct stream_tls_conf certificates;
	/* "" or NULL: no login. It is made over TLS only, but for a server at a loopback address or "localhost". */
	const char *user;
	const char *password;
	const char *helo; /* our own host's name; NULL: "localhost" */
};

/* NULL with *err set when a TLS file cannot be used. */
struct smtpc *smtpc_new(struct loop *loop, const struct smtpc_conf *conf, struct err *err);
/* Every op must have ended (asserted); accepts NULL. */
void smtpc_free(struct smtpc **smtpc);

/* Copied by smtpc_send(). */
struct smtpc_message {
	const char *from;
	const char *const *to;
	size_t to_count;
	struct str text;    /* as mail_print() makes it: without a NUL */
	int64_t timeout_ms; /* for all of it; must be > 0 */
};

/* results: one for each recipient, in their order, for the callback's duration. */
typedef void smtpc_fn(void *arg, const struct smtp_result *results, size_t count);
struct smtpc_op *smtpc_send(struct smtpc *smtpc, const struct smtpc_message *message, smtpc_fn *fn, void *arg);
/* No callback from now on (the message may go out all the same); accepts NULL inside. */
void smtpc_cancel(struct smtpc_op **op);

#endif
