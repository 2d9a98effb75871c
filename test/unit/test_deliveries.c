#include "test/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/buf.h"
#include "proto/deliveries.h"

static int64_t
find_hook(const char *json, const char *url)
{
	int64_t id;
	struct err err;

	assert_true(deliveries_find_hook(str_of(json), url, "app", &id, &err));
	return id;
}

static void
test_our_webhook(void **state)
{
	static const char hooks[] = "[{\"id\":1,\"config\":{\"url\":\"https://other.test/hook/app2\"}},{\"id\":2},"
				    "{\"id\":3,\"config\":{\"url\":\"https://old.test/hook/app\"}},"
				    "{\"id\":4,\"config\":{\"url\":\"https://ci.test/hook/app\"}}]";
	int64_t id;
	struct err err;

	(void)state;
	assert_int_equal(find_hook(hooks, "https://ci.test"), 4);
	assert_int_equal(find_hook(hooks, ""), 3);
	assert_int_equal(find_hook(hooks, "https://ci2.test"), 0);
	assert_int_equal(find_hook("[]", ""), 0);
	assert_false(deliveries_find_hook(STR("{\"message\":\"no\"}"), "", "app", &id, &err));
	assert_false(deliveries_find_hook(STR("<html>"), "", "app", &id, &err));
}

#define ATTEMPT(id, guid, event, status) \
	"{\"id\":" #id ",\"guid\":\"" guid "\",\"event\":\"" event "\",\"status_code\":" #status "}"

static void
test_which_are_missed(void **state)
{
	struct deliveries d = { 0 };
	struct err err;
	bool missed;

	(void)state;
	assert_true(deliveries_take(&d,
	    STR("[" ATTEMPT(19, "a", "push", 502) "," ATTEMPT(18, "b", "push", 202) "," ATTEMPT(
		17, "c", "push", 401) "," ATTEMPT(16, "d", "pull_request", 0) "," ATTEMPT(15, "e", "issues",
		0) "," ATTEMPT(14, "a", "push", 0) "]"),
	    &missed, &err));
	assert_true(missed);
	assert_int_equal(d.count, 4);
	assert_string_equal(d.items[0].guid, "a");
	assert_int_equal(d.items[0].id, 19); /* the newest attempt */
	assert_true(delivery_is_missed(&d.items[0]));
	assert_false(delivery_is_missed(&d.items[1]));
	assert_false(delivery_is_missed(&d.items[2])); /* we said no */
	assert_true(delivery_is_missed(&d.items[3]));
	/* an older page: one of them had been delivered */
	assert_true(deliveries_take(
	    &d, STR("[" ATTEMPT(9, "d", "pull_request", 202) "," ATTEMPT(8, "b", "push", 503) "]"), &missed, &err));
	assert_false(missed);
	assert_false(delivery_is_missed(&d.items[1]));
	assert_false(delivery_is_missed(&d.items[3]));
	deliveries_fini(&d);
}

static void
test_attempts_have_an_end(void **state)
{
	struct deliveries d = { 0 };
	struct err err;
	bool missed;

	(void)state;
	for (int i = 0; i < 5; i++) {
		assert_true(i == 0 || delivery_is_missed(&d.items[0]));
		assert_true(deliveries_take(&d, STR("[" ATTEMPT(1, "a", "push", 502) "]"), &missed, &err));
	}
	assert_false(delivery_is_missed(&d.items[0]));
	deliveries_fini(&d);
}

static void
test_odd_ones_are_left_out(void **state)
{
	struct deliveries d = { 0 };
	struct err err;
	bool missed;

	(void)state;
	assert_true(deliveries_take(&d,
	    STR("[1,null,{},{\"event\":\"push\"},{\"event\":\"push\",\"guid\":\"x\",\"id\":\"7\"},{\"event\":\"push\","
		"\"guid\":"
		"\"0123456789012345678901234567890123456789012345678901234567890123\",\"id\":7}]"),
	    &missed, &err));
	assert_int_equal(d.count, 0);
	assert_false(missed);
	assert_false(deliveries_take(&d, STR("{}"), &missed, &err));
	assert_false(deliveries_take(&d, STR("["), &missed, &err));
	deliveries_fini(&d);
}

static void
test_a_bound(void **state)
{
	struct deliveries d = { 0 };
	struct err err;
	struct buf text;
	bool missed;

	(void)state;
	buf_init(&text, 1 << 20);
	buf_adds(&text, "[");
	for (int i = 1; i <= DELIVERIES_MAX + 1; i++)
		buf_addf(&text, "%s{\"id\":%d,\"guid\":\"%d\",\"event\":\"push\"}", i > 1 ? "," : "", i, i);
	buf_adds(&text, "]");
	assert_true(deliveries_take(&d, buf_str(&text), &missed, &err));
	assert_int_equal(d.count, DELIVERIES_MAX);
	buf_fini(&text);
	deliveries_fini(&d);
}

static void
test_the_next_page(void **state)
{
	char cursor[DELIVERIES_CURSOR_SIZE];

	(void)state;
	assert_true(deliveries_cursor(STR("<https://api.test/x?per_page=100&cursor=v1_1-2%3D>; rel=\"next\""), cursor));
	assert_string_equal(cursor, "v1_1-2%3D");
	assert_true(deliveries_cursor(
	    STR("<https://api.test/x?cursor=a>; rel=\"prev\", <https://api.test/x?cursor=b&per_page=9>; "
		"rel=\"next\""),
	    cursor));
	assert_string_equal(cursor, "b");
	assert_false(deliveries_cursor(STR(""), cursor));
	assert_false(deliveries_cursor(STR("<https://api.test/x?cursor=a>; rel=\"prev\""), cursor));
	assert_false(deliveries_cursor(STR("<https://api.test/x?page=2>; rel=\"next\""), cursor));
	assert_false(deliveries_cursor(STR("<https://api.test/x?cursor=>; rel=\"next\""), cursor));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_our_webhook),
		cmocka_unit_test(test_which_are_missed),
		cmocka_unit_test(test_attempts_have_an_end),
		cmocka_unit_test(test_odd_ones_are_left_out),
		cmocka_unit_test(test_a_bound),
		cmocka_unit_test(test_the_next_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
