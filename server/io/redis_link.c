#include "server/io/redis_link.h"

#include <assert.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "proto/mem.h"
#include "server/core/log.h"
#include "server/core/loop.h"
#include "server/io/stream.h"

#define BACKOFF_MIN_MS 50
#define BACKOFF_MAX_MS 2000
#define SETUP_MS 2000
#define PING_MS 15000
#define REPLY_MAX (64 << 20)   /* bytes of one reply */
#define ELEMENTS_MAX (1 << 20) /* of one array */

enum link_state { LINK_WAIT, LINK_CONNECT, LINK_LOGIN, LINK_READY };

struct redis_call {
	TAILQ_ENTRY(redis_call) entry;
	redis_call_fn *fn;
	void *arg;
	size_t bytes;
};

struct redis_link {
	struct loop *loop;
	const struct redis_conf *conf;
	const struct redis_link_events *events;
	void *arg;
	enum link_state state;
	struct timer *timer; /* the state's deadline */
	int64_t backoff_ms;
	struct stream *stream;
	redisReader *reader;
	redisReplyObjectFunctions *plain, bounded; /* the reader's own, and with a limit on arrays */
	TAILQ_HEAD(, redis_call) calls;            /* in the order of sending, which is that of the answers */
	size_t pending, pending_bytes;
	int64_t heard_ms;
	struct redis_call *ping; /* in LINK_READY: the one that is awaited */
	bool *closed;            /* set when the connection goes while its reader's loop calls out */
};

static void enter_wait(struct redis_link *l);
static void enter_connect(struct redis_link *l);
static void enter_login(struct redis_link *l);
static void enter_ready(struct redis_link *l);

/* clang-format off */
static const struct {
	const char *name;
	void (*enter)(struct redis_link *);
	int64_t timeout_ms; /* 0: its own, or none */
} states[] = {
	[LINK_WAIT]    = { "wait",    enter_wait,           0 },
	[LINK_CONNECT] = { "connect", enter_connect, SETUP_MS },
	[LINK_LOGIN]   = { "login",   enter_login,   SETUP_MS },
	[LINK_READY]   = { "ready",   enter_ready,    PING_MS },
};
/* clang-format on */

/* The only place where the state changes. */
static void
link_step(struct redis_link *l, enum link_state next)
{
	log_debug("redis: %s -> %s", states[l->state].name, states[next].name);
	timer_stop(l->timer);
	l->state = next;
	if (states[next].timeout_ms != 0)
		timer_start(l->timer, states[next].timeout_ms);
	states[next].enter(l);
}

static void
link_close(struct redis_link *l)
{
	struct redis_call *call;

	if (l->closed != NULL)
		*l->closed = true;
	l->closed = NULL;
	stream_close(&l->stream);
	l->ping = NULL;
	if (l->reader != NULL)
		redisReaderFree(l->reader);
	l->reader = NULL;
	while ((call = TAILQ_FIRST(&l->calls)) != NULL) {
		TAILQ_REMOVE(&l->calls, call, entry);
		free(call);
	}
	l->pending = l->pending_bytes = 0;
}

/* The only way off the happy path: whatever goes wrong, the connection is dropped and made again after a while. */
void
redis_link_fail(struct redis_link *l, struct err err)
{
	link_close(l);
	link_step(l, LINK_WAIT);
	l->events->lost(l->arg, &err); /* last: l may be gone */
}

static struct err
reply_err(const redisReply *reply)
{
	static const struct {
		const char *word;
		enum err_code code;
	} words[] = {
		{ "LOADING ", ERR_UNAVAILABLE },
		{ "MASTERDOWN ", ERR_UNAVAILABLE },
		{ "BUSY ", ERR_UNAVAILABLE },
		{ "TRYAGAIN ", ERR_UNAVAILABLE },
		{ "MISCONF ", ERR_UNAVAILABLE },
		{ "READONLY ", ERR_UNAVAILABLE },
		{ "NOREPLICAS ", ERR_UNAVAILABLE },
		{ "OOM ", ERR_UNAVAILABLE },
		{ "NOAUTH ", ERR_AUTH },
		{ "WRONGPASS ", ERR_AUTH },
		{ "NOPERM ", ERR_AUTH },
		{ "NOSCRIPT ", ERR_NOT_FOUND },
		{ "FENCED ", ERR_CONFLICT },
	};
	struct str text = { reply->str, reply->len };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (str_has_prefix(text, words[i].word))
			return err_make(words[i].code, 0, "Redis: %s", reply->str);
	return err_make(ERR_REFUSED, 0, "Redis: %s", reply->str);
}

static void
call_answer(struct redis_link *l, struct redis_call *call, const redisReply *reply)
{
	redis_call_fn *fn = call->fn;
	void *arg = call->arg;
	struct err err = ERR_OK;

	TAILQ_REMOVE(&l->calls, call, entry);
	l->pending--;
	l->pending_bytes -= call->bytes;
	free(call);
	if (fn == NULL)
		return;
	if (reply->type == REDIS_REPLY_ERROR)
		err = reply_err(reply);
	if (err.code != ERR_NONE)
		fn(arg, NULL, &err);
	else
		fn(arg, (const struct redis_reply *)reply, NULL);
}

/* A published message comes between the answers to what was asked. */
static bool
is_push(const struct redis_link *l, const struct redis_reply *reply)
{
	return l->events->push != NULL && str_is(redis_reply_str(redis_reply_at(reply, 0)), "message");
}

/* One reply; the link may be closed or gone afterwards. */
static void
link_reply(struct redis_link *l, redisReply *reply)
{
	struct redis_call *call = TAILQ_FIRST(&l->calls);

	if (is_push(l, (const struct redis_reply *)reply))
		l->events->push(l->arg, (const struct redis_reply *)reply);
	else if (call != NULL)
		call_answer(l, call, reply);
	else if (reply->type == REDIS_REPLY_ERROR) /* such as "max number of clients reached" */
		redis_link_fail(l, reply_err(reply));
	else
		redis_link_fail(l, err_make(ERR_PROTO, 0, "Redis sent a reply that nobody asked for"));
	freeReplyObject(reply);
}

/* Hands out the complete replies. */
static void
link_read_replies(struct redis_link *l)
{
	bool *closed = xcalloc(1, sizeof(*closed)); /* outlives l, should that go */
	void *reply;

	l->closed = closed;
	while (!*closed) {
		if (redisReaderGetReply(l->reader, &reply) != REDIS_OK) {
			redis_link_fail(l, err_make(ERR_PROTO, 0, "Redis: %s", l->reader->errstr));
			break;
		}
		if (reply == NULL)
			break;
		link_reply(l, reply);
	}
	if (!*closed)
		l->closed = NULL;
	free(closed);
}

static void
on_data(void *arg, struct str bytes)
{
	struct redis_link *l = arg;

	l->heard_ms = loop_mono_ms();
	if (l->reader->len + bytes.len > REPLY_MAX || redisReaderFeed(l->reader, bytes.p, bytes.len) != REDIS_OK)
		redis_link_fail(l, err_make(ERR_LIMIT, 0, "Redis: a reply of more than %d MiB", REPLY_MAX >> 20));
	else
		link_read_replies(l);
}

static void
on_open(void *arg)
{
	link_step(arg, LINK_LOGIN);
}

static void
on_close(void *arg, const struct err *err)
{
	struct redis_link *l = arg;

	l->stream = NULL;
	if (err != NULL)
		redis_link_fail(l, err_make(ERR_UNAVAILABLE, err->detail, "Redis: %s", err->text));
	else
		redis_link_fail(l, err_make(ERR_UNAVAILABLE, 0, "Redis closed the connection"));
}

static void
on_pong(void *arg, const struct redis_reply *reply, const struct err *err)
{
	struct redis_link *l = arg;

	(void)reply;
	(void)err;
	l->ping = NULL;
}

static struct redis_call *
send_words(struct redis_link *l, size_t argc, const struct str *argv, redis_call_fn *fn)
{
	struct str wire = redis_wire_new(argc, argv);
	struct redis_call *call = redis_link_send(l, wire, fn, l);

	free((char *)wire.p);
	return call;
}

static void
on_timeout(void *arg)
{
	struct redis_link *l = arg;

	if (l->state == LINK_WAIT) {
		link_step(l, LINK_CONNECT);
	} else if (l->state == LINK_READY && l->ping == NULL) {
		l->ping = send_words(l, 1, (struct str[]){ STR("PING") }, on_pong);
		timer_start(l->timer, PING_MS);
	} else {
		redis_link_fail(l, err_make(ERR_UNAVAILABLE, 0, "Redis does not answer (%s)", states[l->state].name));
	}
}

static void
enter_wait(struct redis_link *l)
{
	timer_start(l->timer, l->backoff_ms);
	l->backoff_ms = l->backoff_ms * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : l->backoff_ms * 2;
}

static void *
create_array(const redisReadTask *task, int elements)
{
	struct redis_link *l = task->privdata;

	return elements > ELEMENTS_MAX ? NULL : l->plain->createArray(task, elements);
}

static redisReader *
reader_new(struct redis_link *l)
{
	redisReader *reader = redisReaderCreate();

	assert(reader != NULL);
	l->plain = reader->fn;
	l->bounded = *reader->fn;
	l->bounded.createArray = create_array;
	reader->fn = &l->bounded;
	reader->privdata = l;
	return reader;
}

static void
enter_connect(struct redis_link *l)
{
	static const struct stream_handler handler = { .on_open = on_open, .on_data = on_data, .on_close = on_close };
	const struct stream_target target = {
		.path = l->conf->path,
		.host = l->conf->host,
		.port = l->conf->port,
		.timeout_ms = SETUP_MS,
	};

	l->reader = reader_new(l);
	l->stream = stream_connect(l->loop, &target, &handler, l);
}

static void
on_login_step(void *arg, const struct redis_reply *reply, const struct err *err)
{
	struct redis_link *l = arg;

	(void)reply;
	if (err != NULL)
		redis_link_fail(l, *err);
}

/* PING is refused while Redis still reads its data, unlike the commands before it. */
static void
on_login_end(void *arg, const struct redis_reply *reply, const struct err *err)
{
	struct redis_link *l = arg;

	(void)reply;
	if (err != NULL)
		redis_link_fail(l, *err);
	else
		link_step(l, LINK_READY);
}

static void
enter_login(struct redis_link *l)
{
	const struct redis_conf *conf = l->conf;
	char db[16];

	if (conf->user != NULL && conf->password != NULL)
		send_words(
		    l, 3, (struct str[]){ STR("AUTH"), str_of(conf->user), str_of(conf->password) }, on_login_step);
	else if (conf->password != NULL)
		send_words(l, 2, (struct str[]){ STR("AUTH"), str_of(conf->password) }, on_login_step);
	if (conf->db != 0) {
		snprintf(db, sizeof(db), "%u", conf->db);
		send_words(l, 2, (struct str[]){ STR("SELECT"), str_of(db) }, on_login_step);
	}
	send_words(l, 1, (struct str[]){ STR("PING") }, on_login_end);
}

static void
enter_ready(struct redis_link *l)
{
	l->events->ready(l->arg);
}

struct redis_link *
redis_link_new(struct loop *loop, const struct redis_conf *conf, const struct redis_link_events *events, void *arg)
{
	struct redis_link *l = xcalloc(1, sizeof(*l));

	*l = (struct redis_link){
		.loop = loop, .conf = conf, .events = events, .arg = arg, .backoff_ms = BACKOFF_MIN_MS
	};
	TAILQ_INIT(&l->calls);
	l->timer = timer_new(loop, on_timeout, l);
	timer_start(l->timer, 0);
	return l;
}

void
redis_link_free(struct redis_link **link)
{
	struct redis_link *l = *link;

	if (l == NULL)
		return;
	*link = NULL;
	link_close(l);
	timer_free(&l->timer);
	free(l);
}

void
redis_link_settled(struct redis_link *l)
{
	l->backoff_ms = BACKOFF_MIN_MS;
}

int64_t
redis_link_heard_ms(const struct redis_link *l)
{
	return l->heard_ms;
}

struct redis_call *
redis_link_send(struct redis_link *l, struct str wire, redis_call_fn *fn, void *arg)
{
	struct redis_call *call = xcalloc(1, sizeof(*call));

	assert(l->state == LINK_LOGIN || l->state == LINK_READY);
	*call = (struct redis_call){ .fn = fn, .arg = arg, .bytes = wire.len };
	TAILQ_INSERT_TAIL(&l->calls, call, entry);
	l->pending++;
	l->pending_bytes += wire.len;
	stream_write(l->stream, wire.p, wire.len);
	return call;
}

void
redis_call_forget(struct redis_call *call)
{
	call->fn = NULL;
}

size_t
redis_link_pending(const struct redis_link *l)
{
	return l->pending;
}

size_t
redis_link_pending_bytes(const struct redis_link *l)
{
	return l->pending_bytes;
}

struct str
redis_wire_new(size_t argc, const struct str *argv)
{
	const char **texts = xcalloc(argc, sizeof(*texts));
	size_t *lens = xcalloc(argc, sizeof(*lens));
	char *wire = NULL;
	int len;

	for (size_t i = 0; i < argc; i++) {
		texts[i] = argv[i].len == 0 ? "" : argv[i].p;
		lens[i] = argv[i].len;
	}
	len = redisFormatCommandArgv(&wire, (int)argc, texts, lens);
	assert(len > 0);
	free(texts);
	free(lens);
	return (struct str){ wire, (size_t)len };
}

enum redis_type
redis_reply_type(const struct redis_reply *reply)
{
	const redisReply *r = (const redisReply *)reply;

	if (r == NULL)
		return REDIS_NIL;
	switch (r->type) {
	case REDIS_REPLY_STRING:
	case REDIS_REPLY_STATUS:
		return REDIS_STRING;
	case REDIS_REPLY_INTEGER:
		return REDIS_INTEGER;
	case REDIS_REPLY_ARRAY:
		return REDIS_ARRAY;
	default: /* nil, and an error within an array */
		return REDIS_NIL;
	}
}

struct str
redis_reply_str(const struct redis_reply *reply)
{
	const redisReply *r = (const redisReply *)reply;

	return redis_reply_type(reply) == REDIS_STRING ? (struct str){ r->str, r->len } : STR("");
}

int64_t
redis_reply_int(const struct redis_reply *reply, int64_t fallback)
{
	uint64_t n;

	if (redis_reply_type(reply) == REDIS_INTEGER)
		return ((const redisReply *)reply)->integer;
	return str_to_u64(redis_reply_str(reply), INT64_MAX, &n) ? (int64_t)n : fallback;
}

size_t
redis_reply_count(const struct redis_reply *reply)
{
	return redis_reply_type(reply) == REDIS_ARRAY ? ((const redisReply *)reply)->elements : 0;
}

const struct redis_reply *
redis_reply_at(const struct redis_reply *reply, size_t i)
{
	if (i >= redis_reply_count(reply))
		return NULL;
	return (const struct redis_reply *)((const redisReply *)reply)->element[i];
}
