#include "server/delivery/destinations.h"

#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"
#include "proto/url.h"
#include "server/io/stream.h"

struct destinations {
	struct loop *loop;
	const struct destination_conf *confs;
	struct destination *items; /* without a client until it is asked for */
	size_t count;
};

struct destinations *
destinations_new(struct loop *loop, const struct destination_conf *confs, size_t count)
{
	struct destinations *t = xcalloc(1, sizeof(*t));

	*t = (struct destinations){ .loop = loop, .confs = confs, .count = count };
	t->items = xcalloc(count, sizeof(*t->items));
	for (size_t i = 0; i < count; i++)
		t->items[i].name = confs[i].name;
	return t;
}

void
destinations_free(struct destinations **destinations)
{
	struct destinations *t = *destinations;

	if (t == NULL)
		return;
	*destinations = NULL;
	for (size_t i = 0; i < t->count; i++) {
		docker_free(&t->items[i].docker);
		free(t->items[i].host);
	}
	free(t->items);
	free(t);
}

struct loop *
destinations_loop(const struct destinations *destinations)
{
	return destinations->loop;
}

static char *
host_of(const char *url)
{
	struct url parsed;
	char *host;

	if (!url_parse(str_of(url), URL_NO_USERINFO, &parsed, NULL))
		return NULL;
	host = parsed.host != NULL && parsed.host[0] != '\0' ? xstrdup(parsed.host) : NULL;
	url_fini(&parsed);
	return host;
}

static bool
open_client(const struct destinations *t, size_t i, struct err *err)
{
	const struct destination_conf *conf = &t->confs[i];
	struct stream_tls_conf tls = { .ca_file = conf->ca, .cert_file = conf->cert, .key_file = conf->key };
	struct destination *destination = &t->items[i];

	if (destination->docker != NULL)
		return true;
	destination->docker = docker_new(t->loop, conf->url, &tls, err);
	if (destination->docker != NULL)
		destination->host = host_of(conf->url);
	return destination->docker != NULL;
}

const struct destination *
destinations_find(struct destinations *destinations, const char *name, struct err *err)
{
	for (size_t i = 0; i < destinations->count; i++) {
		if (name[0] != '\0' && strcmp(destinations->items[i].name, name) != 0)
			continue;
		return open_client(destinations, i, err) ? &destinations->items[i] : NULL;
	}
	err_set(err, ERR_NOT_FOUND, 0,
	    "this server has no engine %.60s; name one of engines: in davit.yml, with davit environment set --engine",
	    name);
	return NULL;
}
