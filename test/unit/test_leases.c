#include "test/unit/unit.h"

#include <stdio.h>

#include "server/scheduler/leases.h"
#include "test/unit/fake_asks.h"
#include "test/unit/fake_clock.h"

#define LEASE_MS 30000

struct bench {
	struct store store;
	struct leases *leases;
	char told[512];    /* "17.2 lost, " */
	const char *drops; /* when told of anything */
};

static struct bench b;

static void
on_lease(void *arg, const char *id, enum store_lease_state state)
{
	assert_ptr_equal(arg, &b);
	strcat(strcat(b.told, id != NULL ? id : "node"), state == STORE_LEASE_LOST ? " lost, " : " cancel, ");
	if (b.drops != NULL)
		leases_drop(b.leases, b.drops);
}

static const char *
no_labels(void *arg)
{
	(void)arg;
	return "";
}

static int
setup(void **state)
{
	(void)state;
	b = (struct bench){ 0 };
	fake_asks_init(&b.store);
	b.leases = leases_new(NULL, &b.store, LEASE_MS, no_labels, on_lease, &b);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	leases_free(&b.leases);
	assert_int_equal(fake_asks_count(&b.store), 0);
	assert_int_equal(fake_clock_timers(), 0);
	return 0;
}

static void
hold(const char *id)
{
	leases_hold(b.leases, id, "token");
}

/* The renewal that is under way names these, in the order of holding. */
static void
assert_renewing(const char *ids)
{
	assert_non_null(asked(&b.store, ASK_RENEW));
	assert_string_equal(asked(&b.store, ASK_RENEW)->leases, ids);
}

static void
begin(void)
{
	leases_start(b.leases);
	fake_clock_advance(0);
}

/* Registered again: the same leases go on, or are lost. */
static void
test_node_that_redis_does_not_know(void **state)
{
	(void)state;
	hold("17.1");
	begin();
	answer_error(&b.store, ASK_RENEW, ERR_NOT_FOUND);
	assert_string_equal(b.told, "node lost, ");
	fake_clock_advance(10 * LEASE_MS);
	assert_int_equal(fake_asks_count(&b.store), 0);
	begin();
	assert_renewing("17.1 ");
	answer_renew(&b.store, "17.1", STORE_LEASE_LOST);
	assert_string_equal(b.told, "node lost, 17.1 lost, ");
}

static void
test_nothing_is_asked_before_the_start(void **state)
{
	(void)state;
	hold("17.1");
	fake_clock_advance(10 * LEASE_MS);
	assert_null(asked(&b.store, ASK_RENEW));
}

/* With nothing to prolong it is the node's heartbeat. */
static void
test_heartbeat(void **state)
{
	(void)state;
	begin();
	assert_renewing("");
	answer_renew(&b.store, NULL, STORE_LEASE_OK);
	assert_int_equal(fake_clock_next(), LEASE_MS / 3);
	fake_clock_advance(LEASE_MS / 3);
	assert_renewing("");
}

static void
test_all_are_renewed_at_a_third_of_the_lease(void **state)
{
	(void)state;
	hold("17");
	begin();
	answer_renew(&b.store, NULL, STORE_LEASE_OK);
	hold("17.1");
	hold("17.2");
	leases_drop(b.leases, "17");
	leases_drop(b.leases, "99"); /* not held: no error */
	assert_true(leases_has(b.leases, "17.1"));
	assert_false(leases_has(b.leases, "17"));
	fake_clock_advance(LEASE_MS / 3);
	assert_renewing("17.1 17.2 ");
}

static void
test_a_cancelled_one_is_told_at_each_renewal(void **state)
{
	(void)state;
	hold("17.1");
	hold("17.2");
	begin();
	answer_renew(&b.store, "17.2", STORE_LEASE_CANCEL);
	assert_string_equal(b.told, "17.2 cancel, ");
	fake_clock_advance(LEASE_MS / 3);
	answer_renew(&b.store, "17.2", STORE_LEASE_CANCEL);
	assert_string_equal(b.told, "17.2 cancel, 17.2 cancel, ");
	leases_drop(b.leases, "17.2");
	fake_clock_advance(LEASE_MS / 3);
	assert_renewing("17.1 ");
}

static void
test_a_lost_one_is_told(void **state)
{
	(void)state;
	hold("17");
	begin();
	b.drops = "17";
	answer_renew(&b.store, "17", STORE_LEASE_LOST);
	assert_string_equal(b.told, "17 lost, ");
	assert_false(leases_has(b.leases, "17"));
}

/* What is told of one may end the other: nobody hears of that one. */
static void
test_dropped_by_the_one_before(void **state)
{
	(void)state;
	hold("17.1");
	hold("17.2");
	begin();
	b.drops = "17.2";
	answer_error(&b.store, ASK_RENEW, ERR_UNAVAILABLE);
	leases_drop(b.leases, "17.1");
	hold("17.1"); /* now behind 17.2 */
	b.drops = "17.1";
	fake_clock_advance(LEASE_MS);
	assert_renewing("17.2 17.1 ");
	answer_renew(&b.store, "17.2", STORE_LEASE_LOST);
	assert_string_equal(b.told, "17.2 lost, ");
	assert_false(leases_has(b.leases, "17.1"));
}

/* The answer is about a claim that is over; the newer one has another token. */
static void
test_claimed_anew_meanwhile(void **state)
{
	(void)state;
	hold("17.1");
	begin();
	leases_drop(b.leases, "17.1");
	leases_hold(b.leases, "17.1", "newer token");
	answer_renew(&b.store, "17.1", STORE_LEASE_LOST);
	assert_string_equal(b.told, "");
	assert_true(leases_has(b.leases, "17.1"));
}

/* Redis is away: several attempts fit into the rest of the lease. */
static void
test_failures_are_repeated_soon(void **state)
{
	static const enum err_code codes[] = { ERR_UNAVAILABLE, ERR_TIMEOUT, ERR_REFUSED, ERR_CONFLICT };

	(void)state;
	hold("17.1");
	begin();
	for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++) {
		answer_error(&b.store, ASK_RENEW, codes[i]);
		assert_string_equal(b.told, "");
		assert_int_equal(fake_clock_next(), LEASE_MS / 30);
		fake_clock_advance(LEASE_MS / 30);
		assert_renewing("17.1 ");
	}
	answer_renew(&b.store, NULL, STORE_LEASE_OK);
	assert_int_equal(fake_clock_next(), LEASE_MS / 3);
}

static void
test_more_than_one_question_holds(void **state)
{
	char id[24];

	(void)state;
	for (int i = 1; i <= 2 * STORE_LIST_MAX + 5; i++) {
		snprintf(id, sizeof(id), "17.%d", i);
		hold(id);
	}
	begin();
	assert_int_equal(asked(&b.store, ASK_RENEW)->number, STORE_LIST_MAX);
	answer_renew(&b.store, "17.100", STORE_LEASE_LOST);
	assert_int_equal(asked(&b.store, ASK_RENEW)->number, STORE_LIST_MAX);
	answer_renew(&b.store, "17.200", STORE_LEASE_LOST);
	assert_renewing("17.201 17.202 17.203 17.204 17.205 ");
	answer_renew(&b.store, "17.205", STORE_LEASE_CANCEL);
	assert_string_equal(b.told, "17.100 lost, 17.200 lost, 17.205 cancel, ");
	assert_null(asked(&b.store, ASK_RENEW));
	assert_int_equal(fake_clock_next(), LEASE_MS / 3);
}

static void
test_freed_while_renewing(void **state)
{
	(void)state;
	hold("17.1");
	begin();
	leases_free(&b.leases);
	assert_int_equal(b.store.taken_back, 1);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_nothing_is_asked_before_the_start),
		TEST(test_node_that_redis_does_not_know),
		TEST(test_heartbeat),
		TEST(test_all_are_renewed_at_a_third_of_the_lease),
		TEST(test_a_cancelled_one_is_told_at_each_renewal),
		TEST(test_a_lost_one_is_told),
		TEST(test_dropped_by_the_one_before),
		TEST(test_claimed_anew_meanwhile),
		TEST(test_failures_are_repeated_soon),
		TEST(test_more_than_one_question_holds),
		TEST(test_freed_while_renewing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
