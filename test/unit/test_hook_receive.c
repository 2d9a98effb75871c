/* The Hook with a store that the test plays: what is answered, and that nothing is submitted that must not be. */
#include "test/unit/hook_fixture.h"

#include "proto/json.h"
#include "proto/mem.h"
#include "server/core/disk.h"
#include "server/core/log.h"
#include "server/core/loop.h"
#include "server/hook/hook.h"
#include "server/store/heads.h"
#include "server/store/store.h"

/* The store: at most one call is in flight, and the test ends it. */
struct store_op {
	int unused;
};

struct store {
	struct store_op op;
	store_repo_fn *repo_fn;
	store_submit_fn *submit_fn;
	store_number_fn *close_fn;
	store_done_fn *pass_fn;
	void *arg;
	int submits;
	int cancels;
	char ref[100];
	char delivery[100];
	char digest[100];
	struct loop *on_submit_stop; /* NULL: none */
};

struct store_op *
store_repo_get(struct store *store, const char *id, store_repo_fn *fn, void *arg)
{
	assert_string_equal(id, "crane");
	store->repo_fn = fn;
	store->arg = arg;
	return &store->op;
}

struct store_op *
store_submit(struct store *store, const char *repo, const struct change *change, struct str delivery,
    const char *body_sha256, store_submit_fn *fn, void *arg)
{
	assert_string_equal(repo, "crane");
	snprintf(store->ref, sizeof(store->ref), "%s", change->ref);
	snprintf(store->delivery, sizeof(store->delivery), "%.*s", (int)delivery.len, delivery.p);
	snprintf(store->digest, sizeof(store->digest), "%s", body_sha256);
	store->submits++;
	if (store->on_submit_stop != NULL)
		loop_stop(store->on_submit_stop);
	store->submit_fn = fn;
	store->arg = arg;
	return &store->op;
}

struct store_op *
store_pull_close(struct store *store, const char *repo, const char *ref, store_number_fn *fn, void *arg)
{
	assert_string_equal(repo, "crane");
	snprintf(store->ref, sizeof(store->ref), "%s", ref);
	store->close_fn = fn;
	store->arg = arg;
	return &store->op;
}

struct store_op *
store_head_passed(struct store *store, const char *repo, const struct change *change, store_done_fn *fn, void *arg)
{
	assert_string_equal(repo, "crane");
	snprintf(
	    store->ref, sizeof(store->ref), "%s %s", change->ref, change->commit != NULL ? change->commit : "gone");
	store->pass_fn = fn;
	store->arg = arg;
	return &store->op;
}

void
store_cancel(struct store_op **op)
{
	if (*op != NULL) {
		struct store *store = (struct store *)*op;

		store->cancels++;
		store->repo_fn = NULL;
		store->submit_fn = NULL;
		store->close_fn = NULL;
		store->pass_fn = NULL;
	}
	*op = NULL;
}

void
repo_free(struct repo **repo)
{
	if (*repo == NULL)
		return;
	free((*repo)->secret);
	free(*repo);
	*repo = NULL;
}

struct probe {
	struct loop *loop;
	struct disk *disk;
	struct store store;
	struct hook *hook;
	struct hook_op *op;
	int answers;
	unsigned status;
	unsigned retry_after_s;
	char json[1000];
};

static void
on_answer(void *arg, const struct hook_answer *answer)
{
	struct probe *p = arg;

	p->op = NULL;
	p->answers++;
	p->status = answer->status;
	p->retry_after_s = answer->retry_after_s;
	snprintf(p->json, sizeof(p->json), "%s", answer->json);
	loop_stop(p->loop);
}

static int
set_up(void **state)
{
	struct probe *p = xcalloc(1, sizeof(*p));

	log_set_level(LOG_LEVEL_ERROR);
	p->loop = loop_new();
	p->disk = disk_new(p->loop);
	p->hook = hook_new(p->loop, p->disk, &p->store);
	*state = p;
	return 0;
}

static int
tear_down(void **state)
{
	struct probe *p = *state;

	hook_free(&p->hook);
	assert_null(p->hook);
	hook_free(&p->hook);
	disk_free(&p->disk);
	loop_free(&p->loop);
	free(p);
	return 0;
}

static void
receive(struct probe *p, const struct header *headers, struct str body)
{
	struct hook_request request = make_request(headers, body);

	p->answers = 0;
	p->op = hook_receive(p->hook, "crane", &request.headers, str_dup(body), body.len, on_answer, p);
	assert_non_null(p->op);
	assert_int_equal(p->answers, 0);
}

static void
give_repo(struct probe *p, const char *secret)
{
	struct repo *repo = xcalloc(1, sizeof(*repo));
	store_repo_fn *fn = p->store.repo_fn;

	repo->secret = xstrdup(secret);
	p->store.repo_fn = NULL;
	fn(p->store.arg, repo, NULL);
}

static void
give_submitted(struct probe *p, enum store_submit_result result, int64_t build)
{
	const struct store_submitted submitted = { .result = result, .build = build };
	store_submit_fn *fn = p->store.submit_fn;

	p->store.submit_fn = NULL;
	fn(p->store.arg, &submitted, NULL);
}

/* A push with so long a text that a thread gets it. */
static void
make_large_push(struct buf *body)
{
	buf_init(body, 1 << 20);
	buf_adds(body, "{\"ref\":\"refs/heads/main\",\"before\":\"0123456789012345678901234567890123456789\","
		       "\"after\":\"abcdefabcdefabcdefabcdefabcdefabcdefabcd\",\"filler\":\"");
	while (body->len < 300000)
		buf_adds(body, "0123456789");
	buf_adds(body, "\"}");
}

static void
assert_answer(const struct probe *p, unsigned status, const char *json)
{
	assert_int_equal(p->answers, 1);
	assert_int_equal(p->status, status);
	assert_null(p->op);
	if (strstr(p->json, json) == NULL)
		fail_msg("%s is not in %s", json, p->json);
	assert_int_equal(p->retry_after_s != 0, status == 503);
}

/* A GitHub request whose signature fits SECRET; the headers' texts live until the next call. */
static const struct header *
github(const char *event, struct str body)
{
	static struct header headers[5];
	static char signature[128];

	snprintf(signature, sizeof(signature), "%s", sign("sha256=", SECRET, body));
	headers[0] = (struct header){ "X-GitHub-Event", event };
	headers[1] = (struct header){ "X-GitHub-Delivery", "d-1" };
	headers[2] = (struct header){ "X-Hub-Signature-256", signature };
	headers[3] = (struct header){ "Content-Type", "application/json" };
	return headers;
}

/* As far as the submit. */
static void
receive_push(struct probe *p)
{
	struct buf body;

	read_fixture("github-push", &body);
	receive(p, github("push", buf_str(&body)), buf_str(&body));
	give_repo(p, SECRET);
	assert_int_equal(p->answers, 0);
	assert_non_null(p->store.submit_fn);
	buf_fini(&body); /* the request may be gone while the submit is under way */
}

static void
test_a_push_becomes_a_build(void **state)
{
	struct probe *p = *state;
	char digest[SHA256_HEX_SIZE];
	struct buf body;

	receive_push(p);
	assert_string_equal(p->store.ref, "refs/heads/feature/ropes");
	assert_string_equal(p->store.delivery, "d-1");
	read_fixture("github-push", &body);
	sha256_hex(buf_str(&body), digest);
	buf_fini(&body);
	assert_string_equal(p->store.digest, digest);
	give_submitted(p, STORE_NEW, 17);
	assert_answer(p, 202, "{\"build\":17}");
	assert_int_equal(hook_counts(p->hook).builds, 1);
}

/* The answer of a request whose body a thread judges comes from the loop. */
static void
test_a_large_body_is_judged_by_a_thread(void **state)
{
	struct probe *p = *state;
	struct buf body;

	make_large_push(&body);
	receive(p, github("push", buf_str(&body)), buf_str(&body));
	give_repo(p, "another secret");
	assert_int_equal(p->answers, 0);
	loop_run(p->loop);
	assert_answer(p, 401, "auth");
	assert_null(p->store.submit_fn);

	p->store.on_submit_stop = p->loop;
	receive(p, github("push", buf_str(&body)), buf_str(&body));
	give_repo(p, SECRET);
	assert_null(p->store.submit_fn);
	loop_run(p->loop);
	assert_string_equal(p->store.ref, "refs/heads/main");
	assert_string_equal(p->store.delivery, "d-1");
	give_submitted(p, STORE_NEW, 17);
	assert_answer(p, 202, "{\"build\":17}");
	buf_fini(&body);
}

/* Whatever the thread does meanwhile. */
static void
test_a_client_may_leave_while_a_thread_judges(void **state)
{
	struct probe *p = *state;
	struct buf body;

	make_large_push(&body);
	receive(p, github("push", buf_str(&body)), buf_str(&body));
	give_repo(p, SECRET);
	hook_cancel(&p->op);
	assert_null(p->store.submit_fn);
	receive(p, github("push", buf_str(&body)), buf_str(&body));
	give_repo(p, SECRET);
	hook_free(&p->hook); /* likewise the hook */
	buf_fini(&body);
}

static void
test_what_the_store_says_is_answered(void **state)
{
	static const struct {
		enum store_submit_result result;
		unsigned status;
		const char *json;
	} cases[] = {
		{ STORE_DUPLICATE, 200, "{\"build\":17,\"duplicate\":true}" },
		{ STORE_CONFLICT, 409, "{\"error\":{\"code\":\"conflict\",\"message\":\"a delivery" },
		{ STORE_FULL, 503, "{\"error\":{\"code\":\"unavailable\",\"message\":\"too many" },
		{ STORE_NO_REPO, 404, "{\"error\":{\"code\":\"not_found\"" },
	};
	struct probe *p = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		receive_push(p);
		give_submitted(p, cases[i].result, 17);
		assert_answer(p, cases[i].status, cases[i].json);
	}
	assert_int_equal(hook_counts(p->hook).duplicates, 1);
	assert_int_equal(hook_counts(p->hook).refused, 2);
	assert_int_equal(hook_counts(p->hook).unavailable, 1);
}

static void
test_an_error_of_the_store_is_503_and_not_told(void **state)
{
	const struct err err = err_make(ERR_UNAVAILABLE, 0, "connect /run/secret.sock: refused");
	const struct err gone = err_make(ERR_NOT_FOUND, 0, "no");
	struct probe *p = *state;

	receive_push(p);
	p->store.submit_fn(p->store.arg, NULL, &err);
	assert_answer(p, 503, "not now");
	assert_null(strstr(p->json, "secret"));
	receive(p, github("push", STR("{}")), STR("{}"));
	p->store.repo_fn(p->store.arg, NULL, &err);
	assert_answer(p, 503, "not now");
	receive(p, github("push", STR("{}")), STR("{}"));
	p->store.repo_fn(p->store.arg, NULL, &gone);
	assert_answer(p, 404, "no such repository");
}

static void
test_nothing_is_submitted_without_the_right_signature(void **state)
{
	static const struct header none[] = { { "Content-Type", "application/json" }, { NULL, NULL } };
	struct probe *p = *state;
	struct buf body;

	read_fixture("github-push", &body);
	receive(p, github("push", buf_str(&body)), buf_str(&body));
	give_repo(p, "the secret of another repository");
	assert_answer(p, 401, "{\"error\":{\"code\":\"auth\"");
	receive(p, github("push", buf_str(&body)), buf_str(&body));
	give_repo(p, "");
	assert_answer(p, 401, "no webhook secret");
	receive(p, github("push", STR("")), buf_str(&body));
	give_repo(p, SECRET);
	assert_answer(p, 401, "does not fit");
	receive(p, none, buf_str(&body));
	give_repo(p, SECRET);
	assert_answer(p, 401, "known forge");
	assert_int_equal(p->store.submits, 0);
	assert_int_equal(hook_counts(p->hook).refused, 4);
	buf_fini(&body);
}

static void
test_pings_and_the_rest_are_not_built(void **state)
{
	struct probe *p = *state;
	struct header *typed;

	receive(p, github("ping", STR("{}")), STR("{}"));
	give_repo(p, SECRET);
	assert_answer(p, 200, "{\"ping\":\"pong\"}");
	receive(p, github("issues", STR("{}")), STR("{}"));
	give_repo(p, SECRET);
	assert_answer(p, 200, "{\"ignored\":\"nothing is built for the event issues\"}");
	receive(p, github("push", STR("{}")), STR("{}"));
	give_repo(p, SECRET);
	assert_answer(p, 422, "{\"error\":{\"code\":\"input\"");
	receive(p, github("push", STR("not json")), STR("not json"));
	give_repo(p, SECRET);
	assert_answer(p, 422, "invalid JSON at byte");
	typed = (struct header *)(uintptr_t)github("push", STR("x"));
	typed[3].value = "text/plain";
	receive(p, typed, STR("x"));
	give_repo(p, SECRET);
	assert_answer(p, 415, "Content-Type");
	assert_int_equal(p->store.submits, 0);
}

static void
receive_text(struct probe *p, const char *body)
{
	receive(p, github("push", str_of(body)), str_of(body));
	give_repo(p, SECRET);
}

/* Whoever looks for missed pushes hears of it. */
static void
test_a_push_that_is_not_built_is_on_record(void **state)
{
#define ID "1f3c9a0b7d5e2468ace013579bdf02468ace1357"
	static const char skipped[] =
	    "{\"ref\":\"refs/heads/main\",\"after\":\"" ID "\",\"head_commit\":{\"message\":\"[skip ci]\"}}";
	static const char gone[] =
	    "{\"ref\":\"refs/heads/main\",\"after\":\"0000000000000000000000000000000000000000\",\"before\":\"" ID
	    "\"}";
	static const char other[] = "{\"ref\":\"refs/notes/x\",\"after\":\"" ID "\"}";
	const struct err err = err_make(ERR_UNAVAILABLE, 0, "Redis is away");
	struct probe *p = *state;

	receive_text(p, skipped);
	assert_int_equal(p->answers, 0);
	assert_string_equal(p->store.ref, "refs/heads/main " ID);
	p->store.pass_fn(p->store.arg, NULL);
	assert_answer(p, 200, "{\"ignored\":\"the commit's message asks for no build\"}");
	receive_text(p, gone);
	assert_string_equal(p->store.ref, "refs/heads/main gone");
	p->store.pass_fn(p->store.arg, &err);
	assert_answer(p, 503, "not now");
	receive_text(p, other);
	assert_answer(p, 200, "{\"ignored\":\"refs/notes/x is neither");
	assert_int_equal(p->store.submits, 0);
}

static void
test_a_closed_pull_request_ends_what_waits_of_it(void **state)
{
	const struct err err = err_make(ERR_UNAVAILABLE, 0, "Redis is away");
	struct probe *p = *state;
	struct buf body;

	read_fixture("github-pull-closed", &body);
	receive(p, github("pull_request", buf_str(&body)), buf_str(&body));
	give_repo(p, SECRET);
	assert_int_equal(p->answers, 0);
	assert_string_equal(p->store.ref, "refs/pull/7/head");
	p->store.close_fn(p->store.arg, 1, NULL);
	assert_answer(p, 200, "{\"ignored\":\"the pull request was closed, and what waited of it is cancelled\"}");
	receive(p, github("pull_request", buf_str(&body)), buf_str(&body));
	give_repo(p, SECRET);
	p->store.close_fn(p->store.arg, 0, NULL);
	assert_answer(p, 200, "{\"ignored\":\"the pull request was closed\"}");
	receive(p, github("pull_request", buf_str(&body)), buf_str(&body));
	give_repo(p, SECRET);
	p->store.close_fn(p->store.arg, 0, &err); /* the forge sends it again */
	assert_answer(p, 503, "not now");
	buf_fini(&body);
}

static void
test_a_body_of_the_limit_passes_and_one_byte_more_does_not(void **state)
{
	struct probe *p = *state;
	char *body = xcalloc(1, HOOK_BODY_MAX + 1);
	struct str text = { body, HOOK_BODY_MAX };

	memset(body, ' ', HOOK_BODY_MAX + 1);
	memcpy(body, "{}", 2);
	receive(p, github("ping", text), text);
	give_repo(p, SECRET);
	loop_run(p->loop); /* a thread's answer comes from there */
	assert_answer(p, 200, "pong");
	text.len++;
	receive(p, github("ping", text), text);
	give_repo(p, SECRET);
	assert_answer(p, 413, "more than");
	free(body);
}

static void
test_a_client_that_leaves_early_leaves_nothing(void **state)
{
	struct probe *p = *state;

	receive(p, github("ping", STR("{}")), STR("{}"));
	hook_cancel(&p->op);
	assert_null(p->op);
	assert_int_equal(p->store.cancels, 1);
	hook_cancel(&p->op);
	assert_int_equal(p->answers, 0);
}

static void
test_a_client_that_leaves_late_does_not_take_its_build_along(void **state)
{
	struct probe *p = *state;

	receive_push(p);
	hook_cancel(&p->op);
	assert_null(p->op);
	assert_int_equal(p->store.cancels, 0);
	give_submitted(p, STORE_NEW, 18);
	assert_int_equal(p->answers, 0);
	assert_int_equal(hook_counts(p->hook).builds, 1);
}

static void
test_a_frozen_store_is_503_at_the_deadline(void **state)
{
	struct probe *p = *state;
	int64_t start = loop_mono_ms();

	receive(p, github("ping", STR("{}")), STR("{}"));
	loop_run(p->loop);
	assert_answer(p, 503, "not now");
	assert_in_range(loop_mono_ms() - start, 800, 5000); /* 900, on a machine that may be busy */
	assert_int_equal(p->store.cancels, 1);
	receive_push(p);
	loop_run(p->loop);
	assert_answer(p, 503, "not now");
	assert_int_equal(p->store.cancels, 2);
}

static void
test_hook_free_drops_what_is_in_flight(void **state)
{
	struct probe *p = *state;

	receive_push(p);
	hook_free(&p->hook);
	assert_int_equal(p->answers, 0);
	assert_int_equal(p->store.cancels, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(test_a_push_becomes_a_build),
		TEST(test_a_large_body_is_judged_by_a_thread),
		TEST(test_a_client_may_leave_while_a_thread_judges),
		TEST(test_what_the_store_says_is_answered),
		TEST(test_an_error_of_the_store_is_503_and_not_told),
		TEST(test_nothing_is_submitted_without_the_right_signature),
		TEST(test_pings_and_the_rest_are_not_built),
		TEST(test_a_push_that_is_not_built_is_on_record),
		TEST(test_a_closed_pull_request_ends_what_waits_of_it),
		TEST(test_a_body_of_the_limit_passes_and_one_byte_more_does_not),
		TEST(test_a_client_that_leaves_early_leaves_nothing),
		TEST(test_a_client_that_leaves_late_does_not_take_its_build_along),
		TEST(test_a_frozen_store_is_503_at_the_deadline),
		TEST(test_hook_free_drops_what_is_in_flight),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
