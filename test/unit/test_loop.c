#include "test/unit/unit.h"

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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_deferred_runs_after_the_start_function),
		cmocka_unit_test(test_cancelled_call_never_runs),
		cmocka_unit_test(test_timer_may_free_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
