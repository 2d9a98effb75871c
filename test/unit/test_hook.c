/* Detection, signatures and decoders of webhooks. */
#include "test/unit/hook_fixture.h"

#include "proto/base64.h"
#include "proto/json.h"
#include "proto/ref.h"
#include "proto/url.h"

#define STANDARD_SECRET "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

/* struct change with texts of the program. */
struct wanted {
	enum change_event event;
	enum change_trust trust;
	const char *ref, *branch, *commit, *before, *title, *message, *author_name, *author_email, *sender, *web_url,
	    *fetch_url;
	int64_t pull_number;
};

struct expected {
	const char *fixture;
	const char *event_header;
	const char *event;
	enum hook_outcome outcome;
	const char *reason;
	struct wanted change;
};

#define TEXTS                                                                                                     \
	.title = "crane: lower the boat slowly", .message = "crane: lower the boat slowly\n\nIt fell last time.", \
	.author_name = "Mira K\xc3\xb6hler", .author_email = "mira@harbour.example"
#define GITLAB_TEXTS                                                                                            \
	.message = "crane: lower the boat slowly\n\nIt fell last time.\n", .author_name = "Mira K\xc3\xb6hler", \
	.author_email = "mira@harbour.example"
#define PULL .event = CHANGE_PULL_REQUEST, .branch = "main", .commit = COMMIT, .sender = "mira", .pull_number = 7
#define GITHUB_PULL PULL, .ref = "refs/pull/7/head", .title = "Lower it slowly", .author_name = "mira"

/* clang-format off */
static const struct expected all[] = {
	{ "github-push", "X-GitHub-Event", "push", HOOK_CHANGE, "",
	  { .event = CHANGE_PUSH, .ref = "refs/heads/feature/ropes", .branch = "feature/ropes", .commit = COMMIT,
	    .before = BEFORE, TEXTS, .sender = "mira", .web_url = "https://github.example/harbour/crane/commit/" COMMIT } },
	{ "github-push-new-branch", "X-GitHub-Event", "push", HOOK_CHANGE, "",
	  { .event = CHANGE_PUSH, .ref = "refs/heads/main", .branch = "main", .commit = COMMIT, TEXTS, .sender = "mira",
	    .web_url = "https://github.example/harbour/crane/commit/" COMMIT } },
	{ "github-push-deleted", "X-GitHub-Event", "push", HOOK_IGNORED, "a branch was deleted", { 0 } },
	{ "github-push-skip", "X-GitHub-Event", "push", HOOK_IGNORED, "asks for no build", { 0 } },
	{ "github-tag-annotated", "X-GitHub-Event", "push", HOOK_CHANGE, "",
	  { .event = CHANGE_TAG, .ref = "refs/tags/v1.2.0", .branch = "v1.2.0", .commit = COMMIT, TEXTS, .sender = "mira",
	    .web_url = "https://github.example/harbour/crane/commit/" COMMIT } },
	{ "github-ping", "X-GitHub-Event", "ping", HOOK_PING, "", { 0 } },
	{ "github-pull-own", "X-GitHub-Event", "pull_request", HOOK_CHANGE, "",
	  { GITHUB_PULL, .trust = CHANGE_TRUSTED, .web_url = "https://github.example/harbour/crane/pull/7" } },
	{ "github-pull-fork", "X-GitHub-Event", "pull_request", HOOK_CHANGE, "",
	  { GITHUB_PULL, .trust = CHANGE_FORK, .web_url = "https://github.example/harbour/crane/pull/7",
	    .fetch_url = "https://github.example/pirate/crane.git" } },
	{ "github-pull-fork-gone", "X-GitHub-Event", "pull_request", HOOK_CHANGE, "",
	  { GITHUB_PULL, .trust = CHANGE_FORK, .web_url = "https://github.example/harbour/crane/pull/7" } },
	{ "github-pull-closed", "X-GitHub-Event", "pull_request", HOOK_CLOSED, "was closed", { .ref = "refs/pull/7/head" } },
	{ "github-issues", "X-GitHub-Event", "issues", HOOK_IGNORED, "the event issues", { 0 } },
	{ "gitea-push", "X-Gitea-Event", "push", HOOK_CHANGE, "",
	  { .event = CHANGE_PUSH, .ref = "refs/heads/main", .branch = "main", .commit = COMMIT, .before = BEFORE, TEXTS,
	    .sender = "mira", .web_url = "https://git.harbour.example/harbour/crane/commit/" COMMIT } },
	{ "gitea-push", "X-Forgejo-Event", "push", HOOK_CHANGE, "",
	  { .event = CHANGE_PUSH, .ref = "refs/heads/main", .branch = "main", .commit = COMMIT, .before = BEFORE, TEXTS,
	    .sender = "mira", .web_url = "https://git.harbour.example/harbour/crane/commit/" COMMIT } },
	{ "gitea-pull-fork", "X-Gitea-Event", "pull_request", HOOK_CHANGE, "",
	  { GITHUB_PULL, .trust = CHANGE_FORK, .web_url = "https://git.harbour.example/harbour/crane/pull/7",
	    .fetch_url = "https://git.harbour.example/pirate/crane.git" } },
	{ "gogs-push", "X-Gogs-Event", "push", HOOK_CHANGE, "",
	  { .event = CHANGE_PUSH, .ref = "refs/heads/main", .branch = "main", .commit = COMMIT, .before = BEFORE, TEXTS,
	    .sender = "mira", .web_url = "https://git.harbour.example/harbour/crane/commit/" COMMIT } },
	{ "gogs-pull", "X-Gogs-Event", "pull_request", HOOK_IGNORED, "does not say which commit", { 0 } },
	{ "gitlab-push", "X-Gitlab-Event", "Push Hook", HOOK_CHANGE, "",
	  { .event = CHANGE_PUSH, .ref = "refs/heads/main", .branch = "main", .commit = COMMIT, .before = BEFORE,
	    .title = "crane: lower the boat slowly", GITLAB_TEXTS, .sender = "mira",
	    .web_url = "https://gitlab.harbour.example/harbour/crane/-/commit/" COMMIT } },
	{ "gitlab-push-deleted", "X-Gitlab-Event", "Push Hook", HOOK_IGNORED, "a branch was deleted", { 0 } },
	{ "gitlab-tag-annotated", "X-Gitlab-Event", "Tag Push Hook", HOOK_CHANGE, "",
	  { .event = CHANGE_TAG, .ref = "refs/tags/v1.2.0", .branch = "v1.2.0", .commit = COMMIT, .sender = "mira" } },
	{ "gitlab-merge-own", "X-Gitlab-Event", "Merge Request Hook", HOOK_CHANGE, "",
	  { PULL, .ref = "refs/merge-requests/7/head", .title = "Lower it slowly", GITLAB_TEXTS, .trust = CHANGE_TRUSTED,
	    .web_url = "https://gitlab.harbour.example/harbour/crane/-/merge_requests/7" } },
	{ "gitlab-merge-fork", "X-Gitlab-Event", "Merge Request Hook", HOOK_CHANGE, "",
	  { PULL, .ref = "refs/merge-requests/7/head", .title = "Lower it slowly", GITLAB_TEXTS, .trust = CHANGE_FORK,
	    .web_url = "https://gitlab.harbour.example/harbour/crane/-/merge_requests/7",
	    .fetch_url = "https://gitlab.harbour.example/pirate/crane.git" } },
	{ "gitlab-merge-retitled", "X-Gitlab-Event", "Merge Request Hook", HOOK_IGNORED, "no new commit", { 0 } },
	{ "gitlab-merge-merged", "X-Gitlab-Event", "Merge Request Hook", HOOK_CLOSED, "was closed",
	  { .ref = "refs/merge-requests/7/head" } },
	{ "gitlab-note", "X-Gitlab-Event", "Note Hook", HOOK_IGNORED, "the event Note Hook", { 0 } },
	{ "generic-push", "X-Davit-Signature", "?", HOOK_CHANGE, "",
	  { .event = CHANGE_PUSH, .ref = "refs/heads/main", .branch = "main", .commit = COMMIT, .before = BEFORE, TEXTS,
	    .sender = "mira", .web_url = "https://git.harbour.example/crane/commit/" COMMIT } },
	{ "generic-tag", "X-Davit-Signature", "?", HOOK_CHANGE, "",
	  { .event = CHANGE_TAG, .ref = "refs/tags/v1.2.0", .branch = "v1.2.0", .commit = COMMIT } },
	{ "generic-pull", "X-Davit-Signature", "?", HOOK_CHANGE, "",
	  { .event = CHANGE_PULL_REQUEST, .trust = CHANGE_FORK, .ref = "refs/pull/7/head", .branch = "main", .commit = COMMIT,
	    .title = "Lower it slowly", .fetch_url = "https://git.harbour.example/pirate/crane.git", .pull_number = 7 } },
	{ "generic-pull-closed", "X-Davit-Signature", "?", HOOK_CLOSED, "was closed", { .ref = "refs/pull/7/head" } },
	{ "generic-ping", "X-Davit-Signature", "?", HOOK_PING, "", { 0 } },
};
/* clang-format on */

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void
assert_text(const char *what, const char *got, const char *wanted)
{
	if ((got == NULL) != (wanted == NULL) || (got != NULL && strcmp(got, wanted) != 0))
		fail_msg(
		    "%s is \"%s\", not \"%s\"", what, got != NULL ? got : "NULL", wanted != NULL ? wanted : "NULL");
}

static void
assert_change(const struct change *got, const struct wanted *wanted)
{
	assert_int_equal(got->event, wanted->event);
	assert_int_equal(got->trust, wanted->trust);
	assert_int_equal(got->pull_number, wanted->pull_number);
	assert_text("ref", got->ref, wanted->ref);
	assert_text("branch", got->branch, wanted->branch);
	assert_text("commit", got->commit, wanted->commit);
	assert_text("before", got->before, wanted->before);
	assert_text("title", got->title, wanted->title);
	assert_text("message", got->message, wanted->message);
	assert_text("author_name", got->author_name, wanted->author_name);
	assert_text("author_email", got->author_email, wanted->author_email);
	assert_text("sender", got->sender, wanted->sender);
	assert_text("web_url", got->web_url, wanted->web_url);
	assert_text("fetch_url", got->fetch_url, wanted->fetch_url);
}

/* Whoever opens a pull request chooses titles, branch names and what his repository is called; the forge's numbers of
 * the two repositories alone make one trusted. */
static void
test_trust_needs_two_equal_numbers(void **state)
{
	static const struct {
		const char *head, *base;
		enum change_trust trust;
	} cases[] = {
		{ "{\"id\":1}", "{\"id\":1}", CHANGE_TRUSTED },
		{ "{\"id\":2}", "{\"id\":1}", CHANGE_FORK },
		{ "null", "{\"id\":1}", CHANGE_FORK },
		{ "{\"id\":1}", "null", CHANGE_FORK },
		{ "null", "null", CHANGE_FORK },
		{ "{}", "{}", CHANGE_FORK },
		{ "{\"id\":\"1\"}", "{\"id\":\"1\"}", CHANGE_FORK },
		{ "{\"id\":-1}", "{\"id\":-1}", CHANGE_FORK },
		{ "{\"id\":-2}", "{\"id\":-2}", CHANGE_FORK },
		{ "{\"id\":2,\"full_name\":\"acme/app\",\"fork\":false}", "{\"id\":1,\"full_name\":\"acme/app\"}",
		    CHANGE_FORK },
		{ "{\"id\":1e99}", "{\"id\":1e99}", CHANGE_FORK },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct header headers[] = { { "X-GitHub-Event", "pull_request" },
			{ "Content-Type", "application/json" }, { NULL, NULL } };
		char body[1024];
		struct hook_request request;
		struct hook_result result;
		struct err err;

		snprintf(body, sizeof(body),
		    "{\"action\":\"opened\",\"number\":7,\"trust\":\"trusted\",\"fork\":false,\"pull_request\":{"
		    "\"title\":\"x\","
		    "\"trust\":\"trusted\",\"head\":{\"sha\":\"" COMMIT
		    "\",\"repo\":%s},\"base\":{\"ref\":\"main\",\"repo\":%s}}}",
		    cases[i].head, cases[i].base);
		request = make_request(headers, str_of(body));
		assert_true(hook_decode(hook_detect(&request.headers), &request, &result, &err));
		if (result.change.trust != cases[i].trust)
			fail_msg("case %zu: %s and %s", i, cases[i].head, cases[i].base);
		hook_result_fini(&result);
	}
}

/* A request to skip: a tag is built all the same, and a pull request's title counts. */
static void
test_what_asks_for_no_build(void **state)
{
	static const struct {
		const char *body;
		enum hook_outcome outcome;
	} cases[] = {
		{ "{\"ref\":\"refs/heads/main\",\"commit\":\"" COMMIT "\",\"message\":\"x [skip ci]\"}", HOOK_IGNORED },
		{ "{\"ref\":\"refs/tags/v1\",\"commit\":\"" COMMIT "\",\"message\":\"x [skip ci]\"}", HOOK_CHANGE },
		{ "{\"ref\":\"refs/heads/main\",\"commit\":\"" COMMIT "\",\"title\":\"[skip ci]\"}", HOOK_CHANGE },
		{ "{\"event\":\"pull_request\",\"number\":7,\"target\":\"main\",\"commit\":\"" COMMIT
		  "\",\"title\":\"[ CI skip]\"}",
		    HOOK_IGNORED },
		{ "{\"event\":\"pull_request\",\"number\":7,\"target\":\"main\",\"commit\":\"" COMMIT
		  "\",\"title\":\"x\",\"message\":\"[skip ci]\"}",
		    HOOK_IGNORED },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct header headers[] = { { "X-Davit-Signature", "x" }, { "Content-Type", "application/json" },
			{ NULL, NULL } };
		struct hook_request request = make_request(headers, str_of(cases[i].body));
		struct hook_result result;
		struct err err;

		assert_true(hook_decode(hook_detect(&request.headers), &request, &result, &err));
		if (result.outcome != cases[i].outcome)
			fail_msg("case %zu: %s", i, result.reason);
		hook_result_fini(&result);
	}
}

static bool
decode(const struct expected *x, struct str body, struct hook_result *ret, struct err *err)
{
	const struct header headers[] = { { x->event_header, x->event }, { "Content-Type", "application/json" },
		{ NULL, NULL } };
	struct hook_request request = make_request(headers, body);

	return hook_decode(hook_detect(&request.headers), &request, ret, err);
}

static void
test_every_fixture_decodes(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(all); i++) {
		struct hook_result result;
		char digest[SHA256_HEX_SIZE];
		struct err err = ERR_OK;
		struct buf body;

		read_fixture(all[i].fixture, &body);
		if (!decode(&all[i], buf_str(&body), &result, &err))
			fail_msg("%s: %s", all[i].fixture, err.text);
		if (result.outcome != all[i].outcome || strstr(result.reason, all[i].reason) == NULL)
			fail_msg("%s: outcome %d, %s", all[i].fixture, result.outcome, result.reason);
		if (result.outcome == HOOK_CLOSED)
			assert_text("ref", result.change.ref, all[i].change.ref);
		if (result.outcome == HOOK_CHANGE)
			assert_change(&result.change, &all[i].change);
		sha256_hex(buf_str(&body), digest);
		assert_string_equal(result.digest, digest);
		hook_result_fini(&result);
		buf_fini(&body);
	}
}

static void
test_the_most_specific_forge_is_detected(void **state)
{
	static const struct {
		struct header headers[6];
		const char *name;
	} cases[] = {
		{ { { "x-github-event", "push" }, { "x-gogs-event", "push" }, { "x-gitea-event", "push" },
		      { "x-forgejo-event", "push" } },
		    "forgejo" },
		{ { { "X-GitHub-Event", "push" }, { "X-Gogs-Event", "push" }, { "X-Gitea-Event", "push" } }, "gitea" },
		{ { { "X-GitHub-Event", "push" }, { "X-Gogs-Event", "push" } }, "gogs" },
		{ { { "X-GitHub-Event", "push" } }, "github" },
		{ { { "X-Gitlab-Event", "Push Hook" }, { "webhook-signature", "v1,x" } }, "gitlab" },
		{ { { "X-Davit-Signature", "" } }, "generic" },
		{ { { "webhook-signature", "v1,x" } }, "generic" },
	};
	static const struct header none[] = { { "X-Hub-Signature-256", "x" }, { NULL, NULL } };
	struct hook_request request = make_request(none, STR(""));

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct hook_request r = make_request(cases[i].headers, STR(""));

		assert_string_equal(hook_forge_name(hook_detect(&r.headers)), cases[i].name);
	}
	assert_null(hook_detect(&request.headers));
}

static void
test_delivery_ids(void **state)
{
	static const struct header github[] = { { "X-GitHub-Event", "push" }, { "X-GitHub-Delivery", "d-1" },
		{ NULL, NULL } };
	static const struct header twice[] = { { "X-GitHub-Event", "push" }, { "X-GitHub-Delivery", "d-1" },
		{ "X-GitHub-Delivery", "d-2" }, { NULL, NULL } };
	static const struct header gitlab[] = { { "X-Gitlab-Event", "Push Hook" }, { "X-Gitlab-Event-UUID", "shared" },
		{ NULL, NULL } };
	struct hook_request r = make_request(github, STR(""));

	(void)state;
	assert_true(str_is(hook_delivery(hook_detect(&r.headers), &r.headers), "d-1"));
	r = make_request(twice, STR(""));
	assert_int_equal(hook_delivery(hook_detect(&r.headers), &r.headers).len, 0);
	r = make_request(gitlab, STR(""));
	assert_int_equal(hook_delivery(hook_detect(&r.headers), &r.headers).len, 0);
}

static bool
verify(const struct header *headers, struct str body, const char *secret)
{
	struct hook_request request = make_request(headers, body);
	struct err err = ERR_OK;
	bool ok = hook_verify(hook_detect(&request.headers), &request, str_of(secret), &err);

	if (!ok) {
		assert_int_equal(err.code, ERR_AUTH);
		assert_true(err.text[0] != '\0');
		assert_null(strlen(secret) > 10 ? strstr(err.text, secret) : NULL);
	}
	return ok;
}

/* GitHub's documentation has this one. */
static void
test_github_signature(void **state)
{
	static const struct header headers[] = { { "X-GitHub-Event", "push" },
		{ "X-Hub-Signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17" },
		{ NULL, NULL } };

	(void)state;
	assert_true(verify(headers, STR("Hello, World!"), SECRET));
	assert_false(verify(headers, STR("Hello, World?"), SECRET));
	assert_false(verify(headers, STR("Hello, World!"), "it's a Secret to Everybody"));
	assert_false(verify(headers, STR("Hello, World!"), ""));
	assert_false(verify(headers, STR(""), SECRET));
}

static const struct {
	const char *event_header;
	const char *signature_header;
	const char *prefix;
} hmac_forges[] = {
	{ "X-GitHub-Event", "X-Hub-Signature-256", "sha256=" },
	{ "X-Gitea-Event", "X-Gitea-Signature", "" },
	{ "X-Forgejo-Event", "X-Forgejo-Signature", "" },
	{ "X-Gogs-Event", "X-Gogs-Signature", "" },
	{ "X-Davit-Signature", "X-Davit-Signature", "sha256=" },
};

static bool
verify_hmac(size_t forge, const char *signature, struct str body)
{
	struct header headers[3] = { { hmac_forges[forge].signature_header, signature } };

	if (strcmp(hmac_forges[forge].event_header, hmac_forges[forge].signature_header) != 0)
		headers[1] = (struct header){ hmac_forges[forge].event_header, "push" };
	return verify(headers, body, SECRET);
}

static void
test_signatures_of_another_form(void **state)
{
	struct str body = STR("{\"ref\":\"refs/heads/main\"}");

	(void)state;
	for (size_t f = 0; f < COUNT(hmac_forges); f++) {
		const char *prefix = hmac_forges[f].prefix;
		char right[128], wrong[160];
		size_t len;

		snprintf(right, sizeof(right), "%s", sign(prefix, SECRET, body));
		len = strlen(right);
		assert_true(verify_hmac(f, right, body));
		assert_false(verify_hmac(f, sign(prefix, "another secret", body), body));
		assert_false(verify_hmac(f, sign("sha1=", SECRET, body), body));
		assert_false(verify_hmac(f, "", body));
		assert_false(verify_hmac(f, prefix, body));
		for (size_t i = 0; i < len; i++) {
			memcpy(wrong, right, len + 1);
			wrong[i] = wrong[i] == '0' ? '1' : '0';
			assert_false(verify_hmac(f, wrong, body));
			wrong[i] = '\0';
			assert_false(verify_hmac(f, wrong, body));
		}
		snprintf(wrong, sizeof(wrong), "%s0", right);
		assert_false(verify_hmac(f, wrong, body));
		snprintf(wrong, sizeof(wrong), "%s,%s", right, "x");
		assert_false(verify_hmac(f, wrong, body));
		memcpy(wrong, right, len + 1);
		for (size_t i = strlen(prefix); i < len; i++)
			if (wrong[i] >= 'a')
				wrong[i] = (char)(wrong[i] - 'a' + 'A');
		assert_string_not_equal(wrong, right);
		assert_false(verify_hmac(f, wrong, body));
	}
}

static void
test_each_changed_bit_is_seen(void **state)
{
	char text[] = "{\"ref\":\"refs/heads/main\"}", right[128];
	struct str body = { text, sizeof(text) - 1 };

	(void)state;
	snprintf(right, sizeof(right), "%s", sign("sha256=", SECRET, body));
	for (size_t bit = 0; bit < body.len * 8; bit++) {
		text[bit / 8] ^= (char)(1 << bit % 8);
		assert_false(verify_hmac(0, right, body));
		text[bit / 8] ^= (char)(1 << bit % 8);
	}
	assert_true(verify_hmac(0, right, body));
}

static void
test_missing_and_repeated_signatures(void **state)
{
	struct str body = STR("{}");
	char right[128];
	const struct header missing[] = { { "X-GitHub-Event", "push" }, { "X-Hub-Signature", "sha1=00" },
		{ NULL, NULL } };
	const struct header twice[] = { { "X-GitHub-Event", "push" }, { "X-Hub-Signature-256", right },
		{ "X-Hub-Signature-256", right }, { NULL, NULL } };
	const struct header once[] = { { "X-GitHub-Event", "push" }, { "X-Hub-Signature-256", right }, { NULL, NULL } };
	/* Gitea's own header decides, whatever GitHub's says */
	const struct header gitea[] = { { "X-Gitea-Event", "push" }, { "X-GitHub-Event", "push" },
		{ "X-Hub-Signature-256", right }, { NULL, NULL } };

	(void)state;
	snprintf(right, sizeof(right), "%s", sign("sha256=", SECRET, body));
	assert_false(verify(missing, body, SECRET));
	assert_false(verify(twice, body, SECRET));
	assert_true(verify(once, body, SECRET));
	assert_false(verify(gitea, body, SECRET));
}

static void
test_gitlab_token(void **state)
{
	static const struct header right[] = { { "X-Gitlab-Event", "Push Hook" }, { "X-Gitlab-Token", SECRET },
		{ NULL, NULL } };
	static const struct header wrong[] = { { "X-Gitlab-Event", "Push Hook" }, { "X-Gitlab-Token", SECRET "x" },
		{ NULL, NULL } };
	static const struct header empty[] = { { "X-Gitlab-Event", "Push Hook" }, { "X-Gitlab-Token", "" },
		{ NULL, NULL } };
	static const struct header missing[] = { { "X-Gitlab-Event", "Push Hook" }, { NULL, NULL } };
	static const struct header twice[] = { { "X-Gitlab-Event", "Push Hook" }, { "X-Gitlab-Token", SECRET },
		{ "X-Gitlab-Token", "x" }, { NULL, NULL } };
	/* with a signing token, knowing it verbatim is no signature */
	static const struct header verbatim[] = { { "X-Gitlab-Event", "Push Hook" },
		{ "X-Gitlab-Token", STANDARD_SECRET }, { NULL, NULL } };

	(void)state;
	assert_true(verify(right, STR("{}"), SECRET));
	assert_false(verify(wrong, STR("{}"), SECRET));
	assert_false(verify(empty, STR("{}"), SECRET));
	assert_false(verify(empty, STR("{}"), ""));
	assert_false(verify(missing, STR("{}"), SECRET));
	assert_false(verify(twice, STR("{}"), SECRET));
	assert_false(verify(verbatim, STR("{}"), STANDARD_SECRET));
}

static bool
verify_standard(const char *id, const char *timestamp, const char *signature, const char *secret)
{
	const struct header generic[] = { { "webhook-id", id }, { "webhook-timestamp", timestamp },
		{ "webhook-signature", signature }, { NULL, NULL } };
	const struct header gitlab[] = { { "X-Gitlab-Event", "Push Hook" }, { "X-Gitlab-Token", "ignored" },
		{ "webhook-id", id }, { "webhook-timestamp", timestamp }, { "webhook-signature", signature },
		{ NULL, NULL } };
	bool ok = verify(generic, STR("{\"event\":\"ping\"}"), secret);

	if (str_has_prefix(str_of(secret), "whsec_"))
		assert_int_equal(verify(gitlab, STR("{\"event\":\"ping\"}"), secret), ok);
	return ok;
}

/* The signature was made with Python's hmac. */
static void
test_standard_webhooks(void **state)
{
	static const char right[] = "v1,h2bEM4uDgBOCssifELzWYuG76oYq5FTFdzskieLE5SQ=";
	static const char *const times[] = { "1769999699", "1770000301", "0", "", "-1770000000", "1770000000.0",
		"99999999999999999999", "x" };
	char list[512];

	(void)state;
	assert_true(verify_standard("msg_1", "1770000000", right, STANDARD_SECRET));
	snprintf(list, sizeof(list), "v1a,xyz v1,AAAA v1, , %s v2,zzz", right);
	assert_true(verify_standard("msg_1", "1770000000", list, STANDARD_SECRET));
	assert_false(verify_standard("msg_2", "1770000000", right, STANDARD_SECRET));
	assert_false(verify_standard("msg_1", "1770000001", right, STANDARD_SECRET));
	assert_false(verify_standard("", "1770000000", right, STANDARD_SECRET));
	assert_false(verify_standard("msg_1", "1770000000", right + 3, STANDARD_SECRET));
	assert_false(verify_standard("msg_1", "1770000000", "v1,", STANDARD_SECRET));
	assert_false(verify_standard("msg_1", "1770000000", right, "whsec_"));
	assert_false(verify_standard("msg_1", "1770000000", right, "whsec_?"));
	for (size_t i = 0; i < COUNT(times); i++)
		assert_false(verify_standard("msg_1", times[i], right, STANDARD_SECRET));
	for (int i = 0; i < 8; i++)
		snprintf(list + i * 8, sizeof(list) - (size_t)i * 8, "v1,AAAA ");
	strcat(list, right);
	assert_false(verify_standard("msg_1", "1770000000", list, STANDARD_SECRET)); /* the ninth is not looked at */
}

static void
test_standard_webhooks_with_a_plain_secret(void **state)
{
	const struct str text = STR("msg_1.1770000000.{\"event\":\"ping\"}");
	unsigned char mac[SHA256_SIZE];
	struct buf signature;

	(void)state;
	hmac_sha256(STR(SECRET), &text, 1, mac);
	buf_init(&signature, 100);
	buf_adds(&signature, "v1,");
	base64_encode((struct str){ (char *)mac, sizeof(mac) }, BASE64_STANDARD, &signature);
	assert_true(verify_standard("msg_1", "1770000000", signature.data, SECRET));
	assert_false(verify_standard("msg_1", "1770000000", signature.data, "another"));
	buf_fini(&signature);
}

/* GitHub signs the form, Gitea the field in it. */
static void
test_forms(void **state)
{
	static const char *const form_type = "application/x-www-form-urlencoded; charset=utf-8";
	struct hook_result result;
	struct buf body, form;
	char over_form[128], over_field[128], digest[SHA256_HEX_SIZE];
	struct header github[] = { { "X-GitHub-Event", "push" }, { "Content-Type", form_type },
		{ "X-Hub-Signature-256", over_form }, { NULL, NULL } };
	struct header gitea[] = { { "X-Gitea-Event", "push" }, { "Content-Type", form_type },
		{ "X-Gitea-Signature", over_field }, { NULL, NULL } };
	struct hook_request request;

	(void)state;
	read_fixture("github-push", &body);
	buf_init(&form, 100 * 1000);
	buf_adds(&form, "a=b&payload=");
	url_encode(&form, buf_str(&body), "");
	buf_adds(&form, "&c");
	snprintf(over_form, sizeof(over_form), "%s", sign("sha256=", SECRET, buf_str(&form)));
	snprintf(over_field, sizeof(over_field), "%s", sign("", SECRET, buf_str(&body)));
	assert_true(verify(github, buf_str(&form), SECRET));
	assert_true(verify(gitea, buf_str(&form), SECRET));
	request = make_request(github, buf_str(&form));
	assert_true(hook_decode(hook_detect(&request.headers), &request, &result, NULL));
	assert_change(&result.change, &all[0].change);
	sha256_hex(buf_str(&body), digest);
	assert_string_equal(result.digest, digest);
	hook_result_fini(&result);
	snprintf(over_form, sizeof(over_form), "%s", sign("sha256=", SECRET, buf_str(&body)));
	snprintf(over_field, sizeof(over_field), "%s", sign("", SECRET, buf_str(&form)));
	assert_false(verify(github, buf_str(&form), SECRET));
	assert_false(verify(gitea, buf_str(&form), SECRET));
	assert_false(verify(gitea, STR("payload=%zz"), SECRET));
	buf_fini(&form);
	buf_fini(&body);
}

static void
refuse(const struct header *headers, struct str body, enum err_code code, int detail)
{
	struct hook_request request = make_request(headers, body);
	struct hook_result result;
	struct err err = ERR_OK;

	assert_false(hook_decode(hook_detect(&request.headers), &request, &result, &err));
	assert_int_equal(err.code, code);
	assert_int_equal(err.detail, detail);
	assert_true(err.text[0] != '\0');
}

static void
test_content_that_is_not_taken(void **state)
{
	static const struct header json[] = { { "X-GitHub-Event", "push" },
		{ "Content-Type", "Application/JSON; charset=utf-8" }, { NULL, NULL } };
	static const struct header form[] = { { "X-GitHub-Event", "push" },
		{ "Content-Type", "application/x-www-form-urlencoded" }, { NULL, NULL } };
	static const struct header untyped[] = { { "X-GitHub-Event", "push" }, { NULL, NULL } };
	static const struct header xml[] = { { "X-GitHub-Event", "push" }, { "Content-Type", "text/xml" },
		{ NULL, NULL } };
	static const struct header twice[] = { { "X-GitHub-Event", "push" }, { "Content-Type", "application/json" },
		{ "Content-Type", "text/xml" }, { NULL, NULL } };
	static const struct header gzip[] = { { "X-GitHub-Event", "push" }, { "Content-Type", "application/json" },
		{ "Content-Encoding", "gzip" }, { NULL, NULL } };

	(void)state;
	refuse(untyped, STR("{}"), ERR_REFUSED, 415);
	refuse(xml, STR("{}"), ERR_REFUSED, 415);
	refuse(twice, STR("{}"), ERR_REFUSED, 415);
	refuse(gzip, STR("\x1f\x8b\x08"), ERR_REFUSED, 415);
	refuse(json, STR(""), ERR_INPUT, 0);
	refuse(json, STR("[]"), ERR_INPUT, 0);
	refuse(json, STR("\x1f\x8b\x08"), ERR_INPUT, 0);
	refuse(json, STR("{}"), ERR_INPUT, 0);
	refuse(form, STR("{}"), ERR_INPUT, 0);
	refuse(form, STR("payload="), ERR_INPUT, 0);
	refuse(form, STR("payload=%7B%7D%00"), ERR_INPUT, 0);
}

/* --- the nasty strings in the place of every value of every fixture --- */

static const char *const nasty[] = { "\"\"", "\"\\u0000\"", "\"-\"", "\"--help\"", "\"@/etc/passwd\"", "\"../\"",
	"\"..%2f\"", "\"%00\"", "\"\\r\"", "\"\\n\"", "\"x\\r\\nX-Injected: 1\"", "\".\\r\\n\"", "\"\\\"\"", "\"'\"",
	"\"`\"", "\"$(id)\"", "\";id\"", "\"|id\"", "\"&\"", "\"<script>\"", "\"{{7*7}}\"", "\"%n%s%s%s\"", "\"\x80\"",
	"\"\xc0\xaf\"", "\"\\u202e\"", "\"\\ud800\"", "\"*3\\r\\n$3\\r\\nSET\"", "\"EVAL\"", "\"\\u001b]0;x\\u0007\"",
	"\"\\u001b[2J\"", "\"ext::sh -c id\"", "\"file:///etc/passwd\"", "\"gopher://x\"",
	"\"http://169.254.169.254/\"", "\"javascript:alert(1)\"", "\"\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x9a\x80\"",
	"\"refs/heads/--upload-pack=id\"", "\"refs/heads/../../config\"", "\"a@b\\r\\nBcc: c@d\"", "\"<a@b>\"", "null",
	"true", "[]", "{}", "[{\"id\":[]}]", "0", "-0", "-1", "1e400", "9223372036854775807", "9223372036854775808",
	"18446744073709551616", "NaN", "1.5" };

struct rewrite {
	struct json_writer *out;
	size_t at;     /* values written */
	size_t target; /* the one that is replaced */
	struct str with;
};

/* Fixtures are a few levels deep. */
static void
rewrite_value(struct rewrite *r, const struct json_value *v)
{
	if (r->at++ == r->target) {
		json_write_raw(r->out, r->with);
		return;
	}
	switch (json_type(v)) {
	case JSON_NULL:
		json_write_null(r->out);
		break;
	case JSON_BOOL:
		json_write_bool(r->out, json_bool(v, false));
		break;
	case JSON_NUMBER:
		json_write_int(r->out, json_int(v, 0));
		break;
	case JSON_STRING:
		json_write_string(r->out, json_string(v, NULL));
		break;
	case JSON_ARRAY:
		json_write_array_open(r->out);
		for (size_t i = 0; i < json_count(v); i++)
			rewrite_value(r, json_at(v, i));
		json_write_array_close(r->out);
		break;
	case JSON_OBJECT:
		json_write_object_open(r->out);
		for (size_t i = 0; i < json_count(v); i++) {
			json_write_key(r->out, json_key_at(v, i));
			rewrite_value(r, json_at(v, i));
		}
		json_write_object_close(r->out);
	}
}

/* What holds for any change, whatever came in. */
static void
assert_sound(const struct change *c)
{
	assert_true(ref_is_valid(str_of(c->ref)));
	assert_true(commit_is_valid(str_of(c->commit)));
	assert_true(c->before == NULL || commit_is_valid(str_of(c->before)));
	assert_non_null(c->branch);
	assert_true(c->event != CHANGE_PULL_REQUEST || c->pull_number > 0);
	assert_true(c->title == NULL || strpbrk(c->title, "\r\n") == NULL);
	assert_true(c->author_email == NULL || strpbrk(c->author_email, " \r\n<>") == NULL);
	assert_true(c->web_url == NULL || strncmp(c->web_url, "http", 4) == 0);
	assert_true(c->fetch_url == NULL || strncmp(c->fetch_url, "http", 4) == 0);
	assert_true(c->message == NULL || strlen(c->message) <= 65536);
}

/* The number of values in the fixture. */
static size_t
try_replaced(const struct expected *x, const struct json_value *root, size_t target, struct str with)
{
	struct rewrite r = { .out = json_writer_new(4 * 1000 * 1000), .target = target, .with = with };
	struct hook_result result;
	struct err err = ERR_OK;
	size_t len;
	char *text;

	rewrite_value(&r, root);
	text = json_writer_finish(&r.out, &len);
	assert_non_null(text);
	if (decode(x, (struct str){ text, len }, &result, &err)) {
		if (result.outcome == HOOK_CHANGE)
			assert_sound(&result.change);
		else
			assert_true(result.outcome == HOOK_PING || result.reason[0] != '\0');
		hook_result_fini(&result);
	} else {
		assert_true(err.code == ERR_INPUT || err.code == ERR_LIMIT);
		assert_true(err.text[0] != '\0');
	}
	free(text);
	return r.at;
}

static void
replace_all(const struct expected *x, struct str with)
{
	size_t target = 0;
	struct buf body;
	struct json *doc;

	read_fixture(x->fixture, &body);
	assert_true(json_parse(buf_str(&body), NULL, &doc, NULL));
	while (target < try_replaced(x, json_root(doc), target, with))
		target++;
	assert_true(target > 0);
	json_free(&doc);
	buf_fini(&body);
}

static void
test_nasty_values_everywhere(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(all); i++)
		for (size_t n = 0; n < COUNT(nasty); n++)
			replace_all(&all[i], str_of(nasty[n]));
}

static void
test_long_and_deep_values(void **state)
{
	struct buf text;

	(void)state;
	buf_init(&text, 2 * 1000 * 1000);
	buf_addc(&text, '"');
	while (text.len < 1000 * 1000)
		buf_adds(&text, "\xc3\x84"
				"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
	buf_addc(&text, '"');
	replace_all(&all[COUNT(all) - 4], buf_str(&text)); /* generic-push */
	buf_reset(&text);
	for (int i = 0; i < 10000; i++)
		buf_addc(&text, '[');
	replace_all(&all[0], buf_str(&text));
	buf_fini(&text);
}

static void
test_texts_stay_as_sent(void **state)
{
	static const char *const texts[] = { "$(id)", "<script>", "\x1b[2J", "%n%s", "\xe2\x80\xae", "\xf0\x9f\x91\xa9",
		"'\"`" };

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct json_writer *w = json_writer_new(10000);
		struct hook_result result;
		size_t len;
		char *text;

		json_write_object_open(w);
		json_member_string(w, "ref", "refs/heads/main");
		json_member_string(w, "commit", COMMIT);
		json_member_string(w, "message", texts[i]);
		json_member_string(w, "sender", texts[i]);
		json_write_object_close(w);
		text = json_writer_finish(&w, &len);
		assert_true(decode(&all[COUNT(all) - 1], (struct str){ text, len }, &result, NULL));
		assert_string_equal(result.change.message, texts[i]);
		assert_string_equal(result.change.title, texts[i]);
		assert_string_equal(result.change.sender, texts[i]);
		hook_result_fini(&result);
		free(text);
	}
}

static void
test_skip_words(void **state)
{
	static const char *const skips[] = { "[skip ci]", "[ci skip]", "x [CI SKIP] y", "[ ci sKip ]", "[CI SKIp ]",
		"[skip ci ]", "subject\n\n[ Skip \t CI ]", "[[skip ci]", "[skip [skip ci]" };
	static const char *const builds[] = { "", "skip ci", "[skipci]", "[skip-ci]", "[skip ci", "[ci]", "[skip\nci]",
		"[skip ci now]", "(skip ci)", "[" };

	(void)state;
	for (size_t i = 0; i < COUNT(skips); i++)
		if (!hook_message_skips(skips[i]))
			fail_msg("not skipped: %s", skips[i]);
	for (size_t i = 0; i < COUNT(builds); i++)
		if (hook_message_skips(builds[i]))
			fail_msg("skipped: %s", builds[i]);
	assert_false(hook_message_skips(NULL));
}

/* A commit as git keeps it, of a push that no forge told. */
static void
test_a_commit_in_gits_own_words(void **state)
{
	static const char object[] = "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nparent " COMMIT
				     "\nauthor Ada Example <ada@example.org> 1700000000 +0100\n"
				     "committer Bob <bob@example.org> 1700000000 +0100\n"
				     "gpgsig -----BEGIN\n author Eve <eve@example.org>\n\nFix the pump\n\nauthor Eve\n";
	struct hook_result result;
	struct err err;

	(void)state;
	assert_true(hook_decode_commit("refs/heads/main", COMMIT, "", str_of(object), &result, &err));
	assert_int_equal(result.outcome, HOOK_CHANGE);
	assert_int_equal(result.change.event, CHANGE_PUSH);
	assert_string_equal(result.change.title, "Fix the pump");
	assert_string_equal(result.change.message, "Fix the pump\n\nauthor Eve\n");
	assert_string_equal(result.change.author_name, "Ada Example");
	assert_string_equal(result.change.author_email, "ada@example.org");
	assert_null(result.change.before);
	hook_result_fini(&result);
	assert_true(hook_decode_commit("refs/heads/main", COMMIT, COMMIT, STR("\n\nNo [skip ci]"), &result, &err));
	assert_int_equal(result.outcome, HOOK_IGNORED);
	assert_true(hook_tells_head(&result));
	assert_string_equal(result.change.before, COMMIT);
	hook_result_fini(&result);
	assert_true(hook_decode_commit("refs/tags/v1", COMMIT, "", STR("author <\n\n[skip ci]"), &result, &err));
	assert_int_equal(result.outcome, HOOK_CHANGE);
	hook_result_fini(&result);
	assert_true(hook_decode_commit("refs/heads/x", COMMIT, "", STR(""), &result, &err));
	assert_null(result.change.title);
	hook_result_fini(&result);
	assert_false(hook_decode_commit("refs/heads/-x", COMMIT, "", STR(""), &result, &err));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_trust_needs_two_equal_numbers),
		cmocka_unit_test(test_what_asks_for_no_build),
		cmocka_unit_test(test_every_fixture_decodes),
		cmocka_unit_test(test_the_most_specific_forge_is_detected),
		cmocka_unit_test(test_delivery_ids),
		cmocka_unit_test(test_github_signature),
		cmocka_unit_test(test_signatures_of_another_form),
		cmocka_unit_test(test_each_changed_bit_is_seen),
		cmocka_unit_test(test_missing_and_repeated_signatures),
		cmocka_unit_test(test_gitlab_token),
		cmocka_unit_test(test_standard_webhooks),
		cmocka_unit_test(test_standard_webhooks_with_a_plain_secret),
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_content_that_is_not_taken),
		cmocka_unit_test(test_nasty_values_everywhere),
		cmocka_unit_test(test_long_and_deep_values),
		cmocka_unit_test(test_texts_stay_as_sent),
		cmocka_unit_test(test_skip_words),
		cmocka_unit_test(test_a_commit_in_gits_own_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
