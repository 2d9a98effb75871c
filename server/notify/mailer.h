/* Mails about builds: text, message and SMTP in one call. proto/notice.h has the words, proto/mail.h the message. */
#ifndef DAVIT_NOTIFY_MAILER_H
#define DAVIT_NOTIFY_MAILER_H

#include "proto/notice.h"
#include "server/core/loop.h"
#include "server/io/smtpc.h"

struct mailer;
struct mailer_op;

/* The strings of conf are copied. timeout_ms is each mail's. NULL with *err set when the sender's address or a file of
 * certificates cannot be used. */
struct mailer *mailer_new(
    struct loop *loop, const struct smtpc_conf *conf, const char *from, int64_t timeout_ms, struct err *err);
/* Every mail must have ended (asserted); accepts NULL. */
void mailer_free(struct mailer **mailer);

/* notice: the outbox's id, from which the Message-ID follows, so that a second attempt makes no second mail.
 * build and the strings are read before the function returns; result is good for the callback's duration. */
typedef void mailer_fn(void *arg, const struct smtp_result *result);
struct mailer_op *mailer_send(struct mailer *mailer, const char *notice, const char *repo_id, const char *recipient,
    const struct notice_build *build, mailer_fn *fn, void *arg);
/* No callback from now on; accepts NULL inside. */
void mailer_cancel(struct mailer_op **op);

#endif
