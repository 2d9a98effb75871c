#include "server/delivery/watch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/crypto.h"
#include "proto/followed_tag.h"
#include "proto/image.h"
#include "proto/mem.h"
#include "proto/registry_login.h"
#include "server/core/log.h"
#include "server/core/loop.h"

#define PLACES 8
#define RETRY_MS 1000
#define TICK_MAX_MS 60000 /* the wall clock may be set meanwhile */

/* login -> version -> ask -> (deploy) -> record */
struct place {
	struct watch *watch;
	const struct environment *environment;
	const struct deployment *deployment;
	const struct destination *destination;
	struct watch_login *login;
	struct docker_op *ask;
	struct store_op *op;
	char *image; /* whole */
	char *auth;
	char digest[128];
};

struct watch {
	struct watch_means means;
	struct store_watches due; /* those in the places */
	struct place places[PLACES];
	size_t left;         /* of them */
	struct timer *timer; /* until the next is due */
	struct store_op *op; /* asks who is due */
	bool again;          /* woken meanwhile */
	bool is_up;          /* has been, once */
	bool draining;
};

static void ask(struct watch *w);

/* --- one environment --- */

static void
place_clear(struct place *p)
{
	p->watch->means.login_cancel(&p->login);
	docker_cancel(&p->ask);
	store_cancel(&p->op);
	crypto_wipe_free(&p->auth);
	free(p->image);
	p->image = NULL;
}

static void
place_end(struct place *p)
{
	struct watch *w = p->watch;

	place_clear(p);
	if (--w->left > 0)
		return;
	environment_list_fini(&w->due.environments);
	deployment_list_fini(&w->due.deployments);
	ask(w);
}

/* What could not be written is asked about again when it is due. */
static void
on_recorded(void *arg, const struct err *err)
{
	struct place *p = arg;

	p->op = NULL;
	if (err != NULL)
		log_debug("watch: %s", err->text);
	place_end(p);
}

/* digest or error is "". */
static void
record(struct place *p, const char *digest, const char *error)
{
	if (strcmp(digest, p->environment->watch_digest) == 0 && strcmp(error, p->environment->watch_error) == 0)
		place_end(p);
	else
		p->op = store_watch_seen(p->watch->means.store, p->environment, digest, error, on_recorded, p);
}

static void
place_fail(struct place *p, const struct err *err)
{
	if (strcmp(err->text, p->environment->watch_error) != 0)
		log_warn("environment %s of %s follows %s: %s", p->environment->name, p->environment->repo,
		    p->environment->watch, err->text);
	record(p, "", err->text);
}

static void
on_deployed(void *arg, int64_t build, const struct err *err)
{
	struct place *p = arg;

	p->op = NULL;
	if (err != NULL && (err->code == ERR_NOT_FOUND || err->code == ERR_CONFLICT)) {
		place_fail(p, err);
	} else if (err != NULL) {
		log_debug("watch: %s", err->text);
		place_end(p);
	} else {
		log_info("environment %s of %s: %s is at %s now, build %" PRId64, p->environment->name,
		    p->environment->repo, p->environment->watch, p->digest, build);
		record(p, p->digest, "");
	}
}

static void
deploy(struct place *p)
{
	char *cause = xasprintf("%.100s", p->environment->watch);

	p->op = store_build_follow(
	    p->watch->means.store, p->deployment->build, p->environment->name, cause, on_deployed, p);
	free(cause);
}

static void
on_digest(void *arg, const union docker_result *result, const struct err *err)
{
	struct place *p = arg;
	const struct followed_tag tag = { .image = p->environment->watch,
		.known = p->environment->watch_digest,
		.deployed = p->deployment->images,
		.is_deploying = p->environment->open > 0 };

	p->ask = NULL;
	if (err != NULL) {
		place_fail(p, err);
		return;
	}
	snprintf(p->digest, sizeof(p->digest), "%s", result->digest);
	switch (followed_tag_judge(&tag, p->digest)) {
	case FOLLOWED_TAG_SAME:
	case FOLLOWED_TAG_RECORD:
		record(p, p->digest, "");
		break;
	case FOLLOWED_TAG_WAIT:
		place_end(p);
		break;
	case FOLLOWED_TAG_DEPLOY:
		deploy(p);
		break;
	}
}

static void
on_version(void *arg, const union docker_result *result, const struct err *err)
{
	struct place *p = arg;

	(void)result;
	p->ask = NULL;
	if (err != NULL)
		place_fail(p, err);
	else
		p->ask = docker_image_remote(p->destination->docker, p->image, p->auth, on_digest, p);
}

static void
on_login(void *arg, const struct env *env)
{
	struct place *p = arg;

	p->login = NULL;
	p->auth = registry_login(env, p->image);
	p->ask = docker_version(p->destination->docker, on_version, p);
}

/* Nothing can be made again where nothing was deployed yet. */
static void
place_begin(struct place *p)
{
	const struct watch_means *means = &p->watch->means;
	struct image_ref ref;
	struct err err;

	p->destination = destinations_find(means->destinations, p->environment->engine, &err);
	if (p->destination == NULL || !image_parse(str_of(p->environment->watch), &ref, &err)) {
		place_fail(p, &err);
	} else if (p->deployment->number == 0) {
		place_end(p);
	} else {
		p->image = image_print(&ref);
		p->login = means->login(means->arg, p->environment, p->deployment, on_login, p);
	}
}

/* --- which are due --- */

static void
on_timer(void *arg)
{
	ask(arg);
}

static int64_t
wait_ms(const struct watch *w, const struct err *err)
{
	if (err != NULL) /* Redis coming up wakes us as well */
		return RETRY_MS;
	return w->due.next_ms >= 0 && w->due.next_ms < TICK_MAX_MS ? w->due.next_ms : TICK_MAX_MS;
}

static void
on_due(void *arg, struct store_watches due, const struct err *err)
{
	struct watch *w = arg;

	w->op = NULL;
	w->due = due;
	w->left = due.environments.count;
	if (err != NULL)
		log_debug("watch: %s", err->text);
	if (w->left == 0) {
		environment_list_fini(&w->due.environments);
		deployment_list_fini(&w->due.deployments);
		timer_start(w->timer, w->again ? 0 : wait_ms(w, err) + 1);
		w->again = false;
		return;
	}
	for (size_t i = 0, count = w->left; i < count; i++) {
		w->places[i] = (struct place){ .watch = w,
			.environment = &w->due.environments.items[i],
			.deployment = &w->due.deployments.items[i] };
		place_begin(&w->places[i]);
	}
}

static void
ask(struct watch *w)
{
	if (w->draining || !w->is_up)
		return;
	if (w->op != NULL || w->left > 0) {
		w->again = true;
		return;
	}
	timer_stop(w->timer);
	w->op = store_watches_due(w->means.store, PLACES, w->means.interval_ms, on_due, w);
}

/* --- life --- */

struct watch *
watch_new(const struct watch_means *means)
{
	struct watch *w = xcalloc(1, sizeof(*w));

	*w = (struct watch){ .means = *means };
	w->timer = timer_new(means->loop, on_timer, w);
	return w;
}

void
watch_free(struct watch **watch)
{
	struct watch *w = *watch;

	if (w == NULL)
		return;
	*watch = NULL;
	watch_drain(w);
	timer_free(&w->timer);
	free(w);
}

void
watch_wake(struct watch *watch, const char *line)
{
	if (watch == NULL || (strcmp(line, "watch") != 0 && strcmp(line, "up") != 0))
		return;
	watch->is_up = true;
	ask(watch);
}

void
watch_drain(struct watch *watch)
{
	if (watch == NULL)
		return;
	watch->draining = true;
	timer_stop(watch->timer);
	store_cancel(&watch->op);
	for (size_t i = 0; i < watch->due.environments.count; i++)
		place_clear(&watch->places[i]);
	environment_list_fini(&watch->due.environments);
	deployment_list_fini(&watch->due.deployments);
}
