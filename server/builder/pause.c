#include "server/builder/pause.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/docker_lines.h"
#include "proto/mem.h"
#include "server/builder/container.h"
#include "server/core/loop.h"

enum { LINE_MAX_BYTES = 256 };

/* $1 the port, the others what to block; more to block comes by standard input, whose end changes nothing. A route that
 * is there already is as good. Trying the port costs less and less often: from 20 ms to half a second. */
static const char script[] = "b=/bin/busybox; port=$1; shift\n"
			     "block() {\n"
			     "  $b ip route add blackhole $1 2>/dev/null && return\n"
			     "  $b ip route | $b grep -q \"^blackhole $1 \" || { echo \"cannot block $1\"; exit 1; }\n"
			     "}\n"
			     "gateway=$($b ip route | $b sed -n 's/^default via \\([^ ]*\\).*/\\1/p')\n"
			     "address=$($b hostname -i); address=${address%% *}\n"
			     "for a in $gateway \"$@\"; do block $a; done\n"
			     "echo \"ready $address $gateway\"\n"
			     "try() {\n"
			     "  n=20\n"
			     "  until $b nc -w 2 $address $port -e $b true 2>/dev/null; do\n"
			     "    $b usleep ${n}000; [ $n -ge 500 ] || n=$((n * 3 / 2))\n"
			     "  done\n"
			     "  echo open\n"
			     "}\n"
			     "[ $port = 0 ] || try </dev/null &\n"
			     "while read -r a; do block $a; done\n"
			     "exec $b sleep 2147483647\n";

/* Of one that was adopted: all that is blocked, of which the most is so already. */
static const char block_script[] = "b=/bin/busybox\n"
				   "for a; do\n"
				   "  $b ip route add blackhole $a 2>/dev/null && continue\n"
				   "  $b ip route | $b grep -q \"^blackhole $a \" || exit 1\n"
				   "done\n";

enum pause_state { PAUSE_CREATE, PAUSE_ATTACH, PAUSE_START, PAUSE_ROUTES, PAUSE_UP, PAUSE_REMOVE, PAUSE_DONE };

struct pause {
	struct host *host;
	enum pause_state state;
	struct docker_op *op;
	struct docker_attach *attach;
	struct docker_exec *blocking; /* of one that was adopted */
	bool is_adopted;
	bool block_again;
	struct timer *timer;
	struct docker_lines lines;
	const char *name;
	char *network;
	char *alias;
	unsigned port;
	struct host_listener listener;
	size_t blocked; /* how many were when it was created */
	const struct host_labels *labels;
	char id[DOCKER_ID_SIZE];
	char address[INET_ADDRSTRLEN];
	struct err closed; /* how the attachment ended, in PAUSE_START */
	struct err err;    /* the first cause */
	const struct pause_handler *handler;
	void *arg;
};

static void enter_create(struct pause *p);
static void enter_attach(struct pause *p);
static void enter_start(struct pause *p);
static void enter_routes(struct pause *p);
static void enter_up(struct pause *p);
static void enter_remove(struct pause *p);
static void enter_done(struct pause *p);

/* clang-format off */
static const struct {
	const char *name;
	void (*enter)(struct pause *p);
	unsigned timeout; /* seconds; 0: as long as it takes */
	enum pause_state next;
} states[] = {
	[PAUSE_CREATE] = { "create", enter_create, 120, PAUSE_ATTACH },
	[PAUSE_ATTACH] = { "attach", enter_attach, 30,  PAUSE_START },
	[PAUSE_START]  = { "start",  enter_start,  120, PAUSE_ROUTES },
	[PAUSE_ROUTES] = { "routes", enter_routes, 30,  PAUSE_UP },
	[PAUSE_UP]     = { "up",     enter_up,     0,   PAUSE_REMOVE },
	[PAUSE_REMOVE] = { "remove", enter_remove, 60,  PAUSE_DONE },
	[PAUSE_DONE]   = { "done",   enter_done,   0,   PAUSE_DONE },
};
/* clang-format on */

static void
pause_step(struct pause *p, enum pause_state next)
{
	docker_cancel(&p->op);
	timer_stop(p->timer);
	p->state = next;
	if (states[next].timeout != 0)
		timer_start(p->timer, states[next].timeout * 1000);
	states[next].enter(p);
}

static void
pause_fail(struct pause *p, struct err err)
{
	if (p->err.code == ERR_NONE)
		p->err = err;
	if (p->state != PAUSE_CREATE ||
	    p->op == NULL) /* what the engine is making has to be waited for to be removed */
		pause_step(p, p->state < PAUSE_REMOVE ? PAUSE_REMOVE : PAUSE_DONE);
}

/* A holder that has no image is our trouble, not that of the job that waits for it. */
static struct err
own_error(const struct err *err)
{
	struct err own = err_prefix(*err, "network holder");

	own.code = ERR_UNAVAILABLE;
	return own;
}

static void
on_reply(void *arg, const union docker_result *result, const struct err *err)
{
	struct pause *p = arg;

	p->op = NULL;
	if (err == NULL && p->state == PAUSE_CREATE)
		memcpy(p->id, result->id, sizeof(p->id));
	if (err != NULL || (p->state == PAUSE_CREATE && p->err.code != ERR_NONE)) {
		pause_fail(p, err != NULL ? own_error(err) : p->err);
		return;
	}
	if (p->state == PAUSE_START && p->attach == NULL)
		pause_fail(p, p->closed);
	else
		pause_step(p, states[p->state].next);
}

static void
on_timeout(void *arg)
{
	struct pause *p = arg;

	pause_fail(p, err_make(ERR_TIMEOUT, 0, "network holder: %s took too long", states[p->state].name));
}

void
pause_end(struct pause *pause)
{
	if (pause->state < PAUSE_REMOVE)
		pause_fail(pause, err_make(ERR_CANCELLED, 0, "ended"));
}

/* --- states --- */

static void
enter_create(struct pause *p)
{
	const char *command[8 + HOST_BLOCKED_MAX] = { "/bin/busybox", "sh", "-c", script, "pause" };
	size_t argc = 5;
	char port[8];
	const struct container_place place = {
		.image = PAUSE_IMAGE, .network = p->network, .labels = p->labels->list, .label_count = p->labels->count
	};
	struct docker_container_spec spec = container_of_holder(&place, p->alias, command);

	snprintf(port, sizeof(port), "%u", p->port);
	command[argc++] = port;
	p->blocked = p->host->blocked_count;
	for (size_t n = host_blocked_first(p->host); n < p->blocked; n++)
		command[argc++] = host_blocked(p->host, n);
	p->op = docker_create(p->host->docker, p->name, &spec, on_reply, p);
}

static void block_all(struct pause *p);

static void
on_blocking(void *arg)
{
	(void)arg;
}

static void
on_all_blocked(void *arg, int exit_code, const struct err *err)
{
	struct pause *p = arg;

	p->blocking = NULL;
	if (err != NULL)
		pause_fail(p, err_prefix(*err, "network holder"));
	else if (exit_code != 0)
		pause_fail(p, err_make(ERR_IO, exit_code, "network holder: it cannot block an address"));
	else if (p->block_again)
		block_all(p);
}

static void
block_all(struct pause *p)
{
	static const struct docker_exec_handler handler = { .on_open = on_blocking, .on_close = on_all_blocked };
	const char *command[8 + HOST_BLOCKED_MAX] = { "/bin/busybox", "sh", "-c", block_script, "pause" };
	const struct docker_exec_spec spec = { .command = command };
	size_t argc = 5;

	p->block_again = p->blocking != NULL;
	if (p->block_again || p->state != PAUSE_UP)
		return;
	for (size_t n = host_blocked_first(p->host); n < p->host->blocked_count; n++)
		command[argc++] = host_blocked(p->host, n);
	p->blocking = docker_exec(p->host->docker, p->id, &spec, &handler, p);
}

static void
on_blocked(void *arg, const char *address)
{
	struct pause *p = arg;

	if (p->is_adopted) {
		block_all(p);
		return;
	}
	if (p->state < PAUSE_START || p->attach == NULL)
		return; /* see on_attached */
	docker_attach_write(p->attach, str_of(address));
	docker_attach_write(p->attach, STR("\n"));
}

/* What was blocked since the creation is waiting in the script's input when it starts. */
static void
on_attached(void *arg)
{
	size_t first = host_blocked_first(((struct pause *)arg)->host);
	struct pause *p = arg;

	pause_step(p, states[p->state].next);
	for (size_t n = p->blocked > first ? p->blocked : first; n < p->host->blocked_count; n++)
		on_blocked(p, host_blocked(p->host, n));
}

/* The ways to the machine are closed: "ADDRESS" or "ADDRESS GATEWAY". This may be told before the engine has answered
 * to the start. The gateway is an address of the machine, which all other jobs have to be kept from, too. */
static void
take_address(struct pause *p, struct str text)
{
	struct str own = str_cut(&text, ' ');
	char gateway[INET_ADDRSTRLEN];
	struct in_addr address;

	snprintf(p->address, sizeof(p->address), "%.*s", (int)own.len, own.p);
	snprintf(gateway, sizeof(gateway), "%.*s", (int)text.len, text.p);
	if (inet_pton(AF_INET, p->address, &address) != 1) {
		pause_fail(p, err_make(ERR_PROTO, 0, "network holder: no address in %s", p->network));
		return;
	}
	if (inet_pton(AF_INET, gateway, &address) == 1)
		host_block(p->host, gateway);
	if (p->state == PAUSE_ROUTES)
		pause_step(p, states[p->state].next);
}

/* "ready ADDRESS GATEWAY", "open", or what went wrong. */
static void
take_line(struct pause *p, struct str line)
{
	if (p->address[0] == '\0' && str_has_prefix(line, "ready "))
		take_address(p, (struct str){ line.p + strlen("ready "), line.len - strlen("ready ") });
	else if (p->state == PAUSE_UP && str_is(line, "open") && p->port != 0)
		p->handler->on_open(p->arg);
	else
		pause_fail(p, err_make(ERR_PROTO, 0, "network holder: %.*s", (int)line.len, line.p));
}

/* Lines do not end p at once: going away takes at least one call to the engine. But its lines go with the attachment.
 */
static void
on_output(void *arg, enum docker_stream stream, struct str bytes)
{
	struct pause *p = arg;
	struct str line;

	(void)stream;
	while (p->attach != NULL && docker_lines_next(&p->lines, &bytes, &line))
		take_line(p, line);
	if (p->attach != NULL && docker_lines_failed(&p->lines))
		pause_fail(p, err_make(ERR_LIMIT, 0, "network holder: too long a line"));
}

/* The engine ends the attachment of a container that it cannot start, and says why in the answer to the start. */
static void
on_closed(void *arg, const struct err *err)
{
	struct pause *p = arg;

	p->attach = NULL;
	p->closed = err != NULL ? *err : err_make(ERR_IO, 0, "network holder: it ended by itself");
	if (p->state != PAUSE_START)
		pause_fail(p, p->closed);
}

static void
enter_attach(struct pause *p)
{
	static const struct docker_attach_handler handler = {
		.on_open = on_attached, .on_output = on_output, .on_close = on_closed
	};

	p->attach = docker_attach(p->host->docker, p->id, true, &handler, p);
}

static void
enter_start(struct pause *p)
{
	p->op = docker_start(p->host->docker, p->id, on_reply, p);
}

static void
enter_routes(struct pause *p)
{
	if (p->address[0] != '\0')
		pause_step(p, states[p->state].next);
}

static void
enter_up(struct pause *p)
{
	p->handler->on_ready(p->arg);
}

static void
enter_remove(struct pause *p)
{
	docker_attach_close(&p->attach);
	docker_exec_close(&p->blocking);
	p->op = docker_remove(p->host->docker, p->name, on_reply, p);
}

static void
pause_free(struct pause *p)
{
	host_unlisten(p->host, &p->listener);
	host_disown(p->host, &p->name);
	timer_free(&p->timer);
	docker_lines_fini(&p->lines);
	free(p->network);
	free(p->alias);
	free(p);
}

static void
enter_done(struct pause *p)
{
	const struct pause_handler *handler = p->handler;
	struct err err = p->err;
	void *arg = p->arg;

	assert(p->op == NULL && p->attach == NULL);
	pause_free(p);
	handler->on_end(arg, err.code != ERR_CANCELLED ? &err : NULL);
}

void
pause_detach(struct pause **pause)
{
	struct pause *p = *pause;

	if (p == NULL)
		return;
	*pause = NULL;
	docker_cancel(&p->op);
	docker_attach_close(&p->attach);
	docker_exec_close(&p->blocking);
	pause_free(p);
}

static struct pause *
pause_new(struct host *host, const char *name, const struct pause_handler *handler, void *arg)
{
	struct pause *p = xcalloc(1, sizeof(*p));

	*p = (struct pause){ .host = host, .name = name, .handler = handler, .arg = arg };
	p->listener = (struct host_listener){ .on_blocked = on_blocked, .arg = p };
	host_listen(host, &p->listener);
	p->timer = timer_new(host->loop, on_timeout, p);
	docker_lines_init(&p->lines, LINE_MAX_BYTES);
	return p;
}

struct pause *
pause_start(struct host *host, const struct pause_spec *spec, const struct pause_handler *handler, void *arg)
{
	struct pause *p = pause_new(host, host_own_new(host, "pause"), handler, arg);

	p->port = spec->port;
	p->labels = spec->labels;
	p->network = xstrdup(spec->network);
	p->alias = xstrdup_null(spec->alias);
	pause_step(p, PAUSE_CREATE);
	return p;
}

struct pause *
pause_adopt(struct host *host, const char *id, const char *name, const char *address,
    const struct pause_handler *handler, void *arg)
{
	const char *own = host_adopt(host, name);
	struct pause *p;

	if (own == NULL)
		return NULL;
	p = pause_new(host, own, handler, arg);
	p->state = PAUSE_UP;
	p->is_adopted = true;
	snprintf(p->id, sizeof(p->id), "%s", id);
	snprintf(p->address, sizeof(p->address), "%s", address);
	block_all(p);
	return p;
}

const char *
pause_id(const struct pause *pause)
{
	return pause->id;
}

const char *
pause_address(const struct pause *pause)
{
	return pause->address;
}
