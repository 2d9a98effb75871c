/* The replacement of containers: what is chosen step by step, and in thousands of worlds at random, with failures and
 * kills at any step, what it comes to in the end. */
#include "test/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/buf.h"
#include "proto/rollout.h"

enum { WORLD_MAX = 64, STEPS_MAX = 2000 };

static char web[] = "web", db[] = "db", cron[] = "cron";
static struct application_service services[3];
static struct application application = { services, 2 };

struct world {
	struct rollout rollout;
	struct rollout_container containers[WORLD_MAX];
	size_t count;
};

static int
set_up(void **state)
{
	(void)state;
	services[0] = (struct application_service){ .name = web, .replicas = 2, .order = APPLICATION_START_FIRST };
	services[1] = (struct application_service){ .name = db, .replicas = 1, .order = APPLICATION_STOP_FIRST };
	services[2] = (struct application_service){ .name = cron, .replicas = 1, .drain_s = 5 };
	application.service_count = 2;
	return 0;
}

static void
add(struct world *w, const char *service, unsigned replica, int64_t deployment, bool runs)
{
	assert_true(w->count < WORLD_MAX);
	w->containers[w->count++] =
	    (struct rollout_container){ service, replica, deployment, runs, false, false, false };
}

/* The engine does as it is told. */
static void
take(struct world *w, const struct rollout_step *step)
{
	struct rollout_container *c = step->container < w->count ? &w->containers[step->container] : NULL;

	switch (step->action) {
	case ROLLOUT_CREATE:
		add(w, application.services[step->service].name, step->replica, w->rollout.deployment, false);
		return;
	case ROLLOUT_START:
		assert_false(c->runs);
		c->runs = true;
		return;
	case ROLLOUT_GATE:
		assert_true(c->runs);
		c->is_proved = true;
		return;
	case ROLLOUT_DRAIN:
		c->is_drained = true;
		return;
	case ROLLOUT_STOP:
		assert_true(c->runs);
		c->runs = false;
		return;
	case ROLLOUT_REMOVE:
		assert_false(c->runs);
		*c = w->containers[--w->count];
		return;
	case ROLLOUT_COMMIT:
	case ROLLOUT_DONE:
		return;
	}
}

static const char *
words(const struct world *w, const struct rollout_step *step)
{
	static const char *const names[] = { [ROLLOUT_CREATE] = "create",
		[ROLLOUT_START] = "start",
		[ROLLOUT_GATE] = "gate",
		[ROLLOUT_DRAIN] = "drain",
		[ROLLOUT_STOP] = "stop",
		[ROLLOUT_REMOVE] = "remove",
		[ROLLOUT_COMMIT] = "commit",
		[ROLLOUT_DONE] = "done" };
	static char text[64];
	const struct rollout_container *c = step->container < w->count ? &w->containers[step->container] : NULL;

	if (c != NULL)
		snprintf(
		    text, sizeof(text), "%s %s.%u.%d", names[step->action], c->service, c->replica, (int)c->deployment);
	else if (step->action == ROLLOUT_CREATE)
		snprintf(text, sizeof(text), "create %s.%u", application.services[step->service].name, step->replica);
	else
		snprintf(text, sizeof(text), "%s", names[step->action]);
	return text;
}

/* All steps of that way, with commas between. */
static void
expect(struct world *w, enum rollout_way way, const char *steps)
{
	struct rollout_step step;
	struct buf taken;

	buf_init(&taken, 4096);
	w->rollout.way = way;
	do {
		step = rollout_next(&w->rollout, w->containers, w->count);
		buf_addf(&taken, "%s%s", taken.len > 0 ? ", " : "", words(w, &step));
		take(w, &step);
	} while (step.action != ROLLOUT_COMMIT && step.action != ROLLOUT_DONE && taken.len < 4000);
	assert_string_equal(taken.data, steps);
	buf_fini(&taken);
}

static void
test_first_deployment(void **state)
{
	struct world w = { .rollout = { &application, 1, 0, ROLLOUT_FORWARD } };

	(void)state;
	expect(&w, ROLLOUT_FORWARD,
	    "create web.1, start web.1.1, gate web.1.1, create web.2, start web.2.1, gate web.2.1, "
	    "create db.1, start db.1.1, gate db.1.1, commit");
	expect(&w, ROLLOUT_CLEAN, "done");
}

static void
test_replacement(void **state)
{
	struct world w = { .rollout = { &application, 7, 4, ROLLOUT_FORWARD } };

	(void)state;
	add(&w, "web", 1, 4, true);
	add(&w, "web", 2, 4, true);
	add(&w, "db", 1, 4, true);
	add(&w, "old", 1, 4, true);
	expect(&w, ROLLOUT_FORWARD,
	    "create web.1, start web.1.7, gate web.1.7, stop web.1.4, create web.2, start web.2.7, gate web.2.7, "
	    "stop web.2.4, create db.1, stop db.1.4, start db.1.7, gate db.1.7, stop old.1.4, commit");
	expect(&w, ROLLOUT_CLEAN, "remove web.1.4, remove web.2.4, remove db.1.4, remove old.1.4, done");
}

static void
test_drain(void **state)
{
	struct world w = { .rollout = { &application, 2, 1, ROLLOUT_FORWARD } };

	(void)state;
	services[0] = services[2];
	application.service_count = 1;
	add(&w, "cron", 1, 1, true);
	expect(
	    &w, ROLLOUT_FORWARD, "create cron.1, start cron.1.2, gate cron.1.2, drain cron.1.2, stop cron.1.1, commit");
}

/* The way back from a failure in the midst of it: side by side where that can be, else one after the other. */
static void
test_back(void **state)
{
	struct world w = { .rollout = { &application, 7, 4, ROLLOUT_BACK } };

	(void)state;
	add(&w, "web", 1, 4, false);
	add(&w, "db", 1, 4, false);
	add(&w, "web", 1, 7, true);
	add(&w, "db", 1, 7, true);
	expect(&w, ROLLOUT_BACK,
	    "start web.1.4, stop web.1.7, remove web.1.7, stop db.1.7, start db.1.4, remove db.1.7, done");
}

static void
test_back_to_nothing(void **state)
{
	struct world w = { .rollout = { &application, 1, 0, ROLLOUT_BACK } };

	(void)state;
	add(&w, "web", 1, 1, true);
	expect(&w, ROLLOUT_BACK, "stop web.1.1, remove web.1.1, done");
	assert_int_equal(w.count, 0);
}

/* One that cannot be started again holds up nothing. */
static void
test_lost(void **state)
{
	struct world w = { .rollout = { &application, 7, 4, ROLLOUT_BACK } };

	(void)state;
	add(&w, "web", 1, 4, false);
	w.containers[0].is_lost = true;
	expect(&w, ROLLOUT_BACK, "done");
}

/* A deployment that came to no end left its own beside those that passed. */
static void
test_base(void **state)
{
	struct world w = { .rollout = { &application, 9, 4, ROLLOUT_BACK } };

	(void)state;
	add(&w, "web", 1, 4, false);
	add(&w, "web", 1, 6, true);
	assert_int_equal(rollout_base(&w.rollout, w.containers, w.count), 4);
	w.rollout.previous = 3;
	assert_int_equal(rollout_base(&w.rollout, w.containers, w.count), 6);
	w.rollout.previous = 4;
	expect(&w, ROLLOUT_BACK, "start web.1.4, stop web.1.6, remove web.1.6, done");
}

/* --- at random --- */

static unsigned
running(const struct world *w, const char *service, unsigned replica)
{
	unsigned n = 0;

	for (size_t i = 0; i < w->count; i++)
		n += w->containers[i].runs && w->containers[i].replica == replica &&
		     strcmp(w->containers[i].service, service) == 0;
	return n;
}

static void
check_running(const struct world *w, bool is_first)
{
	for (unsigned replica = 1; !is_first && replica <= services[0].replicas; replica++)
		assert_true(running(w, "web", replica) >= 1);
	assert_true(running(w, "db", 1) <= 1);
}

static void
check_end(const struct world *w, int64_t deployment)
{
	assert_int_equal(w->count, deployment == 0 ? 0 : services[0].replicas + services[1].replicas);
	for (size_t i = 0; i < w->count; i++) {
		assert_int_equal(w->containers[i].deployment, deployment);
		assert_true(w->containers[i].runs);
	}
}

/* A process that knows nothing but what is there. */
static void
forget(struct world *w)
{
	for (size_t i = 0; i < w->count; i++)
		w->containers[i].is_proved = w->containers[i].is_drained = false;
}

static void
deploy_at_random(unsigned seed)
{
	struct world w = { .rollout = { &application, 7, 4, ROLLOUT_FORWARD } };
	bool is_first = rand_r(&seed) % 4 == 0;
	unsigned fails_at = (unsigned)rand_r(&seed) % 40;
	struct rollout_step step;

	services[0].replicas = 1 + (unsigned)rand_r(&seed) % 3;
	services[0].drain_s = (unsigned)rand_r(&seed) % 2;
	for (unsigned replica = 1; !is_first && replica <= services[0].replicas; replica++)
		add(&w, "web", replica, 4, true);
	if (!is_first)
		add(&w, "db", 1, 4, true);
	for (unsigned n = 0;; n++) {
		assert_true(n < STEPS_MAX);
		if (rand_r(&seed) % 8 == 0)
			forget(&w);
		if (n == fails_at && w.rollout.way == ROLLOUT_FORWARD)
			w.rollout.way = ROLLOUT_BACK;
		step = rollout_next(&w.rollout, w.containers, w.count);
		if (step.action == ROLLOUT_DONE)
			break;
		if (step.action == ROLLOUT_COMMIT)
			w.rollout.way = ROLLOUT_CLEAN;
		take(&w, &step);
		check_running(&w, is_first);
	}
	check_end(&w, w.rollout.way == ROLLOUT_CLEAN ? 7 : is_first ? 0 : 4);
}

static void
test_random_worlds(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 5000; seed++)
		deploy_at_random(seed);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_first_deployment, set_up),
		cmocka_unit_test_setup(test_replacement, set_up),
		cmocka_unit_test_setup(test_drain, set_up),
		cmocka_unit_test_setup(test_back, set_up),
		cmocka_unit_test_setup(test_back_to_nothing, set_up),
		cmocka_unit_test_setup(test_lost, set_up),
		cmocka_unit_test_setup(test_base, set_up),
		cmocka_unit_test_setup(test_random_worlds, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
