#include "server/notify/mailer.h"

#include <stdlib.h>
#include <string.h>

#include "proto/mail.h"
#include "proto/mem.h"

struct mailer {
	struct loop *loop;
	struct smtpc *smtpc;
	char *from;
	const char *domain; /* in from */
	int64_t timeout_ms;
};

struct mailer_op {
	struct smtpc_op *smtp;
	struct deferred *begin; /* a failure to report */
	struct err failure;
	mailer_fn *fn;
	void *arg;
};

struct mailer *
mailer_new(struct loop *loop, const struct smtpc_conf *conf, const char *from, int64_t timeout_ms, struct err *err)
{
	struct smtpc_conf own = *conf;
	struct mailer *mailer;
	struct smtpc *smtpc;

	if (!mail_address_is_valid(str_of(from))) {
		err_set(err, ERR_INPUT, 0, "smtp.from must be an address such as davit@example.org, without a name");
		return NULL;
	}
	if (own.helo == NULL)
		own.helo = strchr(from, '@') + 1;
	smtpc = smtpc_new(loop, &own, err);
	if (smtpc == NULL)
		return NULL;
	mailer = xcalloc(1, sizeof(*mailer));
	*mailer = (struct mailer){ .loop = loop, .smtpc = smtpc, .from = xstrdup(from), .timeout_ms = timeout_ms };
	mailer->domain = strchr(mailer->from, '@') + 1;
	return mailer;
}

void
mailer_free(struct mailer **mailer)
{
	struct mailer *m = *mailer;

	if (m == NULL)
		return;
	*mailer = NULL;
	smtpc_free(&m->smtpc);
	free(m->from);
	free(m);
}

/* A dotted name that tells the repository: ids may hold dots at places where it may not. */
static char *
list_id(const struct mailer *mailer, const char *repo_id)
{
	char *id = xasprintf("%s.davit.%s", repo_id, mailer->domain);

	for (size_t i = 0; i < strlen(repo_id); i++) {
		if (id[i] == '.')
			id[i] = '-';
	}
	return id;
}

static bool
print_message(const struct mailer *mailer, const char *notice, const char *repo_id, const char *recipient,
    const struct notice_build *build, struct buf *message, struct err *err)
{
	char *subject = notice_subject(build), *text = notice_text(build), *list = list_id(mailer, repo_id);
	char *id = xasprintf("davit.%s@%s", notice, mailer->domain);
	char *thread = xasprintf("davit.build.%lld@%s", (long long)build->number, mailer->domain);
	struct mail mail = {
		.from = mailer->from,
		.from_name = "Davit",
		.to = recipient,
		.subject = subject,
		.message_id = id,
		.thread = thread,
		.list_id = list,
		.date_s = loop_wall_ms() / 1000,
		.body = str_of(text),
	};
	bool ok = mail_print(message, &mail, err);

	free(subject);
	free(text);
	free(list);
	free(id);
	free(thread);
	return ok;
}

static void
op_end(struct mailer_op *op, const struct smtp_result *result)
{
	mailer_fn *fn = op->fn;
	void *arg = op->arg;

	free(op);
	fn(arg, result);
}

static void
on_failure(void *arg)
{
	struct mailer_op *op = arg;

	op_end(op, &(struct smtp_result){ SMTP_PERMANENT, op->failure });
}

static void
on_sent(void *arg, const struct smtp_result *results, size_t count)
{
	(void)count; /* one recipient */
	op_end(arg, &results[0]);
}

struct mailer_op *
mailer_send(struct mailer *mailer, const char *notice, const char *repo_id, const char *recipient,
    const struct notice_build *build, mailer_fn *fn, void *arg)
{
	struct mailer_op *op = xcalloc(1, sizeof(*op));
	struct buf message;

	*op = (struct mailer_op){ .fn = fn, .arg = arg };
	buf_init(&message, MAIL_MAX);
	if (print_message(mailer, notice, repo_id, recipient, build, &message, &op->failure))
		op->smtp = smtpc_send(mailer->smtpc,
		    &(struct smtpc_message){
			.from = mailer->from,
			.to = &recipient,
			.to_count = 1,
			.text = buf_str(&message),
			.timeout_ms = mailer->timeout_ms,
		    },
		    on_sent, op);
	else
		op->begin = deferred_call(mailer->loop, on_failure, op);
	buf_fini(&message);
	return op;
}

void
mailer_cancel(struct mailer_op **op)
{
	if (*op == NULL)
		return;
	smtpc_cancel(&(*op)->smtp);
	deferred_cancel(&(*op)->begin);
	free(*op);
	*op = NULL;
}
