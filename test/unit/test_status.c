#include "test/unit/unit.h"

#include <stdio.h>

#include "proto/json.h"
#include "proto/status.h"

#define SHA "0123456789abcdef0123456789abcdef01234567"

static struct forge_repo repo = { .api = (char *)(uintptr_t) "https://h/api",
	.path = (char *)(uintptr_t) "acme/hull/boat" };

static const struct status passed = {
	.state = STATUS_PASSED,
	.commit = SHA,
	.ref = "main",
	.context = "davit",
	.description = "passed in 12 s",
	.target_url = "https://ci.example.com/builds/17",
};

/* Method, path, headers and body as one text. */
static void
assert_request(enum forge_kind kind, const struct status *status, const char *expected)
{
	struct status_request request;
	struct err err;
	char text[4096];
	int len;

	assert_true(status_encode(kind, &repo, status, "s3cret", &request, &err));
	len = snprintf(text, sizeof(text), "%s %s\n", request.method, request.path);
	for (size_t i = 0; i < request.header_count; i++)
		len += snprintf(text + len, sizeof(text) - (size_t)len, "%s: %s\n", request.headers[i].name,
		    request.headers[i].value);
	snprintf(text + len, sizeof(text) - (size_t)len, "%s", request.body);
	assert_int_equal(strlen(request.body), request.body_len);
	assert_string_equal(text, expected);
	status_request_fini(&request);
}

static void
test_golden_requests(void **state)
{
	struct status running = passed;

	(void)state;
	assert_request(FORGE_GITHUB, &passed,
	    "POST /repos/acme/hull/boat/statuses/" SHA "\n"
	    "Content-Type: application/json\n"
	    "Authorization: Bearer s3cret\n"
	    "Accept: application/vnd.github+json\n"
	    "X-GitHub-Api-Version: 2022-11-28\n"
	    "{\"state\":\"success\",\"context\":\"davit\",\"description\":\"passed in 12 s\","
	    "\"target_url\":\"https://ci.example.com/builds/17\"}");
	assert_request(FORGE_GITLAB, &passed,
	    "POST /projects/acme%2Fhull%2Fboat/statuses/" SHA "\n"
	    "Content-Type: application/json\n"
	    "PRIVATE-TOKEN: s3cret\n"
	    "{\"state\":\"success\",\"context\":\"davit\",\"description\":\"passed in 12 s\","
	    "\"target_url\":\"https://ci.example.com/builds/17\",\"ref\":\"main\"}");
	running.state = STATUS_RUNNING;
	running.description = "running";
	running.target_url = NULL;
	assert_request(FORGE_GITEA, &running,
	    "POST /repos/acme/hull/boat/statuses/" SHA "\n"
	    "Content-Type: application/json\n"
	    "Authorization: token s3cret\n"
	    "{\"state\":\"pending\",\"context\":\"davit\",\"description\":\"running\"}");
}

/* The state's word in each forge's tongue, read back from the body. */
static void
test_words(void **state)
{
	static const char *const expected[][3] = {
		[STATUS_PENDING] = { "pending", "pending", "pending" },
		[STATUS_RUNNING] = { "pending", "running", "pending" },
		[STATUS_PASSED] = { "success", "success", "success" },
		[STATUS_FAILED] = { "failure", "failed", "failure" },
		[STATUS_CANCELLED] = { "error", "canceled", "error" },
		[STATUS_ERROR] = { "error", "failed", "error" },
	};
	static const enum forge_kind kinds[] = { FORGE_GITHUB, FORGE_GITLAB, FORGE_GITEA };
	struct status status = passed;

	(void)state;
	for (status.state = STATUS_PENDING; status.state <= STATUS_ERROR; status.state++) {
		for (size_t k = 0; k < 3; k++) {
			struct status_request request;
			struct json *doc;
			struct err err;

			assert_true(status_encode(kinds[k], &repo, &status, "t", &request, &err));
			assert_true(json_parse((struct str){ request.body, request.body_len }, NULL, &doc, &err));
			assert_string_equal(
			    json_string(json_get(json_root(doc), "state"), ""), expected[status.state][k]);
			json_free(&doc);
			status_request_fini(&request);
		}
	}
}

static void
test_states_of_a_build(void **state)
{
	static const struct {
		const char *build;
		enum status_state state;
		bool final;
	} rows[] = {
		{ "planning", STATUS_PENDING, false },
		{ "queued", STATUS_PENDING, false },
		{ "waiting", STATUS_PENDING, false },
		{ "running", STATUS_RUNNING, false },
		{ "passed", STATUS_PASSED, true },
		{ "failed", STATUS_FAILED, true },
		{ "timed_out", STATUS_FAILED, true },
		{ "cancelled", STATUS_CANCELLED, true },
		{ "error", STATUS_ERROR, true },
	};
	enum status_state ret;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_true(status_from_build(rows[i].build, &ret));
		assert_int_equal(ret, rows[i].state);
		assert_int_equal(status_is_final(ret), rows[i].final);
	}
	assert_false(status_from_build("", &ret));
	assert_false(status_from_build("Passed", &ret));
}

static void
test_description_is_cut_at_a_code_point(void **state)
{
	struct status status = passed;
	struct status_request request;
	struct json *doc;
	struct err err;
	char text[200 * 4 + 1] = "";

	(void)state;
	for (int i = 0; i < 200; i++)
		strcat(text, "\xf0\x9f\x9a\xa2"); /* a ship, 4 bytes */
	status.description = text;
	assert_true(status_encode(FORGE_GITHUB, &repo, &status, "t", &request, &err));
	assert_true(json_parse((struct str){ request.body, request.body_len }, NULL, &doc, &err));
	assert_int_equal(strlen(json_string(json_get(json_root(doc), "description"), "")), 140 * 4);
	json_free(&doc);
	status_request_fini(&request);
}

static void
test_nasty_texts_stay_inside_their_strings(void **state)
{
	static const char *const nasty[] = { "\"", "\\", "\r\nX: y", "\",\"state\":\"success", "\x80\xff", "\xc0\x80",
		"\xe2\x80\xae", "\x01\x1b]0;x\x07", "<script>", "{{7*7}}", "%n%s", "" };
	struct status status = passed;

	(void)state;
	for (size_t i = 0; i < sizeof(nasty) / sizeof(nasty[0]); i++) {
		struct status_request request;
		struct json *doc;
		struct err err;

		status.state = STATUS_FAILED;
		status.description = status.context = status.target_url = status.ref = nasty[i];
		assert_true(status_encode(FORGE_GITLAB, &repo, &status, "t", &request, &err));
		assert_true(json_parse((struct str){ request.body, request.body_len }, NULL, &doc, &err));
		assert_int_equal(json_count(json_root(doc)), 5);
		assert_string_equal(json_string(json_get(json_root(doc), "state"), ""), "failed");
		json_free(&doc);
		status_request_fini(&request);
	}
}

static void
test_refuses_what_cannot_be_sent(void **state)
{
	static const char *const tokens[] = { "", "a b", "a\r\nHost: evil", "a\n", "\x80", "\x7f", "\t" };
	static const char *const commits[] = { "", "main", SHA "0", "../../../x",
		"0123456789ABCDEF0123456789abcdef01234567", "0123456789abcdef0123456789abcdef0123456\n" };
	struct status status = passed;
	struct status_request request;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++) {
		assert_false(status_encode(FORGE_GITHUB, &repo, &passed, tokens[i], &request, &err));
		assert_int_equal(err.code, ERR_INPUT);
		assert_null(strstr(err.text, "evil"));
	}
	for (size_t i = 0; i < sizeof(commits) / sizeof(commits[0]); i++) {
		status.commit = commits[i];
		assert_false(status_encode(FORGE_GITHUB, &repo, &status, "t", &request, &err));
	}
	assert_false(status_encode(FORGE_GENERIC, &repo, &passed, "t", &request, &err));
}

#define NOW 1000000

static const struct {
	enum forge_kind kind;
	unsigned code;
	const char *header; /* "Name: value", two of them parted by a newline */
	const char *body;
	enum status_verdict verdict;
	int64_t after_s;
	const char *says;
} answers[] = {
	{ FORGE_GITHUB, 201, "", "{}", STATUS_DONE, 0, "" },
	{ FORGE_GITEA, 200, "", "", STATUS_DONE, 0, "" },
	{ FORGE_GITLAB, 400, "", "{\"message\":\"Cannot transition status via :run from :running\"}", STATUS_DONE, 0,
	    "" },
	{ FORGE_GITHUB, 400, "", "{\"message\":\"Cannot transition status\"}", STATUS_STOP, 0, "Cannot transition" },
	{ FORGE_GITLAB, 400, "", "{\"error\":\"state is missing\"}", STATUS_STOP, 0, "state is missing" },
	{ FORGE_GITLAB, 400, "", "{\"message\":{\"name\":[\"x\"]}}", STATUS_STOP, 0, "no explanation" },
	{ FORGE_GITHUB, 401, "", "{\"message\":\"Bad credentials\"}", STATUS_STOP, 0, "Bad credentials" },
	{ FORGE_GITHUB, 403, "", "{\"message\":\"Resource not accessible\"}", STATUS_STOP, 0, "give it that right" },
	{ FORGE_GITHUB, 404, "", "", STATUS_STOP, 0, "does not know" },
	{ FORGE_GITHUB, 422, "", "{\"message\":\"No commit found\"}", STATUS_STOP, 0, "No commit found" },
	{ FORGE_GITHUB, 301, "Location: https://elsewhere/", "", STATUS_STOP, 0, "has moved" },
	{ FORGE_GITHUB, 403, "Retry-After: 7", "", STATUS_RETRY, 7, "403" },
	{ FORGE_GITHUB, 403, "X-RateLimit-Remaining: 0\nX-RateLimit-Reset: 1000090", "", STATUS_RETRY, 90, "403" },
	{ FORGE_GITHUB, 403, "X-RateLimit-Remaining: 0\nX-RateLimit-Reset: 999", "", STATUS_RETRY, 1, "403" },
	{ FORGE_GITHUB, 403, "X-RateLimit-Remaining: 0\nX-RateLimit-Reset: 99999999999", "", STATUS_RETRY, 3600,
	    "403" },
	{ FORGE_GITHUB, 403, "X-RateLimit-Remaining: 12\nX-RateLimit-Reset: 1000090", "", STATUS_STOP, 0, "403" },
	{ FORGE_GITHUB, 403, "", "{\"message\":\"You have exceeded a secondary rate limit\"}", STATUS_RETRY, 60,
	    "secondary" },
	{ FORGE_GITLAB, 429, "RateLimit-Remaining: 0\nRateLimit-Reset: 1000030", "", STATUS_RETRY, 30, "429" },
	{ FORGE_GITLAB, 429, "Retry-After: 0", "", STATUS_RETRY, 1, "429" },
	{ FORGE_GITLAB, 429, "Retry-After: 86400", "", STATUS_RETRY, 3600, "429" },
	{ FORGE_GITLAB, 429, "Retry-After: -5", "", STATUS_RETRY, 60, "429" },
	{ FORGE_GITLAB, 429, "Retry-After: Fri, 31 Dec 1999 23:59:59 GMT", "", STATUS_RETRY, 60, "429" },
	{ FORGE_GITLAB, 429, "Retry-After: 18446744073709551616", "", STATUS_RETRY, 60, "429" },
	{ FORGE_GITEA, 429, "", "", STATUS_RETRY, 60, "429" },
	{ FORGE_GITEA, 500, "", "<html>", STATUS_RETRY, 0, "no explanation" },
	{ FORGE_GITEA, 503, "Retry-After: 2", "", STATUS_RETRY, 2, "503" },
	{ FORGE_GITLAB, 409, "", "", STATUS_RETRY, 0, "409" },
	{ FORGE_GITHUB, 408, "", "", STATUS_RETRY, 0, "408" },
	{ FORGE_GITHUB, 401, "", "{\"message\":\"a\\r\\nb\\u0007\"}", STATUS_STOP, 0, "(a  b )" },
};

static void
test_judges_answers(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		struct http1_head head = { .status = answers[i].code };
		struct str rest = str_of(answers[i].header);
		struct status_judgement got;

		while (rest.len > 0) {
			struct str line = str_cut(&rest, '\n');
			struct str name = str_cut(&line, ':');

			head.headers[head.header_count++] = (struct http1_header){ name, str_trim(line) };
		}
		got = status_judge(answers[i].kind, &head, str_of(answers[i].body), NOW);
		if (got.verdict != answers[i].verdict || got.after_s != answers[i].after_s)
			fail_msg("answer %zu (%u): verdict %d, after %d: %s", i, answers[i].code, (int)got.verdict,
			    (int)got.after_s, got.err.text);
		assert_int_equal(got.err.code == ERR_NONE, got.verdict == STATUS_DONE);
		assert_non_null(strstr(got.err.text, answers[i].says));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden_requests),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_states_of_a_build),
		cmocka_unit_test(test_description_is_cut_at_a_code_point),
		cmocka_unit_test(test_nasty_texts_stay_inside_their_strings),
		cmocka_unit_test(test_refuses_what_cannot_be_sent),
		cmocka_unit_test(test_judges_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
