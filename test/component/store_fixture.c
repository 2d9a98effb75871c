#include "test/component/store_fixture.h"

#include "test/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/loop.h"
#include "server/io/redis.h"
#include "server/store/idempotency.h"

/* A literal where a record wants a char *. */
#define TEXT(literal) ((char[]){ literal })

/* --- the callbacks: keep, and stop the loop --- */

static void
arrived(struct store_fixture *f, const struct err *err)
{
	f->op = NULL;
	f->got.err = err != NULL ? *err : ERR_OK;
	loop_stop(f->loop);
}

static void
on_done(void *arg, const struct err *err)
{
	arrived(arg, err);
}

static void
on_repo(void *arg, struct repo *repo, const struct err *err)
{
	struct store_fixture *f = arg;

	f->got.repo = repo;
	arrived(f, err);
}

static void
on_repos(void *arg, struct repo_list repos, const struct err *err)
{
	struct store_fixture *f = arg;

	f->got.repos = repos;
	arrived(f, err);
}

static void
on_submitted(void *arg, const struct store_submitted *submitted, const struct err *err)
{
	struct store_fixture *f = arg;

	if (submitted != NULL)
		f->got.submitted = *submitted;
	arrived(f, err);
}

static void
on_build(void *arg, struct build *build, const struct err *err)
{
	struct store_fixture *f = arg;

	f->got.build = build;
	arrived(f, err);
}

static void
on_builds(void *arg, struct build_list list, const struct err *err)
{
	struct store_fixture *f = arg;

	f->got.builds = list;
	arrived(f, err);
}

static void
on_claim(void *arg, struct job *job, struct build *build, const struct err *err)
{
	struct store_fixture *f = arg;

	f->got.job = job;
	f->got.build = build;
	arrived(f, err);
}

static void
on_job(void *arg, struct job *job, const struct err *err)
{
	struct store_fixture *f = arg;

	f->got.job = job;
	arrived(f, err);
}

static void
on_jobs(void *arg, struct job_list jobs, const struct err *err)
{
	struct store_fixture *f = arg;

	f->got.jobs = jobs;
	arrived(f, err);
}

static void
on_number(void *arg, int64_t number, const struct err *err)
{
	struct store_fixture *f = arg;

	f->got.number = number;
	arrived(f, err);
}

static void
on_promoted(void *arg, struct store_promoted promoted, const struct err *err)
{
	struct store_fixture *f = arg;

	f->got.jobs = promoted.expired;
	f->got.number = promoted.next_ms;
	arrived(f, err);
}

static void
on_renewed(void *arg, const enum store_lease_state *states, size_t count, const struct err *err)
{
	struct store_fixture *f = arg;

	memcpy(f->got.states, states, count * sizeof(*states));
	f->got.count = count;
	arrived(f, err);
}

static void
on_forgotten(void *arg, const int64_t *builds, size_t count, const struct err *err)
{
	struct store_fixture *f = arg;

	memcpy(f->got.forgotten, builds, count * sizeof(*builds));
	f->got.count = count;
	arrived(f, err);
}

static void
on_notice(void *arg, struct notice *notice, int64_t next_ms, const struct err *err)
{
	struct store_fixture *f = arg;

	f->got.notice = notice;
	f->got.number = next_ms;
	arrived(f, err);
}

static void
on_stats(void *arg, const struct store_stats *figures, const struct err *err)
{
	struct store_fixture *f = arg;

	if (figures != NULL)
		f->got.stats = *figures;
	arrived(f, err);
}

static void
on_secrets(void *arg, struct secret_list list, const struct err *err)
{
	struct store_fixture *f = arg;

	f->got.secrets = list;
	arrived(f, err);
}

static void
on_access_tokens(void *arg, struct access_token_list list, const struct err *err)
{
	struct store_fixture *f = arg;

	f->got.access_tokens = list;
	arrived(f, err);
}

static void
on_artifacts(void *arg, struct artifact_list list, const struct err *err)
{
	struct store_fixture *f = arg;

	f->got.artifacts = list;
	arrived(f, err);
}

static void
on_reports(void *arg, struct test_report_list list, const struct err *err)
{
	struct store_fixture *f = arg;

	f->got.reports = list;
	arrived(f, err);
}

static void
on_cache(void *arg, struct cache *cache, const struct err *err)
{
	struct store_fixture *f = arg;

	f->got.cache = cache;
	arrived(f, err);
}

static void
on_ids(void *arg, struct id_list ids, const struct err *err)
{
	struct store_fixture *f = arg;

	f->got.ids = ids;
	arrived(f, err);
}

static void
on_poll(void *arg, struct store_poll poll, const struct err *err)
{
	struct store_fixture *f = arg;

	f->got.poll = poll;
	arrived(f, err);
}

static void
on_polled(void *arg, int64_t failures, int64_t before, const struct err *err)
{
	struct store_fixture *f = arg;

	f->got.number = failures;
	f->got.count = (size_t)before;
	arrived(f, err);
}

static void
on_comparison(void *arg, struct store_comparison comparison, const struct err *err)
{
	struct store_fixture *f = arg;

	f->got.comparison = comparison;
	arrived(f, err);
}

static void
on_resealed(void *arg, unsigned sealed, unsigned lost, const struct err *err)
{
	struct store_fixture *f = arg;

	f->got.number = sealed;
	f->got.count = lost;
	arrived(f, err);
}

static void
on_schedules(void *arg, struct schedule_list list, const struct err *err)
{
	struct store_fixture *f = arg;

	f->got.schedules = list;
	arrived(f, err);
}

static void
on_environment(void *arg, struct environment *environment, const struct err *err)
{
	struct store_fixture *f = arg;

	f->got.environment = environment;
	arrived(f, err);
}

static void
on_environments(
    void *arg, struct environment_list environments, struct deployment_list deployments, const struct err *err)
{
	struct store_fixture *f = arg;

	f->got.environments = environments;
	f->got.deployments = deployments;
	arrived(f, err);
}

static void
on_deployments(void *arg, struct deployment_list deployments, const struct err *err)
{
	struct store_fixture *f = arg;

	f->got.deployments = deployments;
	arrived(f, err);
}

static void
on_due(void *arg, struct store_due due, const struct err *err)
{
	struct store_fixture *f = arg;

	f->got.schedules = due.schedules;
	f->got.now_ms = due.now_ms;
	f->got.number = due.next_ms;
	arrived(f, err);
}

static void
on_wake(void *arg, const char *line)
{
	struct store_fixture *f = arg;

	if (strlen(f->words) + strlen(line) + 2 > sizeof(f->words))
		f->words[0] = '\0';
	strcat(strcat(f->words, line), "\n");
	if (f->awaited != NULL && strcmp(line, f->awaited) == 0)
		loop_stop(f->loop);
}

/* --- calls that wait --- */

void
got_clear(struct store_fixture *f)
{
	repo_free(&f->got.repo);
	build_free(&f->got.build);
	job_free(&f->got.job);
	notice_free(&f->got.notice);
	repo_list_fini(&f->got.repos);
	build_list_fini(&f->got.builds);
	job_list_fini(&f->got.jobs);
	secret_list_fini(&f->got.secrets);
	access_token_list_fini(&f->got.access_tokens);
	schedule_list_fini(&f->got.schedules);
	environment_free(&f->got.environment);
	environment_list_fini(&f->got.environments);
	deployment_list_fini(&f->got.deployments);
	insights_list_fini(&f->got.insights);
	artifact_list_fini(&f->got.artifacts);
	test_report_list_fini(&f->got.reports);
	cache_free(&f->got.cache);
	id_list_fini(&f->got.ids);
	id_list_fini(&f->got.poll.repos);
	store_comparison_fini(&f->got.comparison);
	f->got = (struct got){ 0 };
}

struct build *
take_build(struct store_fixture *f)
{
	struct build *build = f->got.build;

	f->got.build = NULL;
	return build;
}

struct store_comparison
take_comparison(struct store_fixture *f)
{
	struct store_comparison comparison = f->got.comparison;

	f->got.comparison = (struct store_comparison){ 0 };
	return comparison;
}

struct job *
take_job(struct store_fixture *f)
{
	struct job *job = f->got.job;

	f->got.job = NULL;
	return job;
}

struct notice *
take_notice(struct store_fixture *f)
{
	struct notice *notice = f->got.notice;

	f->got.notice = NULL;
	return notice;
}

/* Others in the loop may stop it, too. */
static enum err_code
await_answer(struct store_fixture *f)
{
	while (f->op != NULL)
		loop_run(f->loop);
	return f->got.err.code;
}

/* CALL(f, store_x(f->store, ..., on_y, f)) */
#define CALL(f, call) (got_clear(f), (f)->op = (call), await_answer(f))

static bool
was_heard(const struct store_fixture *f, const char *line)
{
	char needle[128];

	snprintf(needle, sizeof(needle), "%s\n", line);
	if (strncmp(f->words, needle, strlen(needle)) == 0)
		return true;
	snprintf(needle, sizeof(needle), "\n%s\n", line);
	return strstr(f->words, needle) != NULL;
}

void
await_word(struct store_fixture *f, const char *line)
{
	f->awaited = line;
	while (!was_heard(f, line))
		loop_run(f->loop);
	f->awaited = NULL;
}

void
store_fixture_join(struct store_fixture *f, struct loop *loop, const struct redis_fixture *redis, const char *node)
{
	struct store_conf conf = { .node = node, .seal_key = "0123456789abcdef0123456789abcde" };

	*f = (struct store_fixture){ .loop = loop, .shared_loop = true };
	f->redis = redis_new(f->loop, &(struct redis_conf){ .path = redis->path });
	f->store = store_new(f->loop, f->redis, &conf);
	store_on_wake(f->store, on_wake, f);
	await_word(f, "up");
	assert_int_equal(node_register(f), ERR_NONE);
}

void
store_fixture_start(struct store_fixture *f, const struct redis_fixture *redis, const char *node)
{
	store_fixture_join(f, loop_new(), redis, node);
	f->shared_loop = false;
}

void
store_fixture_stop(struct store_fixture *f)
{
	got_clear(f);
	store_cancel(&f->op);
	store_free(&f->store);
	redis_free(&f->redis);
	if (!f->shared_loop)
		loop_free(&f->loop);
}

enum err_code
put_repo(struct store_fixture *f, const char *id, int64_t max_running, bool statuses)
{
	const struct repo repo = {
		.id = (char *)id,
		.name = TEXT("acme/app"),
		.url = TEXT("https://forge.example/acme/app.git"),
		.forge = TEXT("gitea"),
		.api = TEXT("https://forge.example/api/v1"),
		.web = TEXT("https://forge.example"),
		.secret = TEXT("webhook secret"),
		.token = TEXT("forge token"),
		.emails = TEXT(""),
		.statuses = statuses,
		.max_running = max_running,
		.weight = 1,
	};

	return CALL(f, store_repo_put(f->store, &repo, on_done, f));
}

int64_t
submit(struct store_fixture *f, const char *repo, const char *delivery, const char *body)
{
	const struct change change = {
		.event = CHANGE_PUSH,
		.trust = CHANGE_TRUSTED,
		.ref = TEXT("refs/heads/main"),
		.branch = TEXT("main"),
		.commit = TEXT("0123456789012345678901234567890123456789"),
		.before = TEXT("9876543210987654321098765432109876543210"),
		.title = TEXT("Fix the pump"),
		.message = TEXT("Fix the pump\n\nIt leaked \"oil\".\r\n\xc3\xa4"),
		.author_name = TEXT("Ada"),
		.author_email = TEXT("ada@example.org"),
		.sender = TEXT("ada"),
		.web_url = TEXT("https://forge.example/acme/app/commit/0123"),
		.fetch_url = TEXT("https://forge.example/fork/app.git"),
		.pull_number = 7,
	};

	if (CALL(f, store_submit(f->store, repo, &change, str_of(delivery), body, on_submitted, f)) != ERR_NONE)
		return 0;
	return f->got.submitted.build;
}

enum err_code
plan_claim(struct store_fixture *f)
{
	return CALL(f, store_plan_claim(f->store, on_build, f));
}

enum err_code
planned_with(struct store_fixture *f, int64_t build, const char *token, const struct plan *plan)
{
	return CALL(f, store_planned(f->store, build, token, plan, on_done, f));
}

enum err_code
planned(struct store_fixture *f, int64_t build, const char *token, size_t count)
{
	char name[] = "test", image[] = "alpine:3";
	struct job_spec jobs[64] = { { 0 } };
	char *warnings[] = { TEXT("daocloud.yml:3:1: odd"), TEXT("daocloud.yml:4:1: too") };
	char *recipients[] = { TEXT("dev@example.org") };
	struct parameter_spec parameters[] = { { .name = TEXT("level"), .value = TEXT("quick"), .required = true } };
	struct plan plan = { .parameters = parameters,
		.parameter_count = 1,
		.jobs = jobs,
		.job_count = count,
		.warnings = warnings,
		.warning_count = 2 };

	plan.notify =
	    (struct notify_spec){ .recipients = recipients, .recipient_count = 1, .on_failure = NOTIFY_ALWAYS };
	for (size_t i = 0; i < count; i++)
		jobs[i] = (struct job_spec){ .name = name, .image = image, .timeout_s = 60 };
	return planned_with(f, build, token, &plan);
}

enum err_code
plan_failed(struct store_fixture *f, int64_t build, const char *token, enum build_state state)
{
	return CALL(f, store_plan_failed(f->store, build, token, state, "daocloud.yml:1:1: not YAML", on_done, f));
}

enum err_code
job_claim_with(struct store_fixture *f, const char *labels)
{
	return CALL(f, store_job_claim(f->store, &labels, 1, on_claim, f));
}

enum err_code
job_claim(struct store_fixture *f)
{
	return job_claim_with(f, "");
}

enum err_code
job_started(struct store_fixture *f, const char *job, const char *token, const char *container)
{
	return CALL(f, store_job_started(f->store, job, token, container, "local", "", "", "", on_done, f));
}

enum err_code
job_started_with(struct store_fixture *f, const char *job, const char *token, const char *images)
{
	return CALL(f, store_job_started(f->store, job, token, "app/live", "local", "", images, "engine", on_done, f));
}

enum err_code
job_moved(struct store_fixture *f, const char *job, const char *token, const char *container, const char *progress)
{
	return CALL(f, store_job_started(f->store, job, token, container, "local", progress, "", "", on_done, f));
}

enum err_code
job_adopt(struct store_fixture *f, const char *job, const char *token)
{
	return CALL(f, store_job_adopt(f->store, job, token, on_claim, f));
}

static struct store_job_result
result_of(enum job_state state)
{
	return (struct store_job_result){
		.state = state,
		.exit_code = state == JOB_PASSED ? 0 : 1,
		.reason = state == JOB_PASSED ? "" : "exit code 1",
		.log_bytes = 42,
	};
}

static void
on_insights(void *arg, struct insights_list list, const struct err *err)
{
	struct store_fixture *f = arg;

	f->got.insights = list;
	arrived(f, err);
}

enum err_code
insights(struct store_fixture *f, const char *repo, unsigned most)
{
	return CALL(f, store_insights(f->store, repo, 7, most, on_insights, f));
}

enum err_code
job_built(struct store_fixture *f, const char *job, const char *token, const char *image)
{
	return CALL(f, store_job_built(f->store, job, token, "local", image, on_done, f));
}

enum err_code
job_finished_with(struct store_fixture *f, const char *job, const char *token, const char *images)
{
	struct store_job_result result = result_of(JOB_PASSED);

	result.images = images;
	return CALL(f, store_job_finished(f->store, job, token, &result, on_done, f));
}

enum err_code
job_verdict(struct store_fixture *f, const char *job, const char *token, enum job_state state)
{
	const struct store_job_result result = result_of(state);

	return CALL(f, store_job_verdict(f->store, job, token, &result, on_done, f));
}

enum err_code
job_finished(struct store_fixture *f, const char *job, const char *token, enum job_state state)
{
	const struct store_job_result result = result_of(state);

	return CALL(f, store_job_finished(f->store, job, token, &result, on_done, f));
}

enum err_code
job_requeue(struct store_fixture *f, const char *job, const char *token, int64_t delay_ms)
{
	return CALL(f, store_job_requeue(f->store, job, token, delay_ms, "the node went away", on_done, f));
}

enum err_code
job_get(struct store_fixture *f, const char *job)
{
	return CALL(f, store_job_get(f->store, job, on_job, f));
}

enum err_code
job_cancel(struct store_fixture *f, const char *job)
{
	return CALL(f, store_job_cancel(f->store, job, on_done, f));
}

enum err_code
build_get(struct store_fixture *f, int64_t build)
{
	return CALL(f, store_build_get(f->store, build, on_build, f));
}

enum err_code
build_cancel(struct store_fixture *f, int64_t build)
{
	return CALL(f, store_build_cancel(f->store, build, on_done, f));
}

enum err_code
build_rerun(struct store_fixture *f, int64_t build)
{
	return build_rerun_jobs(f, build, "");
}

enum err_code
build_rerun_jobs(struct store_fixture *f, int64_t build, const char *which)
{
	return CALL(f, store_build_rerun(f->store, build, which, on_number, f));
}

enum err_code
environment_put(struct store_fixture *f, const struct environment *environment, bool is_new)
{
	return CALL(f, store_environment_put(f->store, environment, is_new, on_done, f));
}

enum err_code
environment_get(struct store_fixture *f, const char *repo, const char *name)
{
	return CALL(f, store_environment_get(f->store, repo, name, on_environment, f));
}

enum err_code
environments(struct store_fixture *f, const char *repo)
{
	return CALL(f, store_environments(f->store, repo, on_environments, f));
}

enum err_code
environment_delete(struct store_fixture *f, const char *repo, const char *name)
{
	return CALL(f, store_environment_delete(f->store, repo, name, on_done, f));
}

enum err_code
environment_lock(struct store_fixture *f, const char *repo, const char *name, const char *who)
{
	return CALL(f, store_environment_lock(f->store, repo, name, who, "a freeze", on_done, f));
}

enum err_code
deployments(struct store_fixture *f, const char *repo, const char *name)
{
	return CALL(f, store_deployments(f->store, repo, name, 0, STORE_LIST_MAX, on_deployments, f));
}

enum err_code
job_approve(struct store_fixture *f, const char *job)
{
	return CALL(f, store_job_approve(f->store, job, "admin", on_done, f));
}

enum err_code
job_reject(struct store_fixture *f, const char *job)
{
	return CALL(f, store_job_reject(f->store, job, "admin", on_done, f));
}

static void
on_watches(void *arg, struct store_watches watches, const struct err *err)
{
	struct store_fixture *f = arg;

	f->got.number = watches.next_ms;
	on_environments(f, watches.environments, watches.deployments, err);
}

enum err_code
watches_due(struct store_fixture *f, unsigned limit)
{
	return CALL(f, store_watches_due(f->store, limit, 60000, on_watches, f));
}

enum err_code
watch_told(struct store_fixture *f, const char *name)
{
	char *items[] = { (char *)"other:one", (char *)name };
	const struct strings names = { .items = items, .count = 2 };

	return CALL(f, store_watch_told(f->store, &names, on_done, f));
}

enum err_code
watch_seen(struct store_fixture *f, const struct environment *environment, const char *digest, const char *error)
{
	return CALL(f, store_watch_seen(f->store, environment, digest, error, on_done, f));
}

enum err_code
build_follow(struct store_fixture *f, int64_t build, const char *environment, const char *cause)
{
	return CALL(f, store_build_follow(f->store, build, environment, cause, on_number, f));
}

enum err_code
build_deploy(struct store_fixture *f, int64_t build, const char *environment, int64_t redeploys)
{
	return CALL(f, store_build_deploy(f->store, build, environment, "admin", redeploys, on_number, f));
}

enum err_code
rollback_find(struct store_fixture *f, const char *repo, const char *name)
{
	return CALL(f, store_rollback_find(f->store, repo, name, on_deployments, f));
}

int64_t
submit_pull(struct store_fixture *f, const char *repo, const char *ref, bool fork)
{
	const struct change change = {
		.event = CHANGE_PULL_REQUEST,
		.trust = fork ? CHANGE_FORK : CHANGE_TRUSTED,
		.ref = (char *)ref,
		.branch = TEXT("main"),
		.commit = TEXT("0123456789012345678901234567890123456789"),
		.fetch_url = TEXT("https://forge.example/eve/app.git"),
		.pull_number = 7,
	};

	if (CALL(f, store_submit(f->store, repo, &change, STR(""), NULL, on_submitted, f)) != ERR_NONE)
		return 0;
	return f->got.submitted.result == STORE_NEW ? f->got.submitted.build : 0;
}

enum err_code
plan_commit(struct store_fixture *f, int64_t build, const char *token, const struct store_commit *commit)
{
	return CALL(f, store_plan_commit(f->store, build, token, commit, on_done, f));
}

enum err_code
build_approve(struct store_fixture *f, int64_t build)
{
	return CALL(f, store_build_approve(f->store, build, "admin", on_done, f));
}

enum err_code
build_reject(struct store_fixture *f, int64_t build)
{
	return CALL(f, store_build_reject(f->store, build, "admin", on_done, f));
}

enum err_code
schedule_put(struct store_fixture *f, const char *repo, int64_t next_ms)
{
	const struct schedule schedule = {
		.repo = (char *)repo,
		.name = TEXT("nightly"),
		.rule = TEXT("0 3 * * *"),
		.zone = TEXT("Europe/Berlin"),
		.branch = TEXT("main"),
		.params = TEXT("{\"A\":\"1\"}"),
		.next_ms = next_ms,
	};

	return CALL(f, store_schedule_put(f->store, &schedule, on_done, f));
}

enum err_code
schedule_delete(struct store_fixture *f, const char *repo)
{
	return CALL(f, store_schedule_delete(f->store, repo, "nightly", on_done, f));
}

enum err_code
schedules(struct store_fixture *f, const char *repo)
{
	return CALL(f, store_schedules(f->store, repo, on_schedules, f));
}

enum err_code
schedules_due(struct store_fixture *f)
{
	return CALL(f, store_schedules_due(f->store, on_due, f));
}

enum err_code
schedule_fire(struct store_fixture *f, const struct schedule *schedule, int64_t next_ms)
{
	const struct change change = {
		.event = CHANGE_CRON,
		.trust = CHANGE_TRUSTED,
		.ref = TEXT("refs/heads/main"),
		.branch = TEXT("main"),
		.title = TEXT("Scheduled: nightly"),
		.params = schedule->params,
	};

	return CALL(f, store_schedule_fire(f->store, schedule, next_ms, &change, on_number, f));
}

enum err_code
pull_close(struct store_fixture *f, const char *repo, const char *ref)
{
	return CALL(f, store_pull_close(f->store, repo, ref, on_number, f));
}

static struct change
change_of(const char *ref, const char *before, const char *commit)
{
	return (struct change){
		.event = strncmp(ref, "refs/tags/", 10) == 0 ? CHANGE_TAG : CHANGE_PUSH,
		.trust = CHANGE_TRUSTED,
		.ref = (char *)ref,
		.before = (char *)before,
		.commit = commit[0] == '\0' ? NULL : (char *)commit,
	};
}

int64_t
tell_push(struct store_fixture *f, const char *ref, const char *before, const char *commit)
{
	static unsigned deliveries;
	char delivery[16];
	struct change change = change_of(ref, before, commit[0] == '!' ? commit + 1 : commit);

	if (commit[0] == '!' || commit[0] == '\0') {
		assert_int_equal(CALL(f, store_head_passed(f->store, "app", &change, on_done, f)), ERR_NONE);
		return 0;
	}
	snprintf(delivery, sizeof(delivery), "%u", ++deliveries);
	assert_int_equal(
	    CALL(f, store_submit(f->store, "app", &change, str_of(delivery), NULL, on_submitted, f)), ERR_NONE);
	return f->got.submitted.build;
}

enum err_code
heads_compare(struct store_fixture *f, const char *text)
{
	struct heads heads;
	struct err err;
	enum err_code code;

	assert_true(heads_parse(str_of(text), &heads, &err));
	code = CALL(f, store_heads_compare(f->store, "app", &heads, on_comparison, f));
	heads_fini(&heads);
	return code;
}

enum err_code
head_settle(struct store_fixture *f, const struct store_difference *difference)
{
	return CALL(f, store_head_settle(f->store, "app", difference, on_done, f));
}

int64_t
head_recover(struct store_fixture *f, const struct store_difference *difference)
{
	struct change change = change_of(difference->ref, difference->before, difference->commit);

	return CALL(f, store_head_recover(f->store, "app", difference, &change, on_number, f)) == ERR_NONE
		   ? f->got.number
		   : 0;
}

enum err_code
poll_due(struct store_fixture *f, unsigned limit, bool all)
{
	return CALL(f, store_poll_due(f->store, limit, 60000, all, on_poll, f));
}

enum err_code
poll_done(struct store_fixture *f, const char *repo, const char *error)
{
	return CALL(f, store_poll_done(f->store, repo, 60000, 3600000, error, on_polled, f));
}

enum err_code
builds(struct store_fixture *f, const char *repo, int64_t before, unsigned limit)
{
	return CALL(f, store_builds(f->store, repo, before, limit, on_builds, f));
}

enum err_code
queue(struct store_fixture *f)
{
	return CALL(f, store_queue(f->store, on_jobs, f));
}

enum err_code
running(struct store_fixture *f, const char *node)
{
	return CALL(f, store_running(f->store, node, on_jobs, f));
}

enum err_code
promote(struct store_fixture *f)
{
	return CALL(f, store_promote(f->store, on_promoted, f));
}

enum err_code
renew(struct store_fixture *f, const struct store_lease *leases, size_t count)
{
	return CALL(f, store_renew(f->store, f->labels, leases, count, on_renewed, f));
}

enum err_code
prune(struct store_fixture *f, int64_t keep)
{
	return CALL(f, store_prune(f->store, keep, on_forgotten, f));
}

enum err_code
build_unknown(struct store_fixture *f, const int64_t *builds, size_t count)
{
	return CALL(f, store_build_unknown(f->store, builds, count, on_forgotten, f));
}

enum err_code
outbox_claim(struct store_fixture *f)
{
	return CALL(f, store_outbox_claim(f->store, on_notice, f));
}

enum err_code
outbox_ack(struct store_fixture *f, const struct notice *notice)
{
	return CALL(f, store_outbox_ack(f->store, notice, on_done, f));
}

enum err_code
outbox_retry(struct store_fixture *f, const struct notice *notice, int64_t delay_ms)
{
	return CALL(f, store_outbox_retry(f->store, notice, delay_ms, "503", on_done, f));
}

enum err_code
outbox_drop(struct store_fixture *f, const struct notice *notice)
{
	return CALL(f, store_outbox_drop(f->store, notice, "404", on_done, f));
}

enum err_code
outbox_fanout(struct store_fixture *f, const struct notice *event, const struct store_fanout *to, size_t count)
{
	return CALL(f, store_outbox_fanout(f->store, event, to, count, on_done, f));
}

enum err_code
repo_get(struct store_fixture *f, const char *id)
{
	return CALL(f, store_repo_get(f->store, id, on_repo, f));
}

enum err_code
repo_list(struct store_fixture *f)
{
	return CALL(f, store_repo_list(f->store, on_repos, f));
}

enum err_code
repo_delete(struct store_fixture *f, const char *id)
{
	return CALL(f, store_repo_delete(f->store, id, on_done, f));
}

enum err_code
node_register(struct store_fixture *f)
{
	const struct store_node node = {
		.url = "http://n1:8080", .version = "0.1.0", .engines = "local", .labels = f->labels
	};

	return CALL(f, store_node_register(f->store, &node, on_number, f));
}

enum err_code
stats(struct store_fixture *f)
{
	return CALL(f, store_stats(f->store, on_stats, f));
}

enum err_code
artifact_put(struct store_fixture *f, const char *job, const char *token, const struct artifact *artifact,
    int64_t expire_s, int64_t repo_max)
{
	return CALL(f, store_artifact_put(f->store, job, token, artifact, expire_s, repo_max, on_done, f));
}

enum err_code
artifact_list(struct store_fixture *f, int64_t build, int64_t job)
{
	return CALL(f, store_artifact_list(f->store, build, job, on_artifacts, f));
}

enum err_code
artifact_expire(struct store_fixture *f)
{
	return CALL(f, store_artifact_expire(f->store, on_artifacts, f));
}

enum err_code
report_put(struct store_fixture *f, const char *job, const char *token, const struct test_report *report)
{
	return CALL(f, store_report_put(f->store, job, token, report, on_done, f));
}

enum err_code
report_list(struct store_fixture *f, int64_t build)
{
	return CALL(f, store_report_list(f->store, build, on_reports, f));
}

enum err_code
cache_find(struct store_fixture *f, const struct cache_query *query)
{
	return CALL(f, store_cache_find(f->store, query, on_cache, f));
}

enum err_code
cache_put(struct store_fixture *f, const struct cache *cache)
{
	return CALL(f, store_cache_put(f->store, cache, on_done, f));
}

enum err_code
cache_prune(struct store_fixture *f, int64_t max_bytes, int64_t max_age_ms)
{
	return CALL(f, store_cache_prune(f->store, max_bytes, max_age_ms, on_ids, f));
}

enum err_code
cache_forget(struct store_fixture *f, const char *id)
{
	return CALL(f, store_cache_drop(f->store, id, on_done, f));
}

enum err_code
cache_unknown(struct store_fixture *f, const char *const *ids, size_t count)
{
	return CALL(f, store_cache_unknown(f->store, ids, count, on_ids, f));
}

enum err_code
access_token_put(struct store_fixture *f, const char *name, const char *role, const char *sha256)
{
	const struct access_token token = {
		.name = (char *)name, .role = (char *)role, .sha256 = (char *)sha256, .created_by = (char[]){ "ann" }
	};

	return CALL(f, store_access_token_put(f->store, &token, on_done, f));
}

enum err_code
access_token_delete(struct store_fixture *f, const char *name)
{
	return CALL(f, store_access_token_delete(f->store, name, on_done, f));
}

static void
on_held(void *arg, const struct idempotency_held *held, const struct err *err)
{
	assert_null(held);
	arrived(arg, err);
}

enum err_code
request_claim(struct store_fixture *f, const char *key)
{
	const struct idempotency_claim claim = { "ann", key, key, "digest" };

	return CALL(f, store_idempotency_claim(f->store, &claim, on_held, f));
}

enum err_code
request_answered(struct store_fixture *f, const char *key)
{
	const struct idempotency_claim claim = { "ann", key, key, "digest" };

	return CALL(f, store_idempotency_answer(f->store, &claim, 201, STR("HTTP/1.1 201 Created"), on_done, f));
}

enum err_code
access_tokens(struct store_fixture *f)
{
	return CALL(f, store_access_tokens(f->store, on_access_tokens, f));
}

enum err_code
secret_put(struct store_fixture *f, const struct secret *secret)
{
	return CALL(f, store_secret_put(f->store, secret, on_done, f));
}

enum err_code
secret_list(struct store_fixture *f, enum secret_scope scope, const char *owner)
{
	return CALL(f, store_secret_list(f->store, scope, owner, on_secrets, f));
}

enum err_code
secret_delete(struct store_fixture *f, enum secret_scope scope, const char *owner, const char *name)
{
	return CALL(f, store_secret_delete(f->store, scope, owner, name, on_done, f));
}

enum err_code
secret_find(struct store_fixture *f, const struct store_secret_owners *owners, const char *const *names, size_t count)
{
	return CALL(f, store_secret_find(f->store, owners, names, count, on_secrets, f));
}

enum err_code
reseal(struct store_fixture *f)
{
	got_clear(f);
	store_reseal_start(f->store, on_resealed, f);
	loop_run(f->loop);
	return f->got.err.code;
}

int64_t
queued_build(struct store_fixture *f, const char *repo, size_t count)
{
	int64_t build = submit(f, repo, NULL, NULL);
	struct build *claimed;

	assert_true(build > 0);
	assert_int_equal(plan_claim(f), ERR_NONE);
	claimed = take_build(f);
	assert_non_null(claimed);
	assert_true(claimed->build == build);
	assert_int_equal(planned(f, build, claimed->token, count), ERR_NONE);
	build_free(&claimed);
	return build;
}
