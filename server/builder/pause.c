#include "server/builder/pause.h"

#include <arpa/inet.h>
#include <assert.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/docker_lines.h"
#include "proto/mem.h"
#include "server/core/loop.h"

enum { BLOCKED_MAX = 64, LINE_MAX_BYTES = 256 };

/* $1 the port, the others what to block. A route that is there already is as good. Trying the port costs less and less
 * often: from 20 ms to half a second. */
static const char script[] = "b=/bin/busybox; port=$1; shift\n"
			     "gateway=$($b ip route | $b sed -n 's/^default via \\([^ ]*\\).*/\\1/p')\n"
			     "for a in 169.254.169.254 $gateway \"$@\"; do\n"
			     "  $b ip route add blackhole $a 2>/dev/null && continue\n"
			     "  $b ip route | $b grep -q \"^blackhole $a \" || { echo \"cannot block $a\"; exit 1; }\n"
			     "done\n"
			     "address=$($b hostname -i); address=${address%% *}\n"
			     "echo \"ready $address\"\n"
			     "n=20\n"
			     "if [ $port != 0 ]; then\n"
			     "  until $b nc -w 2 $address $port -e $b true 2>/dev/null; do\n"
			     "    $b usleep ${n}000; [ $n -ge 500 ] || n=$((n * 3 / 2))\n"
			     "  done\n"
			     "  echo open\n"
			     "fi\n"
			     "exec $b sleep 2147483647\n";

enum pause_state { PAUSE_CREATE, PAUSE_ATTACH, PAUSE_START, PAUSE_ROUTES, PAUSE_UP, PAUSE_REMOVE, PAUSE_DONE };

struct pause {
	struct host *host;
	enum pause_state state;
	struct docker_op *op;
	struct docker_attach *attach;
	struct timer *timer;
	struct docker_lines lines;
	const char *name;
	char *network;
	char *alias;
	unsigned port;
	const struct host_labels *labels;
	char id[DOCKER_ID_SIZE];
	char address[INET_ADDRSTRLEN];
	struct err err; /* the first cause */
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

static void
on_reply(void *arg, const union docker_result *result, const struct err *err)
{
	struct pause *p = arg;

	p->op = NULL;
	if (err == NULL && p->state == PAUSE_CREATE)
		memcpy(p->id, result->id, sizeof(p->id));
	if (err != NULL || (p->state == PAUSE_CREATE && p->err.code != ERR_NONE)) {
		pause_fail(p, err != NULL ? err_prefix(*err, "network holder") : p->err);
		return;
	}
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

/* The machine's own addresses lead to its ports as the gateway's does. Of a remote engine they are not known to us. */
static size_t
add_own_addresses(char blocked[][INET_ADDRSTRLEN], size_t count)
{
	struct ifaddrs *all;

	if (getifaddrs(&all) != 0)
		return count;
	for (const struct ifaddrs *i = all; i != NULL && count < BLOCKED_MAX; i = i->ifa_next) {
		struct sockaddr_in in;

		if (i->ifa_addr == NULL || i->ifa_addr->sa_family != AF_INET)
			continue;
		memcpy(&in, i->ifa_addr, sizeof(in));
		if (ntohl(in.sin_addr.s_addr) >> 24 != IN_LOOPBACKNET)
			inet_ntop(AF_INET, &in.sin_addr, blocked[count++], INET_ADDRSTRLEN);
	}
	freeifaddrs(all);
	return count;
}

static void
enter_create(struct pause *p)
{
	const struct builder_conf *conf = p->host->conf;
	char own[BLOCKED_MAX][INET_ADDRSTRLEN];
	size_t own_count = p->host->is_local ? add_own_addresses(own, 0) : 0;
	const char *command[8 + 2 * BLOCKED_MAX] = { "/bin/busybox", "sh", "-c", script, "pause" };
	size_t argc = 5;
	char port[8];
	struct docker_container_spec spec = { .role = DOCKER_NETWORK,
		.image = PAUSE_IMAGE,
		.command = command,
		.network = p->network,
		.alias = p->alias,
		.hostname = p->alias != NULL ? p->alias : "davit",
		.labels = p->labels->list,
		.label_count = p->labels->count,
		.limits = { .memory = 32 << 20, .pids = 32 } };

	snprintf(port, sizeof(port), "%u", p->port);
	command[argc++] = port;
	for (size_t i = 0; i < own_count; i++)
		command[argc++] = own[i];
	for (size_t i = 0; i < conf->blocked_count && i < BLOCKED_MAX; i++)
		command[argc++] = conf->blocked[i];
	p->op = docker_create(p->host->docker, p->name, &spec, on_reply, p);
}

static void
on_attached(void *arg)
{
	struct pause *p = arg;

	pause_step(p, states[p->state].next);
}

/* The way to others is closed. This may be told before the engine has answered to the start. */
static void
take_address(struct pause *p, struct str text)
{
	struct in_addr address;

	snprintf(p->address, sizeof(p->address), "%.*s", (int)text.len, text.p);
	if (inet_pton(AF_INET, p->address, &address) != 1)
		pause_fail(p, err_make(ERR_PROTO, 0, "network holder: no address in %s", p->network));
	else if (p->state == PAUSE_ROUTES)
		pause_step(p, states[p->state].next);
}

/* "ready ADDRESS", "open", or what went wrong. */
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

static void
on_closed(void *arg, const struct err *err)
{
	struct pause *p = arg;

	p->attach = NULL;
	pause_fail(p, err != NULL ? *err : err_make(ERR_IO, 0, "network holder: it ended by itself"));
}

static void
enter_attach(struct pause *p)
{
	static const struct docker_attach_handler handler = {
		.on_open = on_attached, .on_output = on_output, .on_close = on_closed
	};

	p->attach = docker_attach(p->host->docker, p->id, false, &handler, p);
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
	p->op = docker_remove(p->host->docker, p->name, on_reply, p);
}

static void
enter_done(struct pause *p)
{
	const struct pause_handler *handler = p->handler;
	struct err err = p->err;
	void *arg = p->arg;

	assert(p->op == NULL && p->attach == NULL);
	host_disown(p->host, &p->name);
	timer_free(&p->timer);
	docker_lines_fini(&p->lines);
	free(p->network);
	free(p->alias);
	free(p);
	handler->on_end(arg, err.code != ERR_CANCELLED ? &err : NULL);
}

struct pause *
pause_start(struct host *host, const struct pause_spec *spec, const struct pause_handler *handler, void *arg)
{
	struct pause *p = xcalloc(1, sizeof(*p));

	*p = (struct pause){ .host = host, .port = spec->port, .labels = spec->labels, .handler = handler, .arg = arg };
	p->name = host_own(host, "pause-%u", host_serial(host));
	p->network = xstrdup(spec->network);
	p->alias = xstrdup_null(spec->alias);
	p->timer = timer_new(host->loop, on_timeout, p);
	docker_lines_init(&p->lines, LINE_MAX_BYTES);
	pause_step(p, PAUSE_CREATE);
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
