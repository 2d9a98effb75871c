/* The scheduler over a real Redis, alone and beside another one. The builder is the test: jobs run until they are told
 * to end. The planner is the test's, too: plans have two jobs. */
#include "test/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "proto/mem.h"
#include "server/core/loop.h"
#include "server/io/redis.h"
#include "server/scheduler/planner.h"
#include "server/scheduler/scheduler.h"
#include "test/component/store_fixture.h"

#define LEASE_MS 30000
#define JOBS_MAX 16
#define JOBS_PER_BUILD 2

/* One davitd, as far as its scheduler sees it. */
struct daemon {
	const char *name;
	struct redis *redis;
	struct store *store;
	struct scheduler *scheduler;
	unsigned slots;
	struct job *running[JOBS_MAX]; /* NULL: free */
	char told[1024];               /* "run 1.1/1, stop 1.1, lost 1.1, left 1.1, ": with the attempt */
};

static struct redis_fixture server;
static struct store_fixture client; /* pushes, and looks */
static struct loop *loop;
static struct timer *tick;
static bool planner_hangs;

/* --- the planner --- */

struct planner_op {
	struct deferred *call;
	planner_fn *fn;
	void *arg;
	char *name, *image; /* of the jobs */
};

static void
on_planned(void *arg)
{
	struct planner_op *op = arg;
	struct planner_result result = { .plan = xcalloc(1, sizeof(*result.plan)) };

	op->call = NULL;
	result.plan->job_count = JOBS_PER_BUILD;
	result.plan->jobs = xcalloc(JOBS_PER_BUILD, sizeof(struct job_spec));
	for (size_t i = 0; i < JOBS_PER_BUILD; i++)
		result.plan->jobs[i] = (struct job_spec){ .name = xstrdup("test"), .image = xstrdup("busybox") };
	op->fn(op->arg, &result);
	free(op);
}

struct planner_op *
planner_start(struct planner *planner, const struct build *build, const struct repo *repo, planner_fn *fn, void *arg)
{
	struct planner_op *op = xcalloc(1, sizeof(*op));

	(void)planner;
	assert_string_equal(build->repo, repo->id);
	*op = (struct planner_op){ .fn = fn, .arg = arg };
	if (!planner_hangs)
		op->call = deferred_call(loop, on_planned, op);
	return op;
}

void
planner_cancel(struct planner_op **op)
{
	if (*op != NULL)
		deferred_cancel(&(*op)->call);
	free(*op);
	*op = NULL;
}

/* --- the builder --- */

static void
tell(struct daemon *d, const char *what, const char *job)
{
	size_t len = strlen(d->told);

	snprintf(d->told + len, sizeof(d->told) - len, "%s %s, ", what, job);
}

static struct job **
place_of(struct daemon *d, const char *job)
{
	for (size_t i = 0; i < JOBS_MAX; i++)
		if (d->running[i] != NULL && strcmp(d->running[i]->id, job) == 0)
			return &d->running[i];
	return NULL;
}

static unsigned
free_slots(void *arg)
{
	struct daemon *d = arg;
	unsigned busy = 0;

	for (size_t i = 0; i < JOBS_MAX; i++)
		busy += d->running[i] != NULL;
	return busy < d->slots ? d->slots - busy : 0;
}

static const char *
labels(void *arg)
{
	(void)arg;
	return "";
}

static size_t
offers(void *arg, const char **ret, size_t max)
{
	size_t count = free_slots(arg);

	assert_true(count <= max);
	for (size_t i = 0; i < count; i++)
		ret[i] = "";
	return count;
}

static void
on_claimed(void *arg, struct job *job, struct build *build)
{
	struct daemon *d = arg;
	char text[JOB_ID_MAX + 24];

	assert_int_equal(job->build, build->build);
	assert_null(place_of(d, job->id)); /* no two attempts at a time */
	snprintf(text, sizeof(text), "%s/%lld", job->id, (long long)job->attempt);
	for (size_t i = 0; i < JOBS_MAX; i++)
		if (d->running[i] == NULL) {
			d->running[i] = job;
			break;
		}
	build_free(&build);
	tell(d, "run", text);
}

static void
on_stop(void *arg, const char *id, enum scheduler_stop why)
{
	struct daemon *d = arg;
	struct job **job = place_of(d, id);

	if (job != NULL && why == SCHEDULER_LOST) {
		job_free(job);
		scheduler_release(d->scheduler, id);
	}
	tell(d, why == SCHEDULER_LOST ? "lost" : "stop", id);
}

static void
on_left(void *arg, struct job *job)
{
	struct daemon *d = arg;

	tell(d, "left", job->id);
	scheduler_requeue(d->scheduler, &job, "the node went away");
}

static void
on_wake(void *arg, const char *line)
{
	struct daemon *d = arg;

	scheduler_wake(d->scheduler, line);
}

/* Ends it as the builder would. */
static void
finish(struct daemon *d, const char *id, enum job_state state)
{
	struct job **job = place_of(d, id);

	assert_non_null(job);
	assert_int_equal(job_finished(&client, id, (*job)->token, state), ERR_NONE);
	job_free(job);
	scheduler_release(d->scheduler, id);
}

/* --- daemons --- */

static void
daemon_start(struct daemon *d, const char *name, unsigned slots, int64_t lease_ms)
{
	struct store_conf conf = { .node = name, .seal_key = "0123456789abcdef0123456789abcde" };
	struct scheduler_deps deps = { .loop = loop, .node_name = name, .planning_max = 4, .arg = d };

	*d = (struct daemon){ .name = name, .slots = slots };
	conf.lease_ms = deps.lease_ms = lease_ms;
	d->redis = redis_new(loop, &(struct redis_conf){ .path = server.path });
	d->store = deps.store = store_new(loop, d->redis, &conf);
	deps.node = (struct store_node){ .url = "http://n:8080", .version = "0.1.0", .engines = "local" };
	deps.labels = labels;
	deps.offers = offers;
	deps.on_claimed = on_claimed;
	deps.on_stop = on_stop;
	deps.on_left = on_left;
	d->scheduler = scheduler_new(&deps);
	store_on_wake(d->store, on_wake, d);
}

/* As kill -9 does it: nothing is told to Redis. */
static void
daemon_kill(struct daemon *d)
{
	scheduler_free(&d->scheduler);
	store_free(&d->store);
	redis_free(&d->redis);
	for (size_t i = 0; i < JOBS_MAX; i++)
		job_free(&d->running[i]);
}

static int
group_setup(void **state)
{
	(void)state;
	alarm(120); /* a test that waits for ever is a failure */
	redis_fixture_start(&server, NULL);
	return 0;
}

static int
group_teardown(void **state)
{
	(void)state;
	redis_fixture_stop(&server);
	return 0;
}

static void
on_tick(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

static int
setup(void **state)
{
	(void)state;
	redis_fixture_ask(&server, "FLUSHALL");
	planner_hangs = false;
	loop = loop_new();
	tick = timer_new(loop, on_tick, NULL);
	store_fixture_join(&client, loop, &server, "client");
	assert_int_equal(put_repo(&client, "app", 0, false), ERR_NONE);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	store_fixture_stop(&client);
	timer_free(&tick);
	loop_free(&loop);
	return 0;
}

/* --- waiting --- */

/* Some turns of the loop, before Redis is looked at again. */
static void
turn(void)
{
	timer_start(tick, 2);
	loop_run(loop);
}

static void
await(struct daemon *d, const char *what)
{
	while (strstr(d->told, what) == NULL)
		turn();
}

static void
await_build(int64_t build, const char *state)
{
	while (strcmp(redis_fixture_text(&server, "HGET davit:build:%lld state", (long long)build), state) != 0)
		turn();
}

static void
await_lease(void)
{
	while (redis_fixture_int(&server, "ZCARD davit:running") == 0)
		turn();
}

static const char *
job_field(const char *job, const char *field)
{
	return redis_fixture_text(&server, "HGET davit:job:%s %s", job, field);
}

static int64_t
push(void)
{
	int64_t build = submit(&client, "app", NULL, NULL);

	assert_true(build > 0);
	return build;
}

/* n1, with both jobs of build 1 at work. */
static void
start_with_jobs(struct daemon *d, int64_t lease_ms)
{
	daemon_start(d, "n1", 2, lease_ms);
	push();
	await(d, "run 1.1/1");
	await(d, "run 1.2/1");
}

/* --- one daemon --- */

static void
test_a_push_runs(void **state)
{
	struct daemon n1;

	(void)state;
	start_with_jobs(&n1, LEASE_MS);
	assert_string_equal(job_field("1.1", "node"), "n1");
	finish(&n1, "1.1", JOB_PASSED);
	finish(&n1, "1.2", JOB_FAILED);
	await_build(1, "failed");
	assert_int_equal(redis_fixture_int(&server, "ZCARD davit:running"), 0);
	daemon_kill(&n1);
}

static void
test_what_waited_before_the_start(void **state)
{
	struct daemon n1;

	(void)state;
	push();
	push();
	daemon_start(&n1, "n1", 4, LEASE_MS);
	await(&n1, "run 1.1/1");
	await(&n1, "run 1.2/1");
	await(&n1, "run 2.1/1");
	await(&n1, "run 2.2/1");
	daemon_kill(&n1);
}

static void
test_a_slot_is_taken_again(void **state)
{
	struct daemon n1;

	(void)state;
	daemon_start(&n1, "n1", 1, LEASE_MS);
	push();
	await(&n1, "run 1.1/1");
	assert_string_equal(job_field("1.2", "state"), "queued");
	finish(&n1, "1.1", JOB_PASSED);
	await(&n1, "run 1.2/1");
	finish(&n1, "1.2", JOB_PASSED);
	await_build(1, "passed");
	daemon_kill(&n1);
}

static void
test_cancel(void **state)
{
	struct daemon n1;

	(void)state;
	daemon_start(&n1, "n1", 1, LEASE_MS);
	push();
	await(&n1, "run 1.1/1");
	assert_int_equal(build_cancel(&client, 1), ERR_NONE);
	await(&n1, "stop 1.1");
	assert_string_equal(job_field("1.2", "state"), "cancelled");
	finish(&n1, "1.1", JOB_CANCELLED);
	await_build(1, "cancelled");
	daemon_kill(&n1);
}

static void
test_cancelled_while_it_is_planned(void **state)
{
	struct daemon n1;

	(void)state;
	planner_hangs = true;
	daemon_start(&n1, "n1", 1, 900);
	push();
	await_lease();
	assert_int_equal(build_cancel(&client, 1), ERR_NONE);
	await_build(1, "cancelled");
	planner_hangs = false;
	push();
	await(&n1, "run 2.1/1");
	daemon_kill(&n1);
}

/* A short lease is prolonged while the process lives, however long the job takes. */
static void
test_leases_are_kept(void **state)
{
	struct daemon n1;
	long long first;

	(void)state;
	start_with_jobs(&n1, 3000);
	first = redis_fixture_int(&server, "ZSCORE davit:running 1.1");
	while (redis_fixture_int(&server, "ZSCORE davit:running 1.1") <= first + 3000)
		turn();
	assert_null(strstr(n1.told, "lost"));
	assert_null(strstr(n1.told, "left"));
	daemon_kill(&n1);
}

/* --- a restart --- */

static void
test_jobs_of_an_earlier_process(void **state)
{
	struct daemon n1;

	(void)state;
	start_with_jobs(&n1, LEASE_MS);
	daemon_kill(&n1);
	daemon_start(&n1, "n1", 2, LEASE_MS);
	await(&n1, "left 1.1");
	await(&n1, "left 1.2");
	await(&n1, "run 1.1/2");
	await(&n1, "run 1.2/2");
	assert_string_equal(job_field("1.1", "reason"), "the node went away");
	daemon_kill(&n1);
}

static void
test_a_planning_of_an_earlier_process(void **state)
{
	struct daemon n1;

	(void)state;
	planner_hangs = true;
	daemon_start(&n1, "n1", 2, LEASE_MS);
	push();
	await_lease();
	daemon_kill(&n1);
	planner_hangs = false;
	daemon_start(&n1, "n1", 2, LEASE_MS);
	await(&n1, "run 1.1/1");
	assert_int_equal(redis_fixture_int(&server, "HGET davit:build:1 attempt"), 2);
	daemon_kill(&n1);
}

/* An older process of the same name that lives on: shut out of claims by the newer one's epoch. */
static void
test_a_replaced_process_claims_no_more(void **state)
{
	struct daemon old, new;

	(void)state;
	start_with_jobs(&old, LEASE_MS);
	daemon_start(&new, "n1", 2, LEASE_MS);
	await(&new, "run 1.1/2");
	await(&new, "run 1.2/2");
	old.told[0] = '\0';
	finish(&new, "1.1", JOB_PASSED);
	finish(&new, "1.2", JOB_PASSED);
	push();
	await(&new, "run 2.1/1");
	await(&new, "run 2.2/1");
	assert_null(strstr(old.told, "run"));
	daemon_kill(&new);
	daemon_kill(&old);
}

/* --- two daemons on one Redis --- */

static void
test_two_daemons_share_the_work(void **state)
{
	struct daemon n1, n2;
	char id[24];

	(void)state;
	daemon_start(&n1, "n1", 2, LEASE_MS);
	daemon_start(&n2, "n2", 2, LEASE_MS);
	push();
	push();
	while (free_slots(&n1) + free_slots(&n2) > 0)
		turn();
	for (int build = 1; build <= 2; build++)
		for (int k = 1; k <= 2; k++) {
			snprintf(id, sizeof(id), "%d.%d", build, k);
			assert_true((place_of(&n1, id) != NULL) != (place_of(&n2, id) != NULL));
		}
	daemon_kill(&n1);
	daemon_kill(&n2);
}

/* Whoever has the slot gets the job, whoever made its plan. */
static void
test_a_daemon_without_slots_plans_for_the_other(void **state)
{
	struct daemon n1, n2;

	(void)state;
	daemon_start(&n1, "n1", 0, LEASE_MS);
	push();
	await_build(1, "queued");
	daemon_start(&n2, "n2", 2, LEASE_MS);
	await(&n2, "run 1.1/1");
	await(&n2, "run 1.2/1");
	assert_string_equal(n1.told, "");
	daemon_kill(&n1);
	daemon_kill(&n2);
}

static void
test_a_cancel_reaches_the_node_that_runs_it(void **state)
{
	struct daemon n1, n2;

	(void)state;
	start_with_jobs(&n1, LEASE_MS);
	daemon_start(&n2, "n2", 2, LEASE_MS);
	assert_int_equal(job_cancel(&client, "1.1"), ERR_NONE);
	await(&n1, "stop 1.1");
	daemon_kill(&n1);
	daemon_kill(&n2);
}

static void
test_left_jobs_of_a_dead_node(void **state)
{
	struct daemon n1, n2;

	(void)state;
	start_with_jobs(&n1, 900);
	daemon_start(&n2, "n2", 2, LEASE_MS);
	daemon_kill(&n1);
	await(&n2, "left 1.1");
	await(&n2, "left 1.2");
	await(&n2, "run 1.1/2");
	await(&n2, "run 1.2/2");
	assert_string_equal(job_field("1.1", "node"), "n2");
	finish(&n2, "1.1", JOB_PASSED);
	finish(&n2, "1.2", JOB_PASSED);
	await_build(1, "passed");
	daemon_kill(&n2);
}

static void
test_a_planning_of_a_dead_node(void **state)
{
	struct daemon n1, n2;

	(void)state;
	planner_hangs = true;
	daemon_start(&n1, "n1", 0, 900);
	push();
	await_lease();
	daemon_kill(&n1);
	planner_hangs = false;
	daemon_start(&n2, "n2", 2, LEASE_MS);
	await(&n2, "run 1.1/1");
	assert_int_equal(redis_fixture_int(&server, "HGET davit:build:1 attempt"), 2);
	daemon_kill(&n2);
}

/* Each planner dies on it: three times, then it is an error, with the reason. */
static void
test_a_build_that_no_planner_survives(void **state)
{
	struct daemon n1;

	(void)state;
	planner_hangs = true;
	push();
	for (int attempt = 1; attempt <= 3; attempt++) {
		daemon_start(&n1, "n1", 0, LEASE_MS);
		while (redis_fixture_int(&server, "HGET davit:build:1 attempt") < attempt)
			turn();
		daemon_kill(&n1);
	}
	daemon_start(&n1, "n1", 0, LEASE_MS);
	await_build(1, "error");
	daemon_kill(&n1);
}

/* --- Redis away and back --- */

static void
test_redis_comes_back(void **state)
{
	struct daemon n1;

	(void)state;
	start_with_jobs(&n1, LEASE_MS);
	redis_fixture_kill(&server);
	while (store_is_up(n1.store) || store_is_up(client.store))
		turn();
	client.words[0] = '\0';
	redis_fixture_restart(&server);
	await_word(&client, "up");
	finish(&n1, "1.1", JOB_PASSED); /* still ours */
	push();
	await(&n1, "run 2.1/1");
	assert_null(strstr(n1.told, "lost"));
	daemon_kill(&n1);
}

/* It was away for longer than a lease: whoever is first to see the lease gone puts the job back, and no two attempts
 * run at a time (on_claimed asserts it). */
static void
test_redis_comes_back_late(void **state)
{
	struct daemon n1;

	(void)state;
	start_with_jobs(&n1, LEASE_MS);
	redis_fixture_kill(&server);
	while (store_is_up(n1.store))
		turn();
	redis_fixture_restart(&server);
	redis_fixture_ask(&server, "ZADD davit:running XX 1 1.1 1 1.2");
	await(&n1, "run 1.1/2");
	await(&n1, "run 1.2/2");
	finish(&n1, "1.1", JOB_PASSED);
	finish(&n1, "1.2", JOB_PASSED);
	await_build(1, "passed");
	daemon_kill(&n1);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_push_runs),
		TEST(test_what_waited_before_the_start),
		TEST(test_a_slot_is_taken_again),
		TEST(test_cancel),
		TEST(test_cancelled_while_it_is_planned),
		TEST(test_leases_are_kept),
		TEST(test_jobs_of_an_earlier_process),
		TEST(test_a_planning_of_an_earlier_process),
		TEST(test_a_replaced_process_claims_no_more),
		TEST(test_two_daemons_share_the_work),
		TEST(test_a_daemon_without_slots_plans_for_the_other),
		TEST(test_a_cancel_reaches_the_node_that_runs_it),
		TEST(test_left_jobs_of_a_dead_node),
		TEST(test_a_planning_of_a_dead_node),
		TEST(test_a_build_that_no_planner_survives),
		TEST(test_redis_comes_back),
		TEST(test_redis_comes_back_late),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
