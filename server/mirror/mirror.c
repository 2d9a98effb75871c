#include "server/mirror/mirror.h"

#include <assert.h>
#include <stdlib.h>

#include "proto/crypto.h"
#include "proto/mem.h"
#include "proto/url.h"
#include "server/core/log.h"
#include "server/core/loop.h"
#include "server/io/listening.h"
#include "server/mirror/access_log.h"
#include "server/mirror/snapshots.h"
#include "server/mirror/tokens.h"

#define LEAVE_MS 10000

struct mirror {
	struct mirror_conf conf;
	struct clients **doors; /* one for each address */
	size_t door_count;
	struct answer_parts parts; /* its shelf is NULL until mirror_open */
	struct shelf_opening *opening;
	struct tokens *tokens;
	struct warmups warmups;
	struct access_log *log; /* NULL: none is kept */
	struct timer *leaving;
	void (*on_left)(void *arg);
	void *arg;
};

static void *
on_request(void *arg, struct client *client, const struct client_request *request)
{
	struct mirror *m = arg;

	return answer_new(&m->parts, client, request);
}

static void
on_gone(void *request)
{
	answer_free(request);
}

static bool
are_all_gone(const struct mirror *m)
{
	for (size_t i = 0; i < m->door_count; i++)
		if (!clients_are_gone(m->doors[i]))
			return false;
	return true;
}

/* By the timer, so that it comes once, and from nobody's callback. */
static void
on_empty(void *arg)
{
	struct mirror *m = arg;

	if (m->on_left != NULL && are_all_gone(m))
		timer_start(m->leaving, 0);
}

static void
on_sent(void *arg, const struct client_sent *sent)
{
	struct mirror *m = arg;
	const struct http1_head *head = &sent->request->head;
	struct str text = sent->request->text, first = str_cut(&text, '\n');
	const struct access_line line = { .peer = sent->peer,
		.user = sent->user,
		.when = (time_t)(loop_wall_ms() / 1000),
		.request = str_cut(&first, '\r'),
		.status = sent->status,
		.bytes = sent->bytes,
		.referer = http1_value(head, "Referer"),
		.agent = http1_value(head, "User-Agent"),
		.source = sent->source };

	access_log_add(m->log, &line);
}

static const struct client_handler handler = { .on_request = on_request, .on_gone = on_gone, .on_empty = on_empty };
static const struct client_handler logging_handler = {
	.on_request = on_request, .on_gone = on_gone, .on_sent = on_sent, .on_empty = on_empty
};

static void
on_leaving_over(void *arg)
{
	struct mirror *m = arg;
	void (*done)(void *arg) = m->on_left;

	m->on_left = NULL;
	done(m->arg);
}

static bool
open_door(struct mirror *m, const char *address, struct err *err)
{
	const struct clients_conf conf = {
		.loop = m->conf.loop,
		.address = address,
		.inherited = m->conf.inherited,
		.door = (unsigned)m->door_count,
		.connections_max = MIRROR_CONNECTIONS_MAX,
		.handler = m->log != NULL ? &logging_handler : &handler,
		.arg = m,
	};

	m->doors[m->door_count] = clients_new(&conf, err);
	return m->doors[m->door_count] != NULL;
}

struct mirror *
mirror_new(const struct mirror_conf *conf, struct err *err)
{
	struct mirror *m = xcalloc(1, sizeof(*m));
	const struct upstreams_conf upstreams = {
		.loop = conf->loop,
		.rules = conf->rules,
		.rule_count = conf->rule_count,
		.ca_file = conf->ca_file,
		.registry = conf->registry,
	};

	m->conf = *conf;
	m->parts.visitors = conf->visitors;
	if (conf->access_log != NULL)
		m->log = access_log_new(conf->loop, conf->disk, conf->access_log, conf->access_log_size);
	m->doors = xcalloc(conf->listen_count, sizeof(*m->doors));
	m->leaving = timer_new(conf->loop, on_leaving_over, m);
	m->parts.upstreams = upstreams_new(&upstreams, err);
	if (m->parts.upstreams == NULL) {
		mirror_free(&m);
		return NULL;
	}
	for (; m->door_count < conf->listen_count; m->door_count++)
		if (!open_door(m, conf->listen[m->door_count], err)) {
			mirror_free(&m);
			return NULL;
		}
	m->conf.inherited = NULL;
	return m;
}

static void
on_open(void *arg, struct shelf *shelf, const struct err *err)
{
	struct mirror *m = arg;
	struct transfers_conf transfers = {
		.loop = m->conf.loop, .shelf = shelf, .upstreams = m->parts.upstreams, .body_max = m->conf.size
	};
	struct snapshots_conf snapshots = { .loop = m->conf.loop, .disk = m->conf.disk, .shelf = shelf };

	m->opening = NULL;
	if (err != NULL) {
		log_error("%s; the mirror serves nobody", err->text);
		return;
	}
	m->parts.shelf = shelf;
	m->tokens = tokens_new(m->conf.loop, m->parts.upstreams);
	transfers.tokens = m->tokens;
	m->parts.transfers = transfers_new(&transfers);
	snapshots.transfers = m->parts.transfers;
	m->parts.snapshots = snapshots_new(&snapshots);
	if (m->conf.connects)
		m->parts.tunnels = tunnels_new(m->conf.loop, m->parts.upstreams);
	for (size_t i = 0; i < m->door_count && m->on_left == NULL; i++)
		clients_accept(m->doors[i]);
}

void
mirror_open(struct mirror *m)
{
	char *folder = xasprintf("%s/mirror", m->conf.state_dir);
	const struct shelf_conf shelf = { .loop = m->conf.loop,
		.disk = m->conf.disk,
		.folder = folder,
		.size = m->conf.size,
		.age_s = m->conf.age_s };

	assert(m->parts.shelf == NULL && m->opening == NULL);
	m->opening = shelf_open(&shelf, on_open, m);
	free(folder);
}

void
mirror_leave(struct mirror *m, void (*done)(void *arg), void *arg)
{
	m->on_left = done;
	m->arg = arg;
	warmups_fini(&m->warmups);
	for (size_t i = 0; i < m->door_count; i++)
		clients_leave(m->doors[i]);
	timer_start(m->leaving, are_all_gone(m) ? 0 : LEAVE_MS);
}

void
mirror_free(struct mirror **mirror)
{
	struct mirror *m = *mirror;

	if (m == NULL)
		return;
	*mirror = NULL;
	m->on_left = NULL;
	warmups_fini(&m->warmups);
	for (size_t i = 0; i < m->door_count; i++)
		clients_free(&m->doors[i]);
	access_log_free(&m->log);
	shelf_open_cancel(&m->opening);
	tunnels_free(&m->parts.tunnels);
	snapshots_free(&m->parts.snapshots);
	transfers_free(&m->parts.transfers);
	tokens_free(&m->tokens);
	shelf_free(&m->parts.shelf);
	upstreams_free(&m->parts.upstreams);
	timer_free(&m->leaving);
	free(m->doors);
	free(m);
}

const struct listening *
mirror_socket(const struct mirror *m, size_t index)
{
	return index < m->door_count ? clients_socket(m->doors[index]) : NULL;
}

/* As keys have it (target.c). A URL without a path is all of that host, and of no other. */
static char *
print_prefix(const char *text)
{
	char origin[ORIGIN_SIZE], *prefix = NULL;
	struct url url;
	struct err wrong;

	if (!url_parse(str_of(text), URL_NO_USERINFO, &url, &wrong))
		return NULL;
	origin_print(&(struct origin){ .is_tls = url.scheme == URL_HTTPS, .host = url.host, .port = url.port }, origin);
	if (url.scheme == URL_HTTP || url.scheme == URL_HTTPS)
		prefix = xasprintf("%s%s", origin, url.path[0] != '\0' ? url.path : "/");
	url_fini(&url);
	return prefix;
}

/* NULL with *err, also while the shelf is not open. */
static char *
read_prefix(const struct mirror *m, const char *url, struct err *err)
{
	char *prefix = print_prefix(url);

	if (prefix == NULL)
		err_set(
		    err, ERR_INPUT, 0, "what is meant is the beginning of an upstream's URL, https://HOST/ at least");
	else if (m->parts.shelf == NULL)
		err_set(err, ERR_UNAVAILABLE, 0, "the mirror's folder is not open yet; try again");
	else
		return prefix;
	free(prefix);
	return NULL;
}

struct purge *
mirror_purge(struct mirror *m, const char *url, purge_fn *fn, void *arg, struct err *err)
{
	char *prefix = read_prefix(m, url, err);
	struct purge *purge = NULL;

	if (prefix != NULL)
		purge = purge_start(m->conf.loop, m->parts.shelf, prefix, fn, arg);
	free(prefix);
	return purge;
}

bool
mirror_pin(struct mirror *m, const char *url, struct err *err)
{
	char *prefix = read_prefix(m, url, err);
	bool ok = prefix != NULL && shelf_pin(m->parts.shelf, prefix, err);

	free(prefix);
	return ok;
}

bool
mirror_unpin(struct mirror *m, const char *url, struct err *err)
{
	char *prefix = read_prefix(m, url, err);
	bool ok = prefix != NULL && shelf_unpin(m->parts.shelf, prefix, err);

	free(prefix);
	return ok;
}

const char *
mirror_pin_at(const struct mirror *m, size_t index)
{
	return m->parts.shelf != NULL ? shelf_pin_at(m->parts.shelf, index) : NULL;
}

uint64_t
mirror_fetch(struct mirror *m, const struct warmup_request *request, struct err *err)
{
	const char *token = m->conf.visitors.engine_token;
	char *authorization = token != NULL ? xasprintf("Bearer %s", token) : NULL;
	const struct warmup_conf conf = {
		.loop = m->conf.loop, .mirror = mirror_socket(m, 0)->address, .authorization = authorization
	};
	uint64_t id = 0;

	if (m->parts.shelf != NULL && m->on_left == NULL)
		id = warmups_start(&m->warmups, &conf, request, err);
	else
		err_set(err, ERR_UNAVAILABLE, 0, "the mirror's folder is not open; try again");
	crypto_wipe_free(&authorization);
	return id;
}

const struct warmup *
mirror_fetched(const struct mirror *m, uint64_t id)
{
	return warmups_find(&m->warmups, id);
}

size_t
mirror_upstreams(const struct mirror *m, struct upstream_status *ret, size_t max)
{
	return upstreams_status(m->parts.upstreams, ret, max);
}

struct mirror_figures
mirror_figures(const struct mirror *m)
{
	struct mirror_figures all = { .answers = m->parts.figures, .size = m->conf.size };

	for (size_t i = 0; i < m->door_count; i++) {
		struct client_figures f = clients_figures(m->doors[i]);

		all.clients.connections += f.connections;
		all.clients.requests += f.requests;
		all.clients.bytes += f.bytes;
	}
	if (m->parts.tunnels != NULL)
		all.tunnels = tunnels_figures(m->parts.tunnels);
	if (m->parts.shelf != NULL) {
		all.transfers = transfers_figures(m->parts.transfers);
		all.shelf = shelf_figures(m->parts.shelf);
	}
	return all;
}
