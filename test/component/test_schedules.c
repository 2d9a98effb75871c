/* Schedules over a real Redis: what is due becomes one build, whoever sees it first. Time is moved by the scores of
 * davit:cron. */
#include "test/unit/unit.h"

#include <stdlib.h>
#include <time.h>

#include "server/core/disk.h"
#include "server/core/loop.h"
#include "server/core/zones.h"
#include "server/scheduler/schedules.h"
#include "test/component/store_suite.h"

#define LATER 4000000000000

/* A daemon, as far as it is about schedules. */
struct daemon {
	struct store_fixture *store;
	struct schedules *schedules;
	struct zones *zones;
};

static struct disk *disk;
static struct store_fixture second;
static struct daemon daemons[2];

static void
on_wake(void *arg, const char *line)
{
	struct daemon *d = arg;

	schedules_wake(d->schedules, line);
}

static void
start(struct daemon *d, struct store_fixture *store)
{
	*d = (struct daemon){ .store = store, .zones = zones_new(f.loop, disk) };
	d->schedules = schedules_new(f.loop, store->store, d->zones);
	store_on_wake(store->store, on_wake, d);
	schedules_wake(d->schedules, "up");
}

static int
setup(void **state)
{
	suite_setup(state);
	disk = disk_new(f.loop);
	store_fixture_join(&second, f.loop, &server, "n2");
	start(&daemons[0], &f);
	start(&daemons[1], &second);
	return 0;
}

static int
teardown(void **state)
{
	for (int i = 0; i < 2; i++) {
		schedules_free(&daemons[i].schedules);
		zones_free(&daemons[i].zones);
	}
	disk_free(&disk);
	store_fixture_stop(&second);
	return suite_teardown(state);
}

/* --- waiting for what a key says --- */

struct wait {
	bool (*is_so)(int64_t wanted);
	int64_t wanted;
	struct timer *timer;
};

static void
on_look(void *arg)
{
	struct wait *w = arg;

	if (w->is_so(w->wanted))
		loop_stop(f.loop);
	else
		timer_start(w->timer, 5);
}

static void
wait_until(bool (*is_so)(int64_t wanted), int64_t wanted)
{
	struct wait w = { .is_so = is_so, .wanted = wanted };

	w.timer = timer_new(f.loop, on_look, &w);
	timer_start(w.timer, 1);
	loop_run(f.loop);
	timer_free(&w.timer);
}

static bool
has_builds(int64_t wanted)
{
	return redis_fixture_int(&server, "ZCARD davit:builds") >= wanted;
}

/* The time that the rule of schedule_put comes to. */
static int64_t
expected_ms(void)
{
	struct tm tm;
	time_t now = (time_t)(loop_wall_ms() / 1000);

	setenv("TZ", "Europe/Berlin", 1);
	tzset();
	localtime_r(&now, &tm);
	if (tm.tm_hour >= 3)
		tm.tm_mday++;
	tm.tm_hour = 3;
	tm.tm_min = tm.tm_sec = 0;
	tm.tm_isdst = -1;
	now = mktime(&tm);
	unsetenv("TZ");
	return (int64_t)now * 1000;
}

static void
test_due_becomes_a_build_and_has_another_time(void **state)
{
	(void)state;
	assert_int_equal(schedule_put(&f, "app", 1000), ERR_NONE);
	wait_until(has_builds, 1);
	assert_string_equal(redis_fixture_text(&server, "HGET davit:build:1 event"), "cron");
	assert_string_equal(redis_fixture_text(&server, "HGET davit:build:1 title"), "Scheduled: nightly");
	assert_string_equal(redis_fixture_text(&server, "HGET davit:build:1 ref"), "refs/heads/main");
	assert_string_equal(redis_fixture_text(&server, "HGET davit:change:1 trust"), "trusted");
	assert_int_equal(redis_fixture_int(&server, "HGET davit:cron:app:nightly last_build"), 1);
	assert_int_equal(redis_fixture_int(&server, "HGET davit:cron:app:nightly next_ms"), expected_ms());
}

/* 1970 is long ago: what was missed since is one build. */
static void
test_two_daemons_make_one_build_each_time(void **state)
{
	(void)state;
	assert_int_equal(schedule_put(&f, "app", LATER), ERR_NONE);
	for (int64_t n = 1; n <= 20; n++) {
		redis_fixture_ask(&server, "ZADD davit:cron XX 1000 %s", "app nightly");
		redis_fixture_ask(&server, "PUBLISH davit:wake cron");
		wait_until(has_builds, n);
		assert_int_equal(redis_fixture_int(&server, "ZCARD davit:builds"), n);
	}
	assert_int_equal(schedules(&f, "app"), ERR_NONE);
	assert_int_equal(redis_fixture_int(&server, "ZCARD davit:builds"), 20);
}

static bool
is_later(int64_t since)
{
	return loop_mono_ms() > since;
}

static void
test_a_time_zone_that_is_gone(void **state)
{
	(void)state;
	assert_int_equal(schedule_put(&f, "app", LATER), ERR_NONE);
	redis_fixture_ask(&server, "HSET davit:cron:app:nightly zone Atlantis");
	redis_fixture_ask(&server, "ZADD davit:cron XX 1000 %s", "app nightly");
	redis_fixture_ask(&server, "PUBLISH davit:wake cron");
	wait_until(is_later, loop_mono_ms() + 200);
	assert_int_equal(redis_fixture_int(&server, "ZCARD davit:builds"), 0);
	redis_fixture_ask(&server, "HSET davit:cron:app:nightly zone UTC");
	redis_fixture_ask(&server, "PUBLISH davit:wake cron");
	wait_until(has_builds, 1);
}

static void
test_none_after_a_drain(void **state)
{
	(void)state;
	schedules_drain(daemons[0].schedules);
	schedules_drain(daemons[1].schedules);
	assert_int_equal(schedule_put(&f, "app", 1000), ERR_NONE);
	wait_until(is_later, loop_mono_ms() + 100);
	assert_int_equal(redis_fixture_int(&server, "ZCARD davit:builds"), 0);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_due_becomes_a_build_and_has_another_time),
		TEST(test_two_daemons_make_one_build_each_time),
		TEST(test_a_time_zone_that_is_gone),
		TEST(test_none_after_a_drain),
	};

	return cmocka_run_group_tests(tests, suite_start, suite_stop);
}
