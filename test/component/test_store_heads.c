/* Pushes that are told, and pushes that are found by looking: one build each, whichever comes first. */
#include "test/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/loop.h"
#include "test/component/store_suite.h"

#define MAIN "refs/heads/main"
#define TAG "refs/tags/v1"
#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define C "cccccccccccccccccccccccccccccccccccccccc"
#define D "dddddddddddddddddddddddddddddddddddddddd"
#define AT(ref, commit) commit "\t" ref "\n"

static const char *
known(const char *ref)
{
	return redis_fixture_text(&server, "HGET davit:heads:app %s", ref);
}

static int64_t
builds_made(void)
{
	return redis_fixture_int(&server, "ZCARD davit:builds");
}

static void
first_look(const char *text)
{
	assert_int_equal(heads_compare(&f, text), ERR_NONE);
	assert_true(f.got.comparison.is_first);
	assert_int_equal(f.got.comparison.count, 0);
}

/* What a look does with one difference: settles or recovers it. Returns the new build. */
static int64_t
act(const struct store_difference *d)
{
	if (d->kind == STORE_HEAD_NEW)
		return head_recover(&f, d);
	assert_int_equal(head_settle(&f, d), ERR_NONE);
	return 0;
}

/* Looks, and acts. Returns the build that came of it, the last one. */
static int64_t
look(const char *text)
{
	struct store_comparison comparison;
	int64_t build = 0;

	assert_int_equal(heads_compare(&f, text), ERR_NONE);
	assert_false(f.got.comparison.is_first);
	comparison = take_comparison(&f);
	for (size_t i = 0; i < comparison.count; i++)
		build = act(&comparison.items[i]);
	store_comparison_fini(&comparison);
	return build;
}

static struct store_comparison
differences(const char *text)
{
	assert_int_equal(heads_compare(&f, text), ERR_NONE);
	return take_comparison(&f);
}

static void
assert_duplicate(int64_t told, int64_t of)
{
	assert_int_equal(told, of);
	assert_int_equal(f.got.submitted.result, STORE_DUPLICATE);
}

static void
assert_new(int64_t build)
{
	assert_int_equal(f.got.submitted.result, STORE_NEW);
	assert_int_equal(build, builds_made());
}

/* --- what is found --- */

static void
test_the_first_look_only_records(void **state)
{
	(void)state;
	first_look(AT(MAIN, A) AT(TAG, B));
	assert_string_equal(known(MAIN), A);
	assert_int_equal(look(AT(MAIN, A) AT(TAG, B)), 0);
	assert_int_equal(builds_made(), 0);
}

static void
test_a_missed_push_is_recovered_once(void **state)
{
	int64_t n;

	(void)state;
	first_look(AT(MAIN, A));
	n = look(AT(MAIN, B));
	assert_int_equal(n, 1);
	assert_build(n, "planning");
	assert_string_equal(redis_fixture_text(&server, "HGET davit:build:1 commit"), B);
	assert_string_equal(redis_fixture_text(&server, "HGET davit:change:1 before"), A);
	assert_int_equal(look(AT(MAIN, B)), 0);
	assert_int_equal(builds_made(), 1);
}

static void
test_new_branches_and_tags_are_recovered(void **state)
{
	(void)state;
	first_look(""); /* an empty repository */
	assert_int_equal(look(AT(MAIN, A) AT(TAG, B) AT(TAG "^{}", C)), 2);
	assert_string_equal(redis_fixture_text(&server, "HGET davit:build:2 event"), "tag");
	assert_string_equal(redis_fixture_text(&server, "HGET davit:build:2 commit"), C);
	assert_string_equal(known(TAG), C);
	assert_duplicate(tell_push(&f, TAG, NULL, B), 2); /* told by the tag's own id, as some do */
	assert_duplicate(tell_push(&f, TAG, NULL, C), 2);
}

static void
test_two_lookers_make_one_build(void **state)
{
	struct store_comparison one, other;

	(void)state;
	first_look(AT(MAIN, A));
	one = differences(AT(MAIN, B));
	other = differences(AT(MAIN, B));
	assert_int_equal(act(&one.items[0]), 1);
	assert_int_equal(act(&other.items[0]), 0);
	assert_int_equal(f.got.err.code, ERR_CONFLICT);
	assert_int_equal(builds_made(), 1);
	store_comparison_fini(&one);
	store_comparison_fini(&other);
}

static void
test_no_more_differences_than_the_bound(void **state)
{
	static char text[200 * 64];
	size_t len = 0;

	(void)state;
	first_look("");
	for (int i = 0; i < STORE_DIFFERENCES_MAX + 1; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, A "\trefs/heads/b%d\n", i);
	assert_int_equal(heads_compare(&f, text), ERR_NONE);
	assert_int_equal(f.got.comparison.count, STORE_DIFFERENCES_MAX);
	assert_true(f.got.comparison.more);
}

static void
test_a_full_queue_leaves_it_for_later(void **state)
{
	int64_t n = 0;

	(void)state;
	first_look(AT(MAIN, A));
	redis_fixture_ask(&server, "EVAL %s 0", "for i=1,10000 do redis.call('ZADD','davit:planning',i,'x'..i) end");
	assert_int_equal(look(AT(MAIN, B)), n);
	assert_int_equal(f.got.err.code, ERR_LIMIT);
	redis_fixture_ask(&server, "DEL davit:planning");
	assert_int_equal(look(AT(MAIN, B)), 1);
}

/* --- what was told as well --- */

static void
test_what_was_told_is_not_recovered(void **state)
{
	(void)state;
	first_look(AT(MAIN, A));
	assert_new(tell_push(&f, MAIN, A, B));
	assert_int_equal(look(AT(MAIN, B)), 0);
	assert_new(tell_push(&f, "refs/heads/new", NULL, C));
	assert_int_equal(look(AT(MAIN, B) AT("refs/heads/new", C)), 0);
}

/* Three pushes, of which the last is told first. */
static void
test_told_in_another_order(void **state)
{
	(void)state;
	first_look(AT(MAIN, A));
	assert_new(tell_push(&f, MAIN, C, D));
	assert_new(tell_push(&f, MAIN, B, C));
	assert_new(tell_push(&f, MAIN, A, B));
	assert_string_equal(known(MAIN), B " " D " " C);
	assert_int_equal(look(AT(MAIN, D)), 0);
	assert_string_equal(known(MAIN), D);
	assert_int_equal(builds_made(), 3);
}

static void
test_a_push_after_one_that_was_missed(void **state)
{
	(void)state;
	first_look(AT(MAIN, A));
	assert_new(tell_push(&f, MAIN, B, C)); /* nobody told of A..B */
	assert_int_equal(look(AT(MAIN, C)), 0);
	assert_new(tell_push(&f, MAIN, C, D));
	assert_int_equal(look(AT(MAIN, D)), 0);
	assert_int_equal(builds_made(), 2);
}

static void
test_told_between_look_and_recovery(void **state)
{
	struct store_comparison found;

	(void)state;
	first_look(AT(MAIN, A));
	found = differences(AT(MAIN, B));
	assert_new(tell_push(&f, MAIN, A, B));
	assert_int_equal(act(&found.items[0]), 0);
	assert_int_equal(f.got.err.code, ERR_CONFLICT);
	store_comparison_fini(&found);
	assert_int_equal(builds_made(), 1);
}

static void
test_a_first_look_that_is_older_than_a_push(void **state)
{
	(void)state;
	assert_new(tell_push(&f, MAIN, A, B));
	assert_new(tell_push(&f, "refs/heads/new", NULL, C));
	first_look(AT(MAIN, A));
	assert_int_equal(look(AT(MAIN, B) AT("refs/heads/new", C)), 0);
	assert_int_equal(builds_made(), 2);
}

/* --- deliveries that come late --- */

static void
test_late_deliveries_are_duplicates(void **state)
{
	int64_t n;

	(void)state;
	first_look(AT(MAIN, A));
	n = look(AT(MAIN, B));
	for (int i = 0; i < 3; i++)
		assert_duplicate(tell_push(&f, MAIN, A, B), n);
	assert_int_equal(look(AT(MAIN, B)), 0);
	assert_new(tell_push(&f, MAIN, B, C));
	assert_duplicate(tell_push(&f, MAIN, A, B), n); /* also behind a newer one */
	assert_int_equal(look(AT(MAIN, C)), 0);
	assert_int_equal(builds_made(), 2);
}

/* The last of two missed pushes was recovered; both are told afterwards. */
static void
test_late_deliveries_of_a_chain(void **state)
{
	int64_t n;

	(void)state;
	first_look(AT(MAIN, A));
	n = look(AT(MAIN, C));
	assert_new(tell_push(&f, MAIN, A, B)); /* was never built */
	assert_duplicate(tell_push(&f, MAIN, B, C), n);
	assert_int_equal(look(AT(MAIN, C)), 0);
	assert_int_equal(look(AT(MAIN, C)), 0);
	assert_string_equal(known(MAIN), C);
	assert_int_equal(builds_made(), 2);
}

static void
test_a_late_delivery_of_a_new_branch(void **state)
{
	(void)state;
	first_look("");
	assert_int_equal(look(AT(MAIN, A)), 1);
	assert_duplicate(tell_push(&f, MAIN, NULL, A), 1);
}

static void
test_a_late_delivery_is_forgotten_in_time(void **state)
{
	(void)state;
	first_look(AT(MAIN, A));
	look(AT(MAIN, B));
	assert_in_range(redis_fixture_int(&server, "TTL davit:recovered:app:" B ":" MAIN), 4 * 86400 - 60, 4 * 86400);
}

/* --- back to an old commit --- */

static void
test_forced_back_is_built_again(void **state)
{
	(void)state;
	first_look(AT(MAIN, A));
	assert_int_equal(look(AT(MAIN, B)), 1);
	assert_new(tell_push(&f, MAIN, B, C));
	assert_new(tell_push(&f, MAIN, C, B)); /* told: B was recovered, but this is another push */
	assert_int_equal(look(AT(MAIN, B)), 0);
	assert_new(tell_push(&f, MAIN, B, C));
	assert_int_equal(look(AT(MAIN, B)), 5); /* missed */
	assert_int_equal(look(AT(MAIN, A)), 6);
	assert_int_equal(look(AT(MAIN, B)), 7);
	assert_int_equal(builds_made(), 7);
}

static void
test_deleted_and_made_again(void **state)
{
	(void)state;
	first_look(AT(MAIN, A));
	assert_int_equal(look(AT(MAIN, B)), 1);
	tell_push(&f, MAIN, B, ""); /* told */
	assert_new(tell_push(&f, MAIN, NULL, B));
	tell_push(&f, MAIN, B, "");
	assert_int_equal(look(AT(MAIN, B)), 3); /* making it again was missed */
	assert_int_equal(look(""), 0);          /* deleting it was missed */
	assert_int_equal(redis_fixture_int(&server, "EXISTS davit:heads:app"), 0);
	assert_int_equal(look(AT(MAIN, B)), 4); /* and making it again, too */
	tell_push(&f, MAIN, A, "");             /* some deletion, long ago */
	assert_int_equal(look(AT(MAIN, B)), 0);
	assert_int_equal(builds_made(), 4);
}

/* --- pushes that are not built --- */

static void
test_what_asks_for_no_build_is_known(void **state)
{
	(void)state;
	first_look(AT(MAIN, A));
	tell_push(&f, MAIN, A, "!" B);
	assert_int_equal(look(AT(MAIN, B)), 0);
	tell_push(&f, MAIN, C, "!" D);
	tell_push(&f, MAIN, C, "!" D);
	assert_string_equal(known(MAIN), B " " D);
	assert_int_equal(look(AT(MAIN, D)), 0);
	assert_string_equal(known(MAIN), D);
	assert_int_equal(builds_made(), 0);
}

static void
test_others_than_pushes_leave_no_trace(void **state)
{
	(void)state;
	first_look(AT(MAIN, A));
	assert_true(submit_pull(&f, "app", "refs/pull/7/head", false) > 0);
	assert_string_equal(known(MAIN), A);
	assert_int_equal(redis_fixture_int(&server, "HLEN davit:heads:app"), 1);
}

static void
test_pushes_out_of_order_have_a_bound(void **state)
{
	char commit[41] = A;

	(void)state;
	first_look(AT(MAIN, A));
	for (int i = 0; i < 20; i++) {
		commit[0] = (char)('b' + i % 5);
		commit[1] = (char)('b' + i / 5);
		tell_push(&f, MAIN, D, commit);
	}
	assert_int_equal(strlen(known(MAIN)), 9 * 41 - 1);
}

static void
test_a_push_out_of_order_is_known_once(void **state)
{
	(void)state;
	first_look(AT(MAIN, A));
	for (int i = 0; i < 9; i++)
		assert_new(tell_push(&f, MAIN, D, C));
	assert_string_equal(known(MAIN), A " " C);
}

/* --- when --- */

static void
test_a_new_repository_is_due(void **state)
{
	(void)state;
	assert_int_equal(poll_due(&f, 10, false), ERR_NONE);
	assert_int_equal(f.got.poll.repos.count, 1);
	assert_string_equal(f.got.poll.repos.items[0], "app");
	assert_int_equal(poll_due(&f, 10, false), ERR_NONE); /* somebody else */
	assert_int_equal(f.got.poll.repos.count, 0);
	assert_in_range(f.got.poll.next_ms, 1, 60000);
	assert_int_equal(poll_due(&f, 10, true), ERR_NONE); /* a start */
	assert_int_equal(f.got.poll.repos.count, 1);
}

static void
test_at_most_so_many_are_given(void **state)
{
	(void)state;
	put_repo(&f, "lib", 0, false);
	put_repo(&f, "web", 0, false);
	assert_int_equal(poll_due(&f, 2, true), ERR_NONE);
	assert_int_equal(f.got.poll.repos.count, 2);
	assert_int_equal(f.got.poll.next_ms, 0);
	assert_int_equal(poll_due(&f, 2, false), ERR_NONE);
	assert_int_equal(f.got.poll.repos.count, 1);
}

static int64_t
due_in_ms(void)
{
	return redis_fixture_int(&server, "ZSCORE davit:poll app") - loop_wall_ms();
}

static void
test_failures_put_it_off(void **state)
{
	static const int64_t minutes[] = { 1, 2, 4, 8, 16, 32, 60, 60 };

	(void)state;
	for (int i = 0; i < 8; i++) {
		assert_int_equal(poll_done(&f, "app", "no route"), ERR_NONE);
		assert_int_equal(f.got.number, i + 1);
		assert_int_equal(f.got.count, i);
		assert_in_range(due_in_ms(), minutes[i] * 60000 - 5000, minutes[i] * 60000 + 1000);
	}
	assert_int_equal(repo_get(&f, "app"), ERR_NONE);
	assert_string_equal(f.got.repo->poll_error, "no route");
	assert_int_equal(poll_done(&f, "app", ""), ERR_NONE);
	assert_int_equal(f.got.count, 8);
	assert_int_equal(repo_get(&f, "app"), ERR_NONE);
	assert_string_equal(f.got.repo->poll_error, "");
	assert_in_range(due_in_ms(), 55000, 61000);
}

static void
test_another_url_is_another_repository(void **state)
{
	(void)state;
	first_look(AT(MAIN, A));
	poll_done(&f, "app", "no route");
	assert_int_equal(put_repo(&f, "app", 1, false), ERR_NONE); /* other settings */
	assert_string_equal(known(MAIN), A);
	redis_fixture_ask(&server, "HSET davit:repo:app url elsewhere");
	assert_int_equal(put_repo(&f, "app", 1, false), ERR_NONE);
	assert_int_equal(redis_fixture_int(&server, "EXISTS davit:heads:app"), 0);
	assert_true(due_in_ms() <= 0);
	await_word(&f, "poll");
	first_look(AT(MAIN, B));
}

static void
test_a_deleted_repository_is_forgotten(void **state)
{
	(void)state;
	first_look(AT(MAIN, A));
	assert_int_equal(repo_delete(&f, "app"), ERR_NONE);
	assert_int_equal(redis_fixture_int(&server, "EXISTS davit:heads:app davit:poll"), 0);
	assert_int_equal(poll_done(&f, "app", ""), ERR_NOT_FOUND);
	assert_int_equal(heads_compare(&f, AT(MAIN, B)), ERR_NOT_FOUND);
	tell_push(&f, MAIN, A, "!" B);
	assert_int_equal(redis_fixture_int(&server, "EXISTS davit:heads:app davit:poll"), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SUITE_TEST(test_the_first_look_only_records),
		SUITE_TEST(test_a_missed_push_is_recovered_once),
		SUITE_TEST(test_new_branches_and_tags_are_recovered),
		SUITE_TEST(test_two_lookers_make_one_build),
		SUITE_TEST(test_no_more_differences_than_the_bound),
		SUITE_TEST(test_a_full_queue_leaves_it_for_later),
		SUITE_TEST(test_what_was_told_is_not_recovered),
		SUITE_TEST(test_told_in_another_order),
		SUITE_TEST(test_a_push_after_one_that_was_missed),
		SUITE_TEST(test_told_between_look_and_recovery),
		SUITE_TEST(test_a_first_look_that_is_older_than_a_push),
		SUITE_TEST(test_late_deliveries_are_duplicates),
		SUITE_TEST(test_late_deliveries_of_a_chain),
		SUITE_TEST(test_a_late_delivery_of_a_new_branch),
		SUITE_TEST(test_a_late_delivery_is_forgotten_in_time),
		SUITE_TEST(test_forced_back_is_built_again),
		SUITE_TEST(test_deleted_and_made_again),
		SUITE_TEST(test_what_asks_for_no_build_is_known),
		SUITE_TEST(test_others_than_pushes_leave_no_trace),
		SUITE_TEST(test_pushes_out_of_order_have_a_bound),
		SUITE_TEST(test_a_push_out_of_order_is_known_once),
		SUITE_TEST(test_a_new_repository_is_due),
		SUITE_TEST(test_at_most_so_many_are_given),
		SUITE_TEST(test_failures_put_it_off),
		SUITE_TEST(test_another_url_is_another_repository),
		SUITE_TEST(test_a_deleted_repository_is_forgotten),
	};

	return cmocka_run_group_tests(tests, suite_start, suite_stop);
}
