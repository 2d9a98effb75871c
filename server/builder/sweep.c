#include "server/builder/sweep.h"

#include <stdlib.h>

#include "proto/mem.h"
#include "server/core/crash.h"
#include "server/core/log.h"

enum sweep_state { SWEEP_CONTAINERS, SWEEP_NETWORKS, SWEEP_VOLUMES };

/* In each state first a list, then what is to go, one after the other: containers before the networks they are in and
 * the volumes that they have. */
struct sweep {
	struct host *host;
	enum sweep_state state;
	struct docker_op *op;
	char **ids; /* what is to go */
	size_t count;
	size_t at;
	sweep_fn *fn;
	void *arg;
};

static void list(struct sweep *s, enum sweep_state state);

static void
drop_ids(struct sweep *s)
{
	for (size_t i = 0; i < s->count; i++)
		free(s->ids[i]);
	free(s->ids);
	s->ids = NULL;
	s->count = s->at = 0;
}

void
sweep_cancel(struct sweep **sweep)
{
	struct sweep *s = *sweep;

	if (s == NULL)
		return;
	*sweep = NULL;
	docker_cancel(&s->op);
	drop_ids(s);
	free(s);
}

static void
finish(struct sweep *s, const struct err *err)
{
	sweep_fn *fn = s->fn;
	void *arg = s->arg;

	sweep_cancel(&s);
	fn(arg, err);
}

static void on_removed(void *arg, const union docker_result *result, const struct err *err);

static void
remove_next(struct sweep *s)
{
	struct docker *docker = s->host->docker;

	if (s->at == s->count && s->state != SWEEP_VOLUMES) {
		list(s, s->state + 1);
		return;
	}
	if (s->at == s->count) {
		CRASH_POINT(engine_swept);
		finish(s, NULL);
		return;
	}
	switch (s->state) {
	case SWEEP_CONTAINERS:
		s->op = docker_remove(docker, s->ids[s->at++], on_removed, s);
		break;
	case SWEEP_NETWORKS:
		s->op = docker_network_remove(docker, s->ids[s->at++], on_removed, s);
		break;
	case SWEEP_VOLUMES:
		s->op = docker_volume_remove(docker, s->ids[s->at++], on_removed, s);
		break;
	}
}

/* One that cannot be removed now is there at the next sweep, too. */
static void
on_removed(void *arg, const union docker_result *result, const struct err *err)
{
	struct sweep *s = arg;

	(void)result;
	s->op = NULL;
	if (err != NULL)
		log_warn("sweep: %s", err->text);
	CRASH_POINT(engine_removed);
	remove_next(s);
}

static void
on_list(void *arg, const union docker_result *result, const struct err *err)
{
	struct sweep *s = arg;

	s->op = NULL;
	if (err != NULL) {
		finish(s, err);
		return;
	}
	CRASH_POINT(engine_listed);
	drop_ids(s);
	s->ids = xcalloc(result->list.count, sizeof(*s->ids));
	for (size_t i = 0; i < result->list.count; i++) {
		const struct docker_item *item = &result->list.items[i];

		if (host_owns(s->host, item->name))
			continue;
		log_info("sweep: removing %s", item->name);
		s->ids[s->count++] = xstrdup(item->id);
	}
	remove_next(s);
}

static void
list(struct sweep *s, enum sweep_state state)
{
	char *filter = docker_label_filter("davit.node", s->host->conf->node);

	s->state = state;
	switch (state) {
	case SWEEP_CONTAINERS:
		s->op = docker_list_containers(s->host->docker, filter, on_list, s);
		break;
	case SWEEP_NETWORKS:
		s->op = docker_list_networks(s->host->docker, filter, on_list, s);
		break;
	case SWEEP_VOLUMES:
		s->op = docker_list_volumes(s->host->docker, filter, on_list, s);
		break;
	}
	free(filter);
}

struct sweep *
sweep_start(struct host *host, sweep_fn *fn, void *arg)
{
	struct sweep *s = xcalloc(1, sizeof(*s));

	*s = (struct sweep){ .host = host, .fn = fn, .arg = arg };
	list(s, SWEEP_CONTAINERS);
	return s;
}
