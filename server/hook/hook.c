#include "server/hook/hook.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "proto/json.h"
#include "proto/mem.h"
#include "proto/trigger.h"
#include "server/core/crash.h"
#include "server/core/disk.h"
#include "server/core/log.h"
#include "server/core/loop.h"
#include "server/store/heads.h"
#include "server/store/store.h"

#define DEADLINE_MS 900 /* of what waits for Redis, so that a 503 is out within a second */
#define RETRY_AFTER_S 5
#define ANSWER_MAX 4096
/* Two digests and a parser take some 4 ns a byte: what is larger is not for the loop. */
#define BODY_IN_LOOP_MAX (128 * 1024)

/* Whether a request is genuine, and what it says: a pure function of what it has, so that a thread may run it. */
struct judging {
	const struct hook_forge *forge;
	struct hook_kept *kept; /* NULL: the request's own headers */
	struct hook_request request;
	char *body;
	char *secret;
	bool is_genuine;
	struct hook_result result; /* when it could be decoded */
	struct err err;
};

/* Three steps: the repository is looked up, the request is judged, the change is submitted. The
 * change is the store's from the start of its call on, hence only the first two need the request. */
struct hook_op {
	LIST_ENTRY(hook_op) entry;
	struct hook *hook;
	char *repo;
	struct repo *settings; /* once they were looked up */
	struct hook_headers headers;
	char *body; /* NULL: it is judged */
	size_t body_len;
	bool is_submitting;
	struct store_op *store_op;
	struct disk_op *disk_op; /* while a thread judges */
	struct judging *judging; /* then it is the disk's */
	struct timer *timer;
	char *ignored;      /* why, while the store hears of it */
	char *delivery;     /* "github d-1", for the log; "" before it is known */
	hook_answer_fn *fn; /* NULL: nobody waits */
	void *arg;
};

struct hook {
	struct loop *loop;
	struct disk *disk;
	struct store *store;
	LIST_HEAD(, hook_op) ops;
	struct hook_counts counts;
};

struct hook *
hook_new(struct loop *loop, struct disk *disk, struct store *store)
{
	struct hook *hook = xcalloc(1, sizeof(*hook));

	hook->loop = loop;
	hook->disk = disk;
	hook->store = store;
	LIST_INIT(&hook->ops);
	return hook;
}

static void
op_free(struct hook_op *op)
{
	LIST_REMOVE(op, entry);
	store_cancel(&op->store_op);
	disk_cancel(&op->disk_op);
	timer_free(&op->timer);
	repo_free(&op->settings);
	free(op->body);
	free(op->delivery);
	free(op->ignored);
	free(op->repo);
	free(op);
}

void
hook_free(struct hook **hook)
{
	if (*hook == NULL)
		return;
	while (!LIST_EMPTY(&(*hook)->ops))
		op_free(LIST_FIRST(&(*hook)->ops));
	free(*hook);
	*hook = NULL;
}

struct hook_counts
hook_counts(const struct hook *hook)
{
	return hook->counts;
}

/* The end of every request. Takes over w, which has the body; words are for the log. */
static void
answer(struct hook_op *op, unsigned status, struct json_writer *w, const char *words)
{
	char *json = json_writer_finish(&w, NULL);
	struct hook_answer answer = {
		.status = status, .retry_after_s = status == 503 ? RETRY_AFTER_S : 0, .json = json != NULL ? json : "{}"
	};
	hook_answer_fn *fn = op->fn;
	void *arg = op->arg;

	if (status == 409 || status == 503)
		log_warn("hook %s: %s%u, %s", op->repo, op->delivery, status, words);
	else
		log_info("hook %s: %s%u, %s", op->repo, op->delivery, status, words);
	op_free(op);
	if (fn != NULL)
		fn(arg, &answer);
	free(json);
}

/* shown is for the sender, words for the log. Neither may lie in op. */
static void
answer_failure(struct hook_op *op, unsigned status, const struct err *shown, const char *words)
{
	struct json_writer *w = json_writer_new(ANSWER_MAX);

	if (status == 503)
		op->hook->counts.unavailable++;
	else
		op->hook->counts.refused++;
	json_write_object_open(w);
	json_write_key(w, "error");
	json_write_object_open(w);
	json_member_string(w, "code", err_name(shown->code));
	json_member_string(w, "message", shown->text);
	json_write_object_close(w);
	json_write_object_close(w);
	answer(op, status, w, words);
}

static void
answer_err(struct hook_op *op, unsigned status, struct err err)
{
	answer_failure(op, status, &err, err.text);
}

/* {"ping": "pong"} or {"ignored": "..."} */
static void
answer_word(struct hook_op *op, const char *key, const char *value)
{
	struct json_writer *w = json_writer_new(ANSWER_MAX);
	char *words = xasprintf("%s: %s", key, value);

	op->hook->counts.ignored++;
	json_write_object_open(w);
	json_member_string(w, key, value);
	json_write_object_close(w);
	answer(op, 200, w, words);
	free(words);
}

static void
answer_build(struct hook_op *op, int64_t build, bool duplicate)
{
	struct json_writer *w = json_writer_new(ANSWER_MAX);
	char *words = xasprintf("%sbuild %lld", duplicate ? "again " : "", (long long)build);

	if (duplicate)
		op->hook->counts.duplicates++;
	else
		op->hook->counts.builds++;
	json_write_object_open(w);
	json_member_int(w, "build", build);
	if (duplicate)
		json_member_bool(w, "duplicate", true);
	json_write_object_close(w);
	answer(op, duplicate ? 200 : 202, w, words);
	free(words);
}

static void
answer_no_repo(struct hook_op *op)
{
	answer_err(op, 404, err_make(ERR_NOT_FOUND, 0, "there is no such repository: see the address in its settings"));
}

/* The sender may be anybody at this point: what is wrong with Redis stands in the log alone. */
static void
answer_store_err(struct hook_op *op, const struct err *err)
{
	const struct err shown = err_make(ERR_UNAVAILABLE, 0, "not now: send it again later");
	const struct err cause = *err;

	if (err->code == ERR_NOT_FOUND)
		answer_no_repo(op);
	else
		answer_failure(op, 503, &shown, cause.text);
}

static void
on_deadline(void *arg)
{
	const struct err err = err_make(ERR_TIMEOUT, 0, "Redis did not answer within %d ms", DEADLINE_MS);

	answer_store_err(arg, &err);
}

static void
on_submitted(void *arg, const struct store_submitted *submitted, const struct err *err)
{
	struct hook_op *op = arg;

	op->store_op = NULL;
	if (err != NULL) {
		answer_store_err(op, err);
		return;
	}
	switch (submitted->result) {
	case STORE_NEW:
	case STORE_DUPLICATE:
		CRASH_POINT(change_accepted);
		answer_build(op, submitted->build, submitted->result == STORE_DUPLICATE);
		CRASH_POINT(change_answered);
		break;
	case STORE_CONFLICT:
		answer_err(
		    op, 409, err_make(ERR_CONFLICT, 0, "a delivery with this id came before, with another body"));
		break;
	case STORE_FULL:
		answer_err(
		    op, 503, err_make(ERR_UNAVAILABLE, 0, "too many builds wait to be planned: send it again later"));
		break;
	case STORE_NO_REPO:
		answer_no_repo(op);
		break;
	}
}

/* --- a push that is not built --- */

static void
on_passed(void *arg, const struct err *err)
{
	struct hook_op *op = arg;
	char *reason = op->ignored;

	op->store_op = NULL;
	if (err != NULL) {
		answer_store_err(op, err);
		return;
	}
	op->ignored = NULL;
	answer_word(op, "ignored", reason);
	free(reason);
}

/* Who looks for missed pushes must not take it for one. */
static void
ignore(struct hook_op *op, const struct hook_result *result, const char *reason)
{
	if (!hook_tells_head(result)) {
		answer_word(op, "ignored", reason);
		return;
	}
	op->ignored = xstrdup(reason);
	op->is_submitting = true;
	op->store_op = store_head_passed(op->hook->store, op->repo, &result->change, on_passed, op);
}

/* --- a pull request that was closed --- */

static void
on_closed(void *arg, int64_t builds, const struct err *err)
{
	struct hook_op *op = arg;
	char words[80];

	op->store_op = NULL;
	if (err != NULL) {
		answer_store_err(op, err);
		return;
	}
	snprintf(words, sizeof(words), "the pull request was closed%s",
	    builds > 0 ? ", and what waited of it is cancelled" : "");
	answer_word(op, "ignored", words);
}

static void
close_pull(struct hook_op *op, const struct judging *j)
{
	op->is_submitting = true;
	op->store_op = store_pull_close(op->hook->store, op->repo, j->result.change.ref, on_closed, op);
}

static unsigned
decode_status(const struct err *err)
{
	return err->code == ERR_REFUSED ? (unsigned)err->detail : 422;
}

/* --- judging --- */

static struct judging *
judging_new(struct hook_op *op, const struct hook_forge *forge)
{
	struct judging *j = xcalloc(1, sizeof(*j));

	j->forge = forge;
	j->request = (struct hook_request){
		.headers = op->headers, .body = { op->body, op->body_len }, .now_s = loop_wall_ms() / 1000
	};
	if (op->body_len > BODY_IN_LOOP_MAX) {
		j->kept = hook_headers_keep(&op->headers);
		j->request.headers = (struct hook_headers){ .get = hook_kept_header, .arg = j->kept };
	}
	j->body = op->body;
	j->secret = xstrdup(op->settings->secret);
	op->body = NULL;
	return j;
}

static void
judging_free(void *work)
{
	struct judging *j = work;

	if (j->is_genuine && j->err.code == ERR_NONE)
		hook_result_fini(&j->result);
	hook_kept_free(&j->kept);
	crypto_wipe_free(&j->secret);
	free(j->body);
	free(j);
}

static void
judge(void *work, struct err *err)
{
	struct judging *j = work;

	(void)err;
	j->is_genuine = hook_verify(j->forge, &j->request, str_of(j->secret), &j->err);
	if (j->is_genuine)
		hook_decode(j->forge, &j->request, &j->result, &j->err);
}

/* Unless the repository's settings leave it out. */
static void
submit(struct hook_op *op, const struct judging *j)
{
	const struct repo *repo = op->settings;
	const struct trigger trigger = { repo->events, repo->branches, repo->tags, repo->pulls, repo->forks };
	struct err err;

	if (!trigger_wants(&trigger, &j->result.change, &err)) {
		ignore(op, &j->result, err.text);
		return;
	}
	CRASH_POINT(hook_verified);
	op->is_submitting = true;
	op->store_op = store_submit(op->hook->store, op->repo, &j->result.change,
	    hook_delivery(j->forge, &j->request.headers), j->result.digest, on_submitted, op);
}

static void
act(struct hook_op *op, const struct judging *j)
{
	switch (j->result.outcome) {
	case HOOK_CHANGE:
		submit(op, j);
		break;
	case HOOK_CLOSED:
		close_pull(op, j);
		break;
	case HOOK_PING:
		answer_word(op, "ping", "pong");
		break;
	case HOOK_IGNORED:
		ignore(op, &j->result, j->result.reason);
		break;
	}
}

static void
take_judgement(struct hook_op *op, struct judging *j)
{
	struct str delivery = hook_delivery(j->forge, &j->request.headers);

	if (!j->is_genuine) {
		answer_err(op, 401, j->err);
		return;
	}
	free(op->delivery);
	op->delivery =
	    xasprintf("%s %.*s: ", hook_forge_name(j->forge), delivery.len < 80 ? (int)delivery.len : 80, delivery.p);
	if (j->err.code != ERR_NONE)
		answer_err(op, decode_status(&j->err), j->err);
	else
		act(op, j);
}

static void
on_judged(void *arg, const struct err *err)
{
	struct hook_op *op = arg;
	struct judging *j = op->judging;

	op->disk_op = NULL;
	op->judging = NULL;
	timer_start(op->timer, DEADLINE_MS);
	if (err != NULL) /* too much waits for the threads */
		answer_store_err(op, err);
	else
		take_judgement(op, j);
	judging_free(j);
}

static void
check(struct hook_op *op)
{
	const struct hook_forge *forge = hook_detect(&op->headers);
	struct judging *j;

	if (forge == NULL) {
		answer_err(
		    op, 401, err_make(ERR_AUTH, 0, "no header of a known forge and no signature: see doc/webhooks.md"));
		return;
	}
	j = judging_new(op, forge);
	if (op->body_len > BODY_IN_LOOP_MAX) {
		timer_stop(op->timer); /* the deadline is Redis's; the gate has one for the whole */
		op->judging = j;
		op->disk_op = disk_call(op->hook->disk, judge, judging_free, j, on_judged, op);
		return;
	}
	judge(j, NULL);
	take_judgement(op, j);
	judging_free(j);
}

static void
on_repo(void *arg, struct repo *repo, const struct err *err)
{
	struct hook_op *op = arg;

	op->store_op = NULL;
	op->settings = repo;
	if (err != NULL)
		answer_store_err(op, err);
	else if (op->body_len > HOOK_BODY_MAX)
		answer_err(op, 413, err_make(ERR_LIMIT, 0, "the body has more than %d bytes", HOOK_BODY_MAX));
	else
		check(op);
}

struct hook_op *
hook_receive(struct hook *hook, const char *repo, const struct hook_headers *headers, char *body, size_t body_len,
    hook_answer_fn *fn, void *arg)
{
	struct hook_op *op = xcalloc(1, sizeof(*op));

	op->hook = hook;
	op->repo = xstrdup(repo);
	op->delivery = xstrdup("");
	op->headers = *headers;
	op->body = body;
	op->body_len = body_len;
	op->fn = fn;
	op->arg = arg;
	op->timer = timer_new(hook->loop, on_deadline, op);
	LIST_INSERT_HEAD(&hook->ops, op, entry);
	timer_start(op->timer, DEADLINE_MS);
	op->store_op = store_repo_get(hook->store, repo, on_repo, op);
	return op;
}

void
hook_cancel(struct hook_op **op)
{
	if (*op == NULL)
		return;
	if ((*op)->is_submitting)
		(*op)->fn = NULL;
	else
		op_free(*op);
	*op = NULL;
}
