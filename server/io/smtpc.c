#include "server/io/smtpc.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/buf.h"
#include "proto/crypto.h"
#include "proto/mem.h"
#include "server/core/log.h"

#define QUIT_MS 2000 /* for the server's goodbye, when everything is known already */

struct smtpc {
	struct loop *loop;
	char *host;
	unsigned port;
	enum smtp_tls tls;
	struct stream_tls *certificates;
	char *user;
	char *password;
	char *helo;
	bool is_loopback;
	unsigned ops;
};

enum op_state {
	OP_CONNECTING, /* with implicit TLS, its handshake too */
	OP_GREETED,    /* connected: the dialogue goes on, the server speaks first */
	OP_DRAINING,   /* STARTTLS is agreed upon, our bytes are still leaving */
	OP_SECURING,
	OP_SECURED, /* the dialogue goes on over TLS */
	OP_ENDING,
};

struct smtpc_op {
	struct smtpc *smtpc;
	enum op_state state;
	struct smtp *dialogue; /* NULL: the message could not even be begun, because of err */
	struct err err;
	struct stream *stream;
	struct timer *deadline;
	struct deferred *begin; /* a failure to report */
	struct buf out;
	int64_t end_ms;
	smtpc_fn *fn;
	void *arg;

	/* what params points at */
	struct smtp_params params;
	char *from;
	char **to;
	size_t to_count;
	char *text;
};

static void op_step(struct smtpc_op *op, enum op_state next);

static bool
is_loopback(const char *host)
{
	return strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0 || strcmp(host, "localhost") == 0;
}

struct smtpc *
smtpc_new(struct loop *loop, const struct smtpc_conf *conf, struct err *err)
{
	struct stream_tls *certificates = NULL;
	struct smtpc *smtpc;

	if (conf->tls != SMTP_TLS_OFF) {
		certificates = stream_tls_new(&conf->certificates, err);
		if (certificates == NULL)
			return NULL;
	}
	smtpc = xcalloc(1, sizeof(*smtpc));
	*smtpc = (struct smtpc){
		.loop = loop,
		.host = xstrdup(conf->host),
		.port = conf->port,
		.tls = conf->tls,
		.certificates = certificates,
		.user = xstrdup_null(conf->user),
		.password = xstrdup_null(conf->password),
		.helo = xstrdup(conf->helo != NULL ? conf->helo : "localhost"),
		.is_loopback = is_loopback(conf->host),
	};
	return smtpc;
}

void
smtpc_free(struct smtpc **smtpc)
{
	struct smtpc *s = *smtpc;

	if (s == NULL)
		return;
	*smtpc = NULL;
	assert(s->ops == 0);
	stream_tls_free(&s->certificates);
	crypto_wipe_free(&s->password);
	free(s->host);
	free(s->user);
	free(s->helo);
	free(s);
}

/* Everything but the dialogue, which holds the results. */
static struct smtp *
op_free(struct smtpc_op *op)
{
	struct smtp *dialogue = op->dialogue;

	op->smtpc->ops--;
	stream_close(&op->stream);
	timer_free(&op->deadline);
	deferred_cancel(&op->begin);
	if (op->out.len > 0)
		explicit_bzero(op->out.data, op->out.len);
	buf_fini(&op->out);
	for (size_t i = 0; i < op->to_count; i++)
		free(op->to[i]);
	free(op->to);
	free(op->from);
	free(op->text);
	free(op);
	return dialogue;
}

/* The results of a message that was refused before the first byte. */
static void
report_refused(smtpc_fn *fn, void *arg, size_t count, const struct err *err)
{
	struct smtp_result *results = xcalloc(count > 0 ? count : 1, sizeof(*results));

	for (size_t i = 0; i < count; i++)
		results[i] = (struct smtp_result){ SMTP_PERMANENT, *err };
	fn(arg, results, count);
	free(results);
}

static void
enter_ending(struct smtpc_op *op)
{
	smtpc_fn *fn = op->fn;
	void *arg = op->arg;
	size_t count = op->to_count;
	struct err err = op->err;
	struct smtp *dialogue = op_free(op);

	if (dialogue == NULL)
		report_refused(fn, arg, count, &err);
	else
		fn(arg, smtp_results(dialogue), count); /* the caller may send the next one */
	smtp_free(&dialogue);
}

/* The only way off the happy path. What the dialogue knows already stays. */
static void
op_fail(struct smtpc_op *op, struct err err)
{
	smtp_lost(op->dialogue, &err);
	op_step(op, OP_ENDING);
}

static void
on_deadline(void *arg)
{
	struct smtpc_op *op = arg;

	op_fail(op, err_make(ERR_TIMEOUT, 0, "no answer in time"));
}

static int64_t
ms_left(const struct smtpc_op *op)
{
	int64_t left = op->end_ms - loop_mono_ms();

	return left > 0 ? left : 1;
}

static void
send_out(struct smtpc_op *op)
{
	if (op->out.len == 0)
		return;
	stream_write(op->stream, op->out.data, op->out.len);
	explicit_bzero(op->out.data, op->out.len); /* it may have been a password */
	buf_reset(&op->out);
}

/* Nothing can be won or lost any more: the server has a moment to say goodbye, however often it speaks. */
static void
hurry(struct smtpc_op *op)
{
	int64_t end_ms = loop_mono_ms() + QUIT_MS;

	if (end_ms < op->end_ms)
		op->end_ms = end_ms;
	timer_start(op->deadline, ms_left(op));
}

/* Does what the dialogue wants; op may be gone when it returns. */
static void
follow(struct smtpc_op *op, enum smtp_wants wants)
{
	send_out(op);
	switch (wants) {
	case SMTP_WANTS_BYTES:
		if (smtp_is_settled(op->dialogue))
			hurry(op);
		break;
	case SMTP_WANTS_STARTTLS:
		op_step(op, OP_DRAINING);
		break;
	case SMTP_WANTS_END:
		op_step(op, OP_ENDING);
		break;
	}
}

static void
on_data(void *arg, struct str bytes)
{
	struct smtpc_op *op = arg;

	follow(op, smtp_feed(op->dialogue, bytes, &op->out));
}

static void
on_open(void *arg)
{
	struct smtpc_op *op = arg;

	op_step(op, op->state == OP_SECURING ? OP_SECURED : OP_GREETED);
}

static void
on_drain(void *arg)
{
	struct smtpc_op *op = arg;

	if (op->state == OP_DRAINING)
		op_step(op, OP_SECURING);
}

static void
on_close(void *arg, const struct err *err)
{
	struct smtpc_op *op = arg;

	op->stream = NULL;
	op_fail(op, err != NULL ? *err : err_make(ERR_IO, 0, "it closed the connection"));
}

static const struct stream_handler handler = { on_open, on_data, on_drain, on_close };

static void
on_refused(void *arg)
{
	struct smtpc_op *op = arg;

	op->begin = NULL;
	op_step(op, OP_ENDING);
}

static void
enter_connecting(struct smtpc_op *op)
{
	struct smtpc *smtpc = op->smtpc;

	op->stream = stream_connect(smtpc->loop,
	    &(struct stream_target){
		.host = smtpc->host,
		.port = smtpc->port,
		.tls = smtpc->tls == SMTP_TLS_IMPLICIT ? smtpc->certificates : NULL,
		.timeout_ms = ms_left(op),
	    },
	    &handler, op);
}

static void
enter_draining(struct smtpc_op *op)
{
	if (stream_pending(op->stream) == 0)
		op_step(op, OP_SECURING);
}

static void
enter_securing(struct smtpc_op *op)
{
	stream_starttls(op->stream, op->smtpc->certificates, op->smtpc->host, ms_left(op));
}

/* It is our turn to speak. */
static void
enter_secured(struct smtpc_op *op)
{
	follow(op, smtp_secured(op->dialogue, &op->out));
}

/* clang-format off */
static const struct {
	const char *name;
	void (*enter)(struct smtpc_op *);
} states[] = {
	[OP_CONNECTING] = { "connecting", enter_connecting },
	[OP_GREETED]    = { "greeted",    NULL },
	[OP_DRAINING]   = { "draining",   enter_draining },
	[OP_SECURING]   = { "securing",   enter_securing },
	[OP_SECURED]    = { "secured",    enter_secured },
	[OP_ENDING]     = { "ending",     enter_ending },
};
/* clang-format on */

/* The only place where the state changes. op may be gone when it returns. */
static void
op_step(struct smtpc_op *op, enum op_state next)
{
	log_debug("mail to %s: %s -> %s", op->smtpc->host, states[op->state].name, states[next].name);

	op->state = next;
	if (states[next].enter != NULL)
		states[next].enter(op);
}

static void
copy_message(struct smtpc_op *op, const struct smtpc_message *message)
{
	op->from = xstrdup(message->from);
	op->to = xcalloc(message->to_count + 1, sizeof(*op->to));
	for (size_t i = 0; i < message->to_count; i++)
		op->to[i] = xstrdup(message->to[i]);
	op->to_count = message->to_count;
	op->text = str_dup(message->text);
	op->params = (struct smtp_params){
		.helo = op->smtpc->helo,
		.tls = op->smtpc->tls,
		.user = op->smtpc->user,
		.password = op->smtpc->password,
		.clear_auth = op->smtpc->is_loopback,
		.from = op->from,
		.to = (const char *const *)op->to,
		.to_count = op->to_count,
		.message = str_of(op->text),
	};
}

struct smtpc_op *
smtpc_send(struct smtpc *smtpc, const struct smtpc_message *message, smtpc_fn *fn, void *arg)
{
	struct smtpc_op *op = xcalloc(1, sizeof(*op));

	assert(message->timeout_ms > 0);
	*op = (struct smtpc_op){ .smtpc = smtpc, .fn = fn, .arg = arg, .end_ms = loop_mono_ms() + message->timeout_ms };
	smtpc->ops++;
	copy_message(op, message);
	buf_init(&op->out, SMTP_OUT_MAX(op->params.message.len));
	op->deadline = timer_new(smtpc->loop, on_deadline, op);
	op->dialogue = smtp_new(&op->params, &op->err);
	if (op->dialogue == NULL) {
		op->begin = deferred_call(smtpc->loop, on_refused, op);
		return op;
	}
	timer_start(op->deadline, message->timeout_ms);
	op_step(op, OP_CONNECTING);
	return op;
}

void
smtpc_cancel(struct smtpc_op **op)
{
	struct smtp *dialogue;

	if (*op == NULL)
		return;
	dialogue = op_free(*op);
	*op = NULL;
	smtp_free(&dialogue);
}
