/* The kind swarm: services, one after the other. proto/swarm_rollout.h decides the next step from what the swarm has,
 * which is asked before each. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"
#include "proto/registry_login.h"
#include "proto/swarm_rollout.h"
#include "server/core/crash.h"
#include "server/core/log.h"
#include "server/core/loop.h"
#include "server/delivery/release_private.h"
#include "server/delivery/stock.h"

enum {
	LOOK_MS = 300, /* from one look at tasks to the next */
	GOING_S = 3,   /* for the end of an old task, beside its own time for that */
};

enum state {
	SWARM_STATE_NETWORKS,
	SWARM_STATE_LIST, /* what is there; then one of the next, and here again */
	SWARM_STATE_CREATE,
	SWARM_STATE_UPDATE,
	SWARM_STATE_TASKS, /* of one that is watched */
	SWARM_STATE_WAIT,  /* until the next look */
	SWARM_STATE_BACK,
	SWARM_STATE_REMOVE,
};

/* What this process has seen of a service. */
struct sight {
	bool is_proved, is_lost;
	unsigned running;      /* of its new tasks */
	int64_t moved_ms;      /* when that changed last; 0: it was not looked at */
	int64_t well_since_ms; /* 0: it is not */
};

struct swarm_release {
	struct release base;
	enum state state;
	struct timer *timer;                           /* of SWARM_STATE_WAIT */
	size_t made;                                   /* services whose networks are there */
	size_t network;                                /* that is next, of a service's */
	struct docker_services there;                  /* its document is not kept */
	struct swarm_service *items;                   /* of each of there; their names are owned */
	struct sight sights[APPLICATION_SERVICES_MAX]; /* by the application's services */
	struct swarm_step step;
	char failed[DOCKER_ID_SIZE]; /* the task that has; "": none */
};

static void enter_networks(struct swarm_release *s);
static void enter_list(struct swarm_release *s);
static void enter_create(struct swarm_release *s);
static void enter_update(struct swarm_release *s);
static void enter_tasks(struct swarm_release *s);
static void enter_wait(struct swarm_release *s);
static void enter_back(struct swarm_release *s);
static void enter_remove(struct swarm_release *s);

/* clang-format off */
static const struct {
	const char *name;
	void (*enter)(struct swarm_release *s);
} states[] = {
	[SWARM_STATE_NETWORKS] = { "networks", enter_networks },
	[SWARM_STATE_LIST]     = { "list",     enter_list },
	[SWARM_STATE_CREATE]   = { "create",   enter_create },
	[SWARM_STATE_UPDATE]   = { "update",   enter_update },
	[SWARM_STATE_TASKS]    = { "tasks",    enter_tasks },
	[SWARM_STATE_WAIT]     = { "wait",     enter_wait },
	[SWARM_STATE_BACK]     = { "back",     enter_back },
	[SWARM_STATE_REMOVE]   = { "remove",   enter_remove },
};
/* clang-format on */

/* s may be gone when it returns. */
static void
swarm_step(struct swarm_release *s, enum state next)
{
	log_debug("job %s: release: %s -> %s", s->base.job->name, states[s->state].name, states[next].name);
	release_halt(&s->base);
	s->state = next;
	states[next].enter(s);
}

/* Of what changes a service: then it is looked at again. An update that another has come before is decided anew. */
static void
on_changed(void *arg, const union docker_result *result, const struct err *err)
{
	struct swarm_release *s = arg;

	(void)result;
	s->base.op = NULL;
	if (err != NULL && strstr(err->text, "update out of sequence") != NULL)
		swarm_step(s, SWARM_STATE_WAIT);
	else if (release_holds(&s->base, err))
		swarm_step(s, SWARM_STATE_LIST);
}

static void
on_timer(void *arg)
{
	swarm_step(arg, SWARM_STATE_LIST);
}

static struct docker *
manager(const struct swarm_release *s)
{
	return s->base.destination->docker;
}

static const struct application_service *
wanted(const struct swarm_release *s)
{
	return &s->base.job->application->services[s->step.wanted];
}

/* --- before anything is changed --- */

/* A manager says 503 also while it is without a leader. */
static bool
is_no_manager(const struct err *err)
{
	return err != NULL && strstr(err->text, "not a swarm manager") != NULL;
}

static void
on_first_list(void *arg, const union docker_result *result, const struct err *err)
{
	struct swarm_release *s = arg;

	(void)result;
	s->base.op = NULL;
	if (is_no_manager(err))
		release_fail(&s->base, RELEASE_FAILED,
		    err_make(ERR_INPUT, 0,
			"the engine %s is no manager of a swarm; \"docker swarm init\" makes it one, or name another "
			"with \"davit environment set --engine\"",
			s->base.destination->name));
	else if (release_holds(&s->base, err))
		release_pass(&s->base);
}

static void
list_services(struct swarm_release *s, docker_fn *fn)
{
	char *application = release_application(&s->base),
	     *filter = docker_label_filter(STOCK_APPLICATION, application);

	s->base.op = docker_list_services(manager(s), filter, fn, s);
	free(filter);
	free(application);
}

static void
enter_check(struct release *d)
{
	struct err err;

	for (size_t i = 0; i < d->job->application->service_count; i++) {
		if (!docker_service_check(&d->job->application->services[i], &err)) {
			release_fail(d, RELEASE_FAILED, err);
			return;
		}
	}
	list_services((struct swarm_release *)d, on_first_list);
}

/* --- networks --- */

/* One that is there is a success. */
static void
on_network(void *arg, const union docker_result *result, const struct err *err)
{
	struct swarm_release *s = arg;

	(void)result;
	s->base.op = NULL;
	s->network++;
	if ((err != NULL && err->code == ERR_CONFLICT) || release_holds(&s->base, err))
		swarm_step(s, SWARM_STATE_NETWORKS);
}

/* The next one's name; NULL: that was the last. */
static char *
next_network(struct swarm_release *s)
{
	const struct release_job *job = s->base.job;

	while (s->made < job->application->service_count) {
		char *name =
		    docker_swarm_network(job->repo, job->environment, &job->application->services[s->made], s->network);

		if (name != NULL)
			return name;
		s->made++;
		s->network = 0;
	}
	return NULL;
}

static void
enter_networks(struct swarm_release *s)
{
	char *application = release_application(&s->base), *name = next_network(s);
	const struct docker_label label = { STOCK_APPLICATION, application };

	if (name != NULL)
		s->base.op = docker_overlay_create(manager(s), name, &label, 1, on_network, s);
	else
		swarm_step(s, SWARM_STATE_LIST);
	free(name);
	free(application);
}

/* --- what is there --- */

static void
forget(struct swarm_release *s)
{
	for (size_t i = 0; i < s->there.count; i++)
		free((char *)s->items[i].name);
	free(s->items);
	free(s->there.items);
	s->items = NULL;
	s->there = (struct docker_services){ 0 };
}

static struct sight *
sight_of(struct swarm_release *s, const char *name)
{
	const struct application *application = s->base.job->application;

	for (size_t k = 0; k < application->service_count; k++)
		if (strcmp(application->services[k].name, name) == 0)
			return &s->sights[k];
	return NULL;
}

static int64_t
deployment_of(const struct json_value *labels)
{
	uint64_t n;

	return str_to_u64(str_of(docker_label_of(labels, STOCK_DEPLOYMENT)), INT64_MAX, &n) ? (int64_t)n : 0;
}

static void
take(struct swarm_release *s, const struct docker_services *services)
{
	forget(s);
	s->there.items = xcalloc(services->count + 1, sizeof(*s->there.items));
	s->items = xcalloc(services->count + 1, sizeof(*s->items));
	for (size_t i = 0; i < services->count; i++) {
		const struct docker_service *service = &services->items[i];
		const char *name = docker_label_of(service->labels, STOCK_SERVICE);
		const struct sight *sight = sight_of(s, name);

		s->there.items[i] = *service;
		s->there.items[i].labels = s->there.items[i].previous = NULL; /* the reply's */
		s->items[i] = (struct swarm_service){ .name = xstrdup(name),
			.deployment = deployment_of(service->labels),
			.previous = service->previous != NULL ? deployment_of(service->previous) : 0,
			.update = service->update,
			.is_proved = sight != NULL && sight->is_proved,
			.is_lost = sight != NULL && sight->is_lost };
		s->there.count++;
	}
}

static void
take_step(struct swarm_release *s)
{
	static const enum state of[] = {
		[SWARM_CREATE] = SWARM_STATE_CREATE,
		[SWARM_UPDATE] = SWARM_STATE_UPDATE,
		[SWARM_WATCH] = SWARM_STATE_TASKS,
		[SWARM_BACK] = SWARM_STATE_BACK,
		[SWARM_AWAIT] = SWARM_STATE_WAIT,
		[SWARM_REMOVE] = SWARM_STATE_REMOVE,
		[SWARM_COMMIT] = SWARM_STATE_LIST, /* these two are an end */
		[SWARM_DONE] = SWARM_STATE_LIST,
	};

	s->step = swarm_rollout_next(&s->base.rollout, s->items, s->there.count);
	if (s->step.action == SWARM_COMMIT)
		release_commit(&s->base);
	else if (s->step.action == SWARM_DONE)
		release_finish(&s->base);
	else
		swarm_step(s, of[s->step.action]);
}

static void
on_list(void *arg, const union docker_result *result, const struct err *err)
{
	struct swarm_release *s = arg;

	s->base.op = NULL;
	if (!release_holds(&s->base, err))
		return;
	take(s, &result->services);
	take_step(s);
}

static void
enter_list(struct swarm_release *s)
{
	list_services(s, on_list);
}

/* --- forward --- */

static const struct docker_service *
service_there(const struct swarm_release *s)
{
	return &s->there.items[s->step.there];
}

/* The one that the step is about is made, or becomes what is wanted. */
static void
bring(struct swarm_release *s)
{
	const struct release_job *job = s->base.job;
	const char *image = s->base.references.items[s->step.wanted];
	struct docker_service_spec spec = { job->repo, job->environment, job->deployment, { .service = wanted(s) } };
	struct release_labels labels;
	char *auth;

	if (!release_make_env(&s->base, wanted(s)))
		return;
	release_labels_init(&labels, &s->base, wanted(s)->name, 0);
	spec.container.image = image;
	spec.container.env = &s->base.env;
	spec.container.prefix = s->base.prefix;
	spec.container.labels = labels.items;
	spec.container.label_count = labels.count;
	auth = registry_login(job->env, image);
	CRASH_POINT(rollout_creating);
	if (s->step.action == SWARM_CREATE)
		s->base.op = docker_service_create(manager(s), &spec, auth, on_changed, s);
	else
		s->base.op = docker_service_update(manager(s), service_there(s), &spec, auth, on_changed, s);
	if (auth != NULL)
		explicit_bzero(auth, strlen(auth));
	free(auth);
	release_labels_fini(&labels);
}

/* One that was made meanwhile is in the next list. */
static void
enter_create(struct swarm_release *s)
{
	release_say(&s->base, "making %s of deployment %" PRId64, wanted(s)->name, s->base.job->deployment);
	bring(s);
}

static void
enter_update(struct swarm_release *s)
{
	release_say(&s->base, "updating %s from deployment %" PRId64 " to %" PRId64, wanted(s)->name,
	    s->items[s->step.there].deployment, s->base.job->deployment);
	bring(s);
}

/* So long may nothing move: until one more runs and has been watched, and an old one has gone. */
static int64_t
patience_ms(const struct application_service *service)
{
	return ((int64_t)service->gate_s + service->stable_s + service->grace_s + service->drain_s) * 1000;
}

static void
fail_service(struct swarm_release *s, const struct swarm_view *view)
{
	const struct application_service *service = wanted(s);
	const char *why = view->why[0] != '\0' ? view->why : "the update does not come to its end";

	if (view->ill != SIZE_MAX)
		release_fail(&s->base, RELEASE_FAILED, err_make(ERR_REFUSED, 0, "%s: %s", service->name, why));
	else
		release_fail(&s->base, RELEASE_FAILED,
		    err_make(ERR_REFUSED, 0, "%s: %u of %u run, and nothing moves: %s", service->name, view->running,
			service->replicas, why));
}

static void
on_coming(struct swarm_release *s, struct sight *sight, const struct swarm_view *view)
{
	int64_t now = loop_mono_ms();

	sight->well_since_ms = 0;
	if (now - sight->moved_ms >= patience_ms(wanted(s)))
		fail_service(s, view);
	else
		swarm_step(s, SWARM_STATE_WAIT);
}

/* An update has been watched by the swarm itself, but old tasks may still be going, unless their node is not there. */
static bool
may_change(struct swarm_release *s, const struct swarm_view *view, int64_t well_ms)
{
	if (service_there(s)->update != DOCKER_UPDATE_DONE && well_ms < (int64_t)wanted(s)->stable_s * 1000)
		return true;
	return view->going > 0 && well_ms < (int64_t)(wanted(s)->grace_s + GOING_S) * 1000;
}

static void
on_well(struct swarm_release *s, struct sight *sight, const struct swarm_view *view)
{
	int64_t now = loop_mono_ms();

	if (sight->well_since_ms == 0)
		sight->well_since_ms = now;
	if (may_change(s, view, now - sight->well_since_ms)) {
		swarm_step(s, SWARM_STATE_WAIT);
		return;
	}
	sight->is_proved = true;
	release_say(&s->base, "well: %s of deployment %" PRId64, wanted(s)->name, s->base.job->deployment);
	swarm_step(s, SWARM_STATE_LIST);
}

static void
keep_sight(struct swarm_release *s, struct sight *sight, unsigned running)
{
	if (sight->moved_ms != 0 && sight->running == running)
		return;
	sight->moved_ms = loop_mono_ms();
	sight->running = running;
	release_say(&s->base, "%s: %u of %u run", wanted(s)->name, running, wanted(s)->replicas);
}

static void
on_tasks(void *arg, const union docker_result *result, const struct err *err)
{
	struct swarm_release *s = arg;
	struct sight *sight = &s->sights[s->step.wanted];
	struct swarm_view view;
	enum swarm_health health;

	s->base.op = NULL;
	if (!release_holds(&s->base, err))
		return;
	health = swarm_judge(service_there(s), wanted(s)->replicas, s->base.job->deployment, &result->tasks, &view);
	keep_sight(s, sight, view.running);
	if (view.ill != SIZE_MAX)
		memcpy(s->failed, result->tasks.items[view.ill].id, sizeof(s->failed));
	switch (health) {
	case SWARM_COMING:
		on_coming(s, sight, &view);
		break;
	case SWARM_WELL:
		on_well(s, sight, &view);
		break;
	case SWARM_ILL:
		fail_service(s, &view);
		break;
	}
}

static void
enter_tasks(struct swarm_release *s)
{
	CRASH_POINT(rollout_gating);
	s->base.op = docker_list_tasks(manager(s), service_there(s)->id, on_tasks, s);
}

/* --- back, and what goes --- */

/* One that does not come back within the time of its gate is left as it is, so that the others have theirs. */
static void
await_back(struct swarm_release *s)
{
	struct sight *sight = &s->sights[s->step.wanted];
	int64_t now = loop_mono_ms();

	if (sight->moved_ms == 0)
		sight->moved_ms = now;
	if (now - sight->moved_ms < patience_ms(wanted(s)) * wanted(s)->replicas)
		return;
	sight->is_lost = true;
	release_say(&s->base, "%s does not come back to deployment %" PRId64 " as a whole", wanted(s)->name,
	    s->items[s->step.there].deployment);
}

static void
enter_wait(struct swarm_release *s)
{
	if (s->step.action == SWARM_AWAIT)
		await_back(s);
	timer_start(s->timer, LOOK_MS);
}

static void
enter_back(struct swarm_release *s)
{
	s->sights[s->step.wanted].moved_ms = 0;
	release_say(
	    &s->base, "taking %s back to deployment %" PRId64, wanted(s)->name, s->items[s->step.there].previous);
	CRASH_POINT(rollout_removing);
	s->base.op = docker_service_back(manager(s), service_there(s), on_changed, s);
}

static void
enter_remove(struct swarm_release *s)
{
	release_say(&s->base, "removing %s of deployment %" PRId64, s->items[s->step.there].name,
	    s->items[s->step.there].deployment);
	CRASH_POINT(rollout_removing);
	s->base.op = docker_service_remove(manager(s), service_there(s)->id, on_changed, s);
}

/* --- the kind --- */

static void
init(struct release *d)
{
	struct swarm_release *s = (struct swarm_release *)d;

	s->timer = timer_new(release_loop(d), on_timer, s);
}

static void
enter_work(struct release *d)
{
	struct swarm_release *s = (struct swarm_release *)d;

	s->made = s->network = 0;
	swarm_step(s, SWARM_STATE_NETWORKS);
}

static void
enter_logs(struct release *d)
{
	struct swarm_release *s = (struct swarm_release *)d;

	if (s->failed[0] != '\0')
		d->op = docker_task_logs(
		    d->destination->docker, s->failed, RELEASE_LOG_LINES, release_on_log, release_on_logs, d);
	else
		release_pass(d);
}

static void
halt(struct release *d)
{
	timer_stop(((struct swarm_release *)d)->timer);
}

static int64_t
base(const struct release *d)
{
	const struct swarm_release *s = (const struct swarm_release *)d;

	return swarm_rollout_base(&d->rollout, s->items, s->there.count);
}

static void
fini(struct release *d)
{
	struct swarm_release *s = (struct swarm_release *)d;

	timer_free(&s->timer);
	forget(s);
}

const struct release_kind release_swarm_kind = {
	.size = sizeof(struct swarm_release),
	.old = "the old services",
	.init = init,
	.enter_check = enter_check,
	.enter_work = enter_work,
	.enter_logs = enter_logs,
	.halt = halt,
	.base = base,
	.fini = fini,
};
