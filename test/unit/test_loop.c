#include "test/unit/unit.h"

#include "server/core/holdups.h"
#include "server/core/loop.h"

struct probe {
	struct loop *loop;
	struct timer *timer;
	struct deferred *call;
	int calls;
};

static void
on_deferred(void *arg)
{
	struct probe *p = arg;

	p->call = NULL;
	p->calls++;
	loop_stop(p->loop);
}

static void
on_timer_frees_itself(void *arg)
{
	struct probe *p = arg;

	timer_free(&p->timer);
	p->calls++;
	loop_stop(p->loop);
}

static void
test_deferred_runs_after_the_start_function(void **state)
{
	struct probe p = { .loop = loop_new() };

	(void)state;
	p.call = deferred_call(p.loop, on_deferred, &p);
	assert_int_equal(p.calls, 0);
	loop_run(p.loop);
	assert_int_equal(p.calls, 1);
	loop_free(&p.loop);
}

static void
test_cancelled_call_never_runs(void **state)
{
	struct probe p = { .loop = loop_new() };
	struct probe other = { .loop = p.loop };

	(void)state;
	other.call = deferred_call(p.loop, on_deferred, &other);
	p.call = deferred_call(p.loop, on_deferred, &p);
	deferred_cancel(&other.call);
	loop_run(p.loop);
	assert_int_equal(other.calls, 0);
	assert_null(other.call);
	loop_free(&p.loop);
}

static void
test_timer_may_free_itself(void **state)
{
	struct probe p = { .loop = loop_new() };

	(void)state;
	p.timer = timer_new(p.loop, on_timer_frees_itself, &p);
	timer_start(p.timer, 1);
	assert_true(timer_is_running(p.timer));
	loop_run(p.loop);
	assert_int_equal(p.calls, 1);
	loop_free(&p.loop);
}

/* Works until the clock says that the loop was held for longer than is right. */
static void
on_timer_holds_the_loop(void *arg)
{
	struct probe *p = arg;
	int64_t start = loop_mono_ms();

	while (loop_mono_ms() - start <= HOLDUP_MS + 1)
		;
	loop_stop(p->loop);
}

static void
test_who_holds_the_loop_is_known(void **state)
{
	struct probe p = { .loop = loop_new() };
	const struct holdups *h = loop_holdups(p.loop);
	uint64_t all = 0, over = 0;

	(void)state;
	p.timer = timer_new(p.loop, on_timer_holds_the_loop, &p);
	timer_start(p.timer, 0);
	loop_run(p.loop);
	for (size_t i = 0; i <= HOLDUP_BUCKETS; i++) {
		all += h->counts[i];
		if (i == HOLDUP_BUCKETS || holdup_bounds_ms[i] > HOLDUP_MS)
			over += h->counts[i];
	}
	assert_int_equal(all, 1);
	assert_int_equal(over, 1);
	assert_true(h->longest_us > HOLDUP_MS * 1000);
	assert_int_equal(h->longest_us, h->total_us);
	assert_non_null(strstr(h->longest, "test_loop.c: on_timer_holds_the_loop"));

	/* what runs below another one is part of it, and may be gone at its end */
	loop_enter(p.loop, "outer", NULL);
	loop_enter(p.loop, "inner", "thing");
	loop_leave(p.loop);
	loop_leave(p.loop);
	all = 0;
	for (size_t i = 0; i <= HOLDUP_BUCKETS; i++)
		all += h->counts[i];
	assert_int_equal(all, 2);
	assert_string_equal(h->name, "outer");
	timer_free(&p.timer);
	loop_free(&p.loop);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_deferred_runs_after_the_start_function),
		cmocka_unit_test(test_cancelled_call_never_runs),
		cmocka_unit_test(test_timer_may_free_itself),
		cmocka_unit_test(test_who_holds_the_loop_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
