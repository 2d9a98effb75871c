#include "server/notify/delivery.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/crypto.h"
#include "proto/mem.h"
#include "proto/notice.h"
#include "proto/report.h"
#include "server/core/crash.h"
#include "server/core/log.h"

#define TAIL_MAX 8192 /* bytes of a log's end that are looked at for a mail */

enum delivery_state { DELIVERY_BUILD, DELIVERY_REPO, DELIVERY_SEND, DELIVERY_SETTLE, DELIVERY_DONE };

enum outcome {
	OUTCOME_DELIVERED,
	OUTCOME_FANOUT, /* an event: others take its place */
	OUTCOME_RETRY,
	OUTCOME_DROP,
};

struct delivery {
	const struct delivery_means *means;
	struct notice *notice;
	struct build *build;
	struct repo *repo;
	enum delivery_state state;
	struct store_op *op;
	struct forges_op *post;
	struct mailer_op *mail;
	enum outcome outcome;
	int64_t after_ms; /* OUTCOME_RETRY: what the peer asked for */
	struct err err;   /* OUTCOME_RETRY, OUTCOME_DROP */
	char tests[200];  /* what its tests said, in words */
	loop_fn *done;
	void *arg;
};

static void delivery_step(struct delivery *d, enum delivery_state next);

/* The only way off the happy path: the store hears of it, and its lease ends. */
static void
delivery_fail(struct delivery *d, enum outcome outcome, int64_t after_ms, struct err err)
{
	d->outcome = outcome;
	d->after_ms = after_ms;
	d->err = err;
	delivery_step(d, DELIVERY_SETTLE);
}

/* --- the build and its repository --- */

static void
on_lookup_failed(struct delivery *d, const struct err *err)
{
	delivery_fail(d, err->code == ERR_NOT_FOUND ? OUTCOME_DROP : OUTCOME_RETRY, 0, *err);
}

static void
on_build(void *arg, struct build *build, const struct err *err)
{
	struct delivery *d = arg;

	d->op = NULL;
	d->build = build;
	if (err != NULL)
		on_lookup_failed(d, err);
	else
		delivery_step(d, DELIVERY_REPO);
}

static void
enter_build(struct delivery *d)
{
	d->op = store_build_get(d->means->store, d->notice->build, on_build, d);
}

static void
on_repo(void *arg, struct repo *repo, const struct err *err)
{
	struct delivery *d = arg;

	d->op = NULL;
	d->repo = repo;
	if (err != NULL)
		on_lookup_failed(d, err);
	else
		delivery_step(d, DELIVERY_SEND);
}

static void
enter_repo(struct delivery *d)
{
	d->op = store_repo_get(d->means->store, d->build->repo, on_repo, d);
}

/* --- what is said --- */

static const struct job *
first_failed(const struct build *build)
{
	for (size_t i = 0; i < build->job_count; i++) {
		enum job_state state = build->jobs[i].state;

		if (!build->jobs[i].allow_failure &&
		    (state == JOB_FAILED || state == JOB_TIMED_OUT || state == JOB_ERROR))
			return &build->jobs[i];
	}
	return NULL;
}

/* The end of a failed job's log, into tail. A log that cannot be read is left out: the mail matters more. */
static struct str
read_tail(const struct delivery *d, const struct job *job, char tail[TAIL_MAX])
{
	struct log_id id = { .attempt = job->attempt };
	const char *ran = job->reused_from[0] != '\0' ? job->reused_from : job->id;
	uint64_t size;
	bool finished;
	size_t len = 0;
	struct err err;

	if (d->means->logs == NULL || !job_id_parse(ran, &id.build, &id.job) ||
	    !log_stat(d->means->logs, &id, &size, &finished, &err) ||
	    !log_read(d->means->logs, &id, size > TAIL_MAX ? size - TAIL_MAX : 0, tail, TAIL_MAX, &len, &err))
		return STR("");
	return (struct str){ tail, len };
}

/* The notice's state, not the build's, which may be further. */
static int
coverage_of(const char *text)
{
	uint64_t n;

	return str_to_u64(str_of(text), 10000, &n) ? (int)n : -1;
}

/* What its tests said, once it has ended. */
static void
set_tests(struct delivery *d, bool is_now)
{
	const struct build *build = d->build;
	struct buf text;

	d->tests[0] = '\0';
	if (!is_now || !build_state_is_final(build->state))
		return;
	buf_init(&text, sizeof(d->tests) - 1);
	report_print_summary((uint64_t)build->tests, (uint64_t)build->tests_failed, coverage_of(build->coverage),
	    coverage_of(build->coverage_before), &text);
	snprintf(d->tests, sizeof(d->tests), "%s", text.data);
	buf_fini(&text);
}

static struct notice_build
describe(struct delivery *d, const char *link)
{
	const struct build *build = d->build;
	bool is_now = strcmp(build_state_name(build->state), d->notice->state) == 0;

	set_tests(d, is_now);
	return (struct notice_build){
		.number = build->build,
		.state = d->notice->state,
		.previous = build->previous,
		.repo = d->repo->name[0] != '\0' ? d->repo->name : d->repo->id,
		.branch = build->branch,
		.commit = build->commit,
		.title = build->title,
		.author = build->author,
		.reason = is_now ? build->reason : "",
		.tests = d->tests,
		.started_ms = build->started_ms,
		.finished_ms = is_now ? build->finished_ms : 0,
		.link = link,
		.log_job = "",
		.log_tail = STR(""),
	};
}

static struct notice_job *
describe_jobs(const struct build *build)
{
	struct notice_job *jobs = xcalloc(build->job_count + 1, sizeof(*jobs));

	for (size_t i = 0; i < build->job_count; i++) {
		const struct job *job = &build->jobs[i];

		jobs[i] =
		    (struct notice_job){ job->id, job->name, job_state_name(job->state), job->reason, job->exit_code };
	}
	return jobs;
}

static char *
print_link(const struct delivery *d)
{
	if (d->means->url[0] == '\0')
		return NULL;
	return xasprintf("%s/builds/%lld", d->means->url, (long long)d->build->build);
}

/* --- the kinds of notices --- */

static void
on_posted(void *arg, const struct status_judgement *judgement)
{
	struct delivery *d = arg;

	d->post = NULL;
	CRASH_POINT(status_sent);
	switch (judgement->verdict) {
	case STATUS_DONE:
		delivery_step(d, DELIVERY_SETTLE);
		break;
	case STATUS_RETRY:
		delivery_fail(d, OUTCOME_RETRY, judgement->after_s * 1000, judgement->err);
		break;
	case STATUS_STOP:
		delivery_fail(d, OUTCOME_DROP, 0, judgement->err);
		break;
	}
}

static void
send_status(struct delivery *d)
{
	char *link = print_link(d);
	struct notice_build build = describe(d, link != NULL ? link : "");
	char *description = notice_description(&build);
	struct status status = {
		.commit = d->build->commit,
		/* a pull request's branch is the one that it is for, where the commit is not */
		.ref = strcmp(d->build->event, "pull_request") != 0 ? d->build->branch : NULL,
		.context = "davit",
		.description = description,
		.target_url = link,
	};

	CRASH_POINT(status_sending);
	if (status_from_build(d->notice->state, &status.state))
		d->post = forges_post(d->means->forges, d->repo, &status, on_posted, d);
	else
		delivery_fail(
		    d, OUTCOME_DROP, 0, err_make(ERR_INPUT, 0, "no forge knows the state %s", d->notice->state));
	free(description);
	free(link);
}

static void
on_mailed(void *arg, const struct smtp_result *result)
{
	struct delivery *d = arg;

	d->mail = NULL;
	switch (result->outcome) {
	case SMTP_SENT:
		delivery_step(d, DELIVERY_SETTLE);
		break;
	case SMTP_TEMPORARY:
		delivery_fail(d, OUTCOME_RETRY, 0, result->err);
		break;
	case SMTP_PERMANENT:
		delivery_fail(d, OUTCOME_DROP, 0, result->err);
		break;
	}
}

static void
send_mail(struct delivery *d)
{
	const struct job *failed = first_failed(d->build);
	char tail[TAIL_MAX], *link, *log_job = NULL;
	struct notice_build build;
	struct notice_job *jobs;

	if (d->means->mailer == NULL) {
		delivery_fail(d, OUTCOME_DROP, 0, err_make(ERR_INPUT, 0, "no mail server is configured (smtp.url)"));
		return;
	}
	link = print_link(d);
	build = describe(d, link != NULL ? link : "");
	jobs = describe_jobs(d->build);
	build.jobs = jobs;
	build.job_count = d->build->job_count;
	if (failed != NULL) {
		build.log_job = log_job = xasprintf("%s (%s)", failed->id, failed->name);
		build.log_tail = read_tail(d, failed, tail);
	}
	d->mail =
	    mailer_send(d->means->mailer, d->notice->notice, d->repo->id, d->notice->payload, &build, on_mailed, d);
	free(link);
	free(log_job);
	free(jobs);
}

static void
decide(struct delivery *d)
{
	d->outcome = OUTCOME_FANOUT;
	delivery_step(d, DELIVERY_SETTLE);
}

static void
enter_send(struct delivery *d)
{
	static const struct {
		const char *kind;
		void (*send)(struct delivery *);
	} kinds[] = {
		{ "build", decide },
		{ "status", send_status },
		{ "mail", send_mail },
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(d->notice->kind, kinds[i].kind) == 0) {
			kinds[i].send(d);
			return;
		}
	}
	delivery_fail(
	    d, OUTCOME_DROP, 0, err_make(ERR_INPUT, 0, "this version knows no notices of kind %s", d->notice->kind));
}

/* --- the store is told --- */

static void
pass_settled(const struct delivery *d)
{
	switch (d->outcome) {
	case OUTCOME_DELIVERED:
		CRASH_POINT(status_acked);
		break;
	case OUTCOME_FANOUT:
		CRASH_POINT(fanout_recorded);
		break;
	case OUTCOME_RETRY:
		CRASH_POINT(status_put_off);
		break;
	case OUTCOME_DROP:
		break;
	}
}

/* When it could not be told, the notice is claimed again after its lease: at least once. */
static void
on_settled(void *arg, const struct err *err)
{
	struct delivery *d = arg;

	d->op = NULL;
	pass_settled(d);
	if (err != NULL)
		log_warn("notice %s to %s: %s", d->notice->notice, d->notice->target, err->text);
	else if (d->outcome == OUTCOME_DELIVERED)
		log_info("notice %s to %s: build %lld %s is delivered, attempt %lld", d->notice->notice,
		    d->notice->target, (long long)d->notice->build, d->notice->state,
		    (long long)d->notice->attempts + 1);
	delivery_step(d, DELIVERY_DONE);
}

static int64_t
next_delay_ms(const struct delivery *d)
{
	const struct delivery_means *means = d->means;
	unsigned char random;
	int64_t delay;

	random_bytes(&random, 1);
	delay = notice_delay_ms(d->notice->attempts, means->delay_ms, means->delay_max_ms, random);
	return delay > d->after_ms ? delay : d->after_ms;
}

static struct store_op *
give_up(struct delivery *d)
{
	log_error("notice %s to %s is dropped after %lld attempts: %s", d->notice->notice, d->notice->target,
	    (long long)d->notice->attempts + 1, d->err.text);
	CRASH_POINT(status_dropping);
	return store_outbox_drop(d->means->store, d->notice, d->err.text, on_settled, d);
}

static struct store_op *
put_off(struct delivery *d)
{
	int64_t delay = next_delay_ms(d);

	if (loop_wall_ms() + delay - d->notice->created_ms > d->means->age_max_ms) {
		d->err = err_prefix(d->err, "too old to be tried again");
		return give_up(d);
	}
	log_warn("notice %s to %s, attempt %lld: %s; again in %lld ms", d->notice->notice, d->notice->target,
	    (long long)d->notice->attempts + 1, d->err.text, (long long)delay);
	CRASH_POINT(status_putting_off);
	return store_outbox_retry(d->means->store, d->notice, delay, d->err.text, on_settled, d);
}

/* --- an event becomes notices --- */

struct fanout {
	struct store_fanout notices[1 + NOTICE_RECIPIENTS_MAX];
	char *targets[1 + NOTICE_RECIPIENTS_MAX]; /* owned */
	size_t count;
};

static void
fanout_add(struct fanout *fanout, char *target, const char *kind, const char *payload)
{
	fanout->targets[fanout->count] = target;
	fanout->notices[fanout->count++] = (struct store_fanout){ target, kind, payload };
}

/* A fork's pipeline file must not send mail to whom it likes: only the repository's settings count then. */
static bool
read_spec(const struct build *build, struct notify_spec *ret)
{
	struct err err;

	if (build->notify[0] == '\0' || (build->change != NULL && build->change->trust == CHANGE_FORK))
		return false;
	return notify_spec_from_json(str_of(build->notify), ret, &err);
}

static struct store_op *
fan_out(struct delivery *d)
{
	const struct build *build = d->build;
	struct fanout fanout = { .count = 0 };
	struct notify_spec own = { 0 };
	const struct notify_spec *spec = read_spec(build, &own) ? &own : NULL;
	struct store_op *op;
	size_t recipients;
	char **list = notice_recipients(spec, d->repo->emails, &recipients);

	if (d->repo->statuses && forges_takes(d->repo) && notice_wants_status(d->notice->state) &&
	    status_commit_is_valid(build->commit))
		fanout_add(&fanout, xasprintf("status:%s:%s", d->repo->id, build->commit), "status", "");
	if (d->means->mailer != NULL && notice_wants_mail(spec, d->notice->state, build->previous)) {
		for (size_t i = 0; i < recipients; i++)
			fanout_add(&fanout, xasprintf("mail:%s", list[i]), "mail", list[i]);
	}
	CRASH_POINT(fanout_recording);
	op = store_outbox_fanout(d->means->store, d->notice, fanout.notices, fanout.count, on_settled, d);
	for (size_t i = 0; i < fanout.count; i++)
		free(fanout.targets[i]);
	notice_recipients_free(&list, recipients);
	notify_spec_fini(&own);
	return op;
}

static void
enter_settle(struct delivery *d)
{
	switch (d->outcome) {
	case OUTCOME_DELIVERED:
		CRASH_POINT(status_acking);
		d->op = store_outbox_ack(d->means->store, d->notice, on_settled, d);
		break;
	case OUTCOME_FANOUT:
		d->op = fan_out(d);
		break;
	case OUTCOME_RETRY:
		d->op = put_off(d);
		break;
	case OUTCOME_DROP:
		d->op = give_up(d);
		break;
	}
}

static void
delivery_free(struct delivery *d)
{
	store_cancel(&d->op);
	forges_cancel(&d->post);
	mailer_cancel(&d->mail);
	notice_free(&d->notice);
	build_free(&d->build);
	repo_free(&d->repo);
	free(d);
}

static void
enter_done(struct delivery *d)
{
	loop_fn *done = d->done;
	void *arg = d->arg;

	assert(d->op == NULL && d->post == NULL && d->mail == NULL);
	delivery_free(d);
	done(arg);
}

/* Each state's operation has its own deadline. */
/* clang-format off */
static const struct {
	const char *name;
	void (*enter)(struct delivery *);
} states[] = {
	[DELIVERY_BUILD]  = { "build",  enter_build },
	[DELIVERY_REPO]   = { "repo",   enter_repo },
	[DELIVERY_SEND]   = { "send",   enter_send },
	[DELIVERY_SETTLE] = { "settle", enter_settle },
	[DELIVERY_DONE]   = { "done",   enter_done },
};
/* clang-format on */

/* The only place where the state changes. d may be gone when it returns. */
static void
delivery_step(struct delivery *d, enum delivery_state next)
{
	log_debug("notice %s: %s -> %s", d->notice->notice, states[d->state].name, states[next].name);

	store_cancel(&d->op);
	d->state = next;
	states[next].enter(d);
}

struct delivery *
delivery_start(const struct delivery_means *means, struct notice *notice, loop_fn *done, void *arg)
{
	struct delivery *d = xcalloc(1, sizeof(*d));

	*d = (struct delivery){ .means = means, .notice = notice, .done = done, .arg = arg };
	enter_build(d);
	return d;
}

void
delivery_cancel(struct delivery **delivery)
{
	if (*delivery != NULL)
		delivery_free(*delivery);
	*delivery = NULL;
}
