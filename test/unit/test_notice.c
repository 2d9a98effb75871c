#include "test/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/notice.h"

static const struct notice_job jobs[] = {
	{ .id = "17.1", .name = "test", .state = "failed", .reason = "", .exit_code = 2 },
	{ .id = "17.2", .name = "lint", .state = "timed_out", .reason = "no end after 3600 s", .exit_code = -1 },
	{ .id = "17.3", .name = "doc", .state = "passed", .reason = "", .exit_code = 0 },
};

static const struct notice_build failed = {
	.number = 17,
	.state = "failed",
	.previous = "passed",
	.repo = "acme/boat",
	.branch = "main",
	.commit = "0123456789abcdef0123456789abcdef01234567",
	.title = "Paint the hull",
	.author = "Ada",
	.reason = "",
	.tests = "",
	.started_ms = 1000000,
	.finished_ms = 1075400,
	.jobs = jobs,
	.job_count = 3,
	.link = "https://ci.example.com/builds/17",
	.log_job = "17.1 (test)",
	.log_tail = { "half a line\n\x1b[31mred\0\x1b[0m\r\nmake: *** [all] Error 2\n", 51 },
};

static void
test_mail_by_verdict_and_wish(void **state)
{
	/* what was, what is: with never, always, change */
	static const struct {
		const char *previous;
		const char *now;
		bool change;
	} rows[] = {
		{ "", "passed", false },
		{ "passed", "passed", false },
		{ "failed", "passed", true },
		{ "error", "passed", true },
		{ "timed_out", "passed", true },
		{ "cancelled", "passed", false },
		{ "", "failed", true },
		{ "passed", "failed", true },
		{ "passed", "error", true },
		{ "passed", "timed_out", true },
		{ "failed", "failed", false },
		{ "timed_out", "error", false },
		{ "cancelled", "failed", true },
	};
	static const char *const silent[] = { "planning", "queued", "waiting", "running", "cancelled", "", "nonsense" };
	struct notify_spec spec = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		spec.on_success = spec.on_failure = NOTIFY_NEVER;
		assert_false(notice_wants_mail(&spec, rows[i].now, rows[i].previous));
		spec.on_success = spec.on_failure = NOTIFY_ALWAYS;
		assert_true(notice_wants_mail(&spec, rows[i].now, rows[i].previous));
		spec.on_success = spec.on_failure = NOTIFY_CHANGE;
		assert_int_equal(notice_wants_mail(&spec, rows[i].now, rows[i].previous), rows[i].change);
		/* the defaults: change for good news, always for bad */
		assert_int_equal(notice_wants_mail(NULL, rows[i].now, rows[i].previous),
		    rows[i].change || strcmp(rows[i].now, "passed") != 0);
	}
	spec.on_success = spec.on_failure = NOTIFY_ALWAYS;
	for (size_t i = 0; i < sizeof(silent) / sizeof(silent[0]); i++)
		assert_false(notice_wants_mail(&spec, silent[i], "passed"));
}

static void
test_success_and_failure_are_asked_apart(void **state)
{
	struct notify_spec spec = { .on_success = NOTIFY_ALWAYS, .on_failure = NOTIFY_NEVER };

	(void)state;
	assert_true(notice_wants_mail(&spec, "passed", "passed"));
	assert_false(notice_wants_mail(&spec, "failed", "passed"));
}

static void
test_statuses_by_state(void **state)
{
	(void)state;
	assert_true(notice_wants_status("planning"));
	assert_true(notice_wants_status("waiting"));
	assert_true(notice_wants_status("running"));
	assert_true(notice_wants_status("passed"));
	assert_true(notice_wants_status("cancelled"));
	assert_false(notice_wants_status("queued"));
	assert_false(notice_wants_status("nonsense"));
}

static void
assert_recipients(const struct notify_spec *spec, const char *emails, const char *expected)
{
	size_t count;
	char **list = notice_recipients(spec, emails, &count);
	char text[4096] = "";

	for (size_t i = 0; i < count; i++) {
		strcat(text, list[i]);
		strcat(text, " ");
	}
	assert_string_equal(text, expected);
	notice_recipients_free(&list, count);
	assert_null(list);
}

static void
test_recipients_are_addresses_and_once(void **state)
{
	char *names[] = { (char *)(uintptr_t) "B@example.com", (char *)(uintptr_t) "c@example.com",
		(char *)(uintptr_t) "x@y\r\nRCPT TO:<evil@example.com>", (char *)(uintptr_t) "" };
	struct notify_spec spec = { .recipients = names, .recipient_count = 4 };
	char many[64 * 20] = "";

	(void)state;
	assert_recipients(NULL, "", "");
	assert_recipients(NULL, " a@example.com ,b@example.com,, a@EXAMPLE.com,nobody", "a@example.com b@example.com ");
	assert_recipients(&spec, "a@example.com,b@example.com", "a@example.com b@example.com c@example.com ");
	for (int i = 0; i < 64; i++) {
		char one[32];

		snprintf(one, sizeof(one), "u%d@example.com,", i);
		strcat(many, one);
	}
	size_t count;
	char **list = notice_recipients(&spec, many, &count);

	assert_int_equal(count, NOTICE_RECIPIENTS_MAX);
	notice_recipients_free(&list, count);
}

static void
assert_description(const char *name, int64_t ms, const char *reason, const char *expected)
{
	struct notice_build build = failed;
	char *text;

	build.state = name;
	build.reason = reason;
	build.finished_ms = ms < 0 ? 0 : build.started_ms + ms;
	text = notice_description(&build);
	assert_string_equal(text, expected);
	free(text);
}

static void
test_descriptions(void **state)
{
	(void)state;
	assert_description("planning", -1, "", "planning");
	assert_description("running", -1, "", "running");
	assert_description("waiting", -1, "", "waits for approval");
	assert_description("passed", 12400, "", "passed in 12 s");
	assert_description("passed", 400, "", "passed in 0 s");
	assert_description("passed", 65000, "ignored", "passed in 1 min 5 s");
	assert_description("failed", 3725000, "", "failed after 1 h 2 min");
	assert_description("timed_out", 60000, "", "timed out after 1 min 0 s");
	assert_description("error", -1, "no engine", "could not be run: no engine");
	assert_description("failed", -1, "daocloud.yml:3:1: no such key", "failed: daocloud.yml:3:1: no such key");
	assert_description("cancelled", 1000, "by ada", "cancelled after 1 s: by ada");
}

static void
test_what_tests_said(void **state)
{
	struct notice_build build = failed;
	char *text;

	(void)state;
	build.tests = "3 of 120 tests failed, coverage 81.20 % (+0.30)";
	build.reason = "test: exit code 1 in script";
	build.finished_ms = build.started_ms + 4000;
	text = notice_description(&build);
	assert_string_equal(
	    text, "failed after 4 s: 3 of 120 tests failed, coverage 81.20 % (+0.30); test: exit code 1 in script");
	free(text);
	text = notice_text(&build);
	assert_non_null(strstr(text, "\nTests    3 of 120 tests failed, coverage 81.20 % (+0.30)\n"));
	free(text);
	build.state = "passed";
	build.tests = "120 tests passed";
	text = notice_description(&build);
	assert_string_equal(text, "passed in 4 s: 120 tests passed");
	free(text);
}

static void
assert_subject(const char *name, const char *previous, const char *expected)
{
	struct notice_build build = failed;
	char *text;

	build.state = name;
	build.previous = previous;
	text = notice_subject(&build);
	assert_string_equal(text, expected);
	free(text);
}

static void
test_subjects(void **state)
{
	(void)state;
	assert_subject("failed", "passed", "[acme/boat] main failed (build 17): Paint the hull");
	assert_subject("failed", "error", "[acme/boat] main failed again (build 17): Paint the hull");
	assert_subject("passed", "passed", "[acme/boat] main passed (build 17): Paint the hull");
	assert_subject("passed", "timed_out", "[acme/boat] main passed again (build 17): Paint the hull");
	assert_subject("timed_out", "failed", "[acme/boat] main timed out (build 17): Paint the hull");
	assert_subject("error", "", "[acme/boat] main could not be run (build 17): Paint the hull");
}

static void
test_golden_text(void **state)
{
	char *text = notice_text(&failed);

	(void)state;
	assert_string_equal(text,
	    "Build 17 of acme/boat failed after 1 min 15 s.\n"
	    "\n"
	    "Branch   main\n"
	    "Commit   0123456789abcdef0123456789abcdef01234567\n"
	    "         Paint the hull\n"
	    "Author   Ada\n"
	    "Page     https://ci.example.com/builds/17\n"
	    "\n"
	    "Jobs\n"
	    "  17.1 test: failed, exit code 2\n"
	    "  17.2 lint: timed out, no end after 3600 s\n"
	    "  17.3 doc: passed\n"
	    "\n"
	    "The end of the log of job 17.1 (test)\n"
	    "> half a line\n"
	    "> red\n"
	    "> make: *** [all] Error 2\n"
	    "\n"
	    "-- \n"
	    "You are named under notify: in the pipeline file, or in the repository's settings on this server.\n");
	free(text);
}

static void
test_end_of_the_log_is_bounded(void **state)
{
	struct notice_build build = failed;
	char lines[100 * 10 + 1] = "";
	char *text;

	(void)state;
	for (int i = 0; i < 100; i++)
		sprintf(lines + strlen(lines), "line %04d\n", i);
	build.log_tail = str_of(lines);
	text = notice_text(&build);
	assert_null(strstr(text, "line 0079"));
	assert_non_null(strstr(text, "\n> line 0080\n"));
	assert_non_null(strstr(text, "\n> line 0099\n"));
	free(text);
}

/* A terminal's sequence that is cut anywhere neither hangs nor reads on. */
static void
test_cut_sequences(void **state)
{
	static const char whole[] = "a\x1b[38;5;1mb\x1b]0;t\x07\x1b";

	(void)state;
	for (size_t len = 0; len < sizeof(whole); len++) {
		struct notice_build build = failed;
		char *copy = malloc(len + 1), *text;

		memcpy(copy, whole, len);
		build.log_tail = (struct str){ copy, len };
		text = notice_text(&build);
		assert_null(strchr(text, '\x1b'));
		free(text);
		free(copy);
	}
}

static void
test_delays(void **state)
{
	static const int64_t expected[] = { 1000, 2000, 4000, 8000, 16000, 30000, 30000 };

	(void)state;
	for (int64_t i = 0; i < 7; i++) {
		assert_int_equal(notice_delay_ms(i, 1000, 30000, 0), expected[i]);
		assert_int_equal(notice_delay_ms(i, 1000, 30000, 255), expected[i] * 6 / 5);
	}
	assert_int_equal(notice_delay_ms(INT64_MAX, 1000, 30000, 0), 30000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mail_by_verdict_and_wish),
		cmocka_unit_test(test_success_and_failure_are_asked_apart),
		cmocka_unit_test(test_statuses_by_state),
		cmocka_unit_test(test_recipients_are_addresses_and_once),
		cmocka_unit_test(test_descriptions),
		cmocka_unit_test(test_what_tests_said),
		cmocka_unit_test(test_subjects),
		cmocka_unit_test(test_golden_text),
		cmocka_unit_test(test_end_of_the_log_is_bounded),
		cmocka_unit_test(test_cut_sequences),
		cmocka_unit_test(test_delays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
