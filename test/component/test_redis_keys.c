/* doc/redis-keys.md against a live Redis: a scenario that passes through every state of every record is played, and
 * after each step all keys are looked at. What exists must be described, and what is described must have existed. */
#include "test/unit/unit.h"

#include <hiredis/hiredis.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "test/component/store_fixture.h"

#define BODY "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define KEYS_MAX 64
#define FIELDS_MAX 64

struct field_doc {
	char name[32];
	bool seen;
};

struct key_doc {
	char pattern[80];
	char type[16];
	regex_t regex;
	struct field_doc fields[FIELDS_MAX];
	size_t field_count;
	bool seen;
};

static struct key_doc docs[KEYS_MAX];
static size_t doc_count;
static struct redis_fixture server;
static struct store_fixture f;

/* --- the page --- */

static const char *
placeholder(const char *name)
{
	static const struct {
		const char *name;
		const char *regex;
	} rows[] = {
		{ "<id>", "[a-z0-9._-]+" },
		{ "<repo>", "[a-z0-9._-]+" },
		{ "<n>", "[0-9]+" },
		{ "<n.k>", "[0-9]+\\.[0-9]+" },
		{ "<n.k.i>", "[0-9]+\\.[0-9]+\\.[0-9]+" },
		{ "<node>", "[a-z0-9._-]+" },
		{ "<trust>", "(trusted|fork-([0-9]+|x[0-9a-f]{16}))" },
		{ "<delivery>", "[A-Za-z0-9-]+" },
		{ "<sha256>", "[0-9a-f]{64}" },
		{ "<nonce>", "[0-9a-f]{32}" },
		{ "<ref>", "refs/.+" },
		{ "<sha>", "[0-9a-f]{40}" },
		{ "<day>", "[0-9]{4}-[0-9]{2}-[0-9]{2}" },
		{ "<schedule>", "[a-z0-9._-]+" },
		{ "<person>", "[a-z0-9._-]+" },
		{ "<key>", "[!-~]+" },
		{ "<labels>", "[a-z0-9,=]+" },
		{ "<group>", "[a-z:]+" },
		{ "<environment>", "[A-Za-z0-9._-]+" },
		{ "<notice>", "[0-9.]+" },
		{ "<target>", ".+" },
		{ "<scope>", "(repo|org|environment)" },
		{ "<owner>", "[A-Za-z0-9._/-]+" },
		{ "<name>", "[A-Za-z0-9_.-]+" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strncmp(name, rows[i].name, strlen(rows[i].name)) == 0)
			return rows[i].regex;
	fail_msg("doc/redis-keys.md: what is %s?", name);
	return NULL;
}

static void
compile(struct key_doc *doc)
{
	char regex[512] = "^";

	for (const char *p = doc->pattern; *p != '\0'; p++)
		if (*p == '<') {
			strcat(regex, placeholder(p));
			p = strchr(p, '>');
		} else {
			strncat(regex, p, 1);
		}
	strcat(regex, "$");
	assert_int_equal(regcomp(&doc->regex, regex, REG_EXTENDED | REG_NOSUB), 0);
}

/* "### `davit:build:<n>` hash" */
static void
read_key(const char *line)
{
	struct key_doc *doc = &docs[doc_count++];

	assert_true(doc_count < KEYS_MAX);
	if (sscanf(line, "### `%79[^`]` %15s", doc->pattern, doc->type) != 2)
		fail_msg("doc/redis-keys.md: %s", line);
	compile(doc);
}

/* "| `ref`, `branch` | ...": the names in the first column. */
static void
read_fields(struct key_doc *doc, char *line)
{
	char *end = strchr(line + 1, '|');

	assert_non_null(end);
	*end = '\0';
	for (char *p = strtok(line, "|`, "); p != NULL; p = strtok(NULL, "|`, ")) {
		assert_true(doc->field_count < FIELDS_MAX);
		snprintf(doc->fields[doc->field_count++].name, sizeof(doc->fields[0].name), "%s", p);
	}
}

static void
read_page(void)
{
	char path[512], line[1024];
	const char *srcdir = getenv("srcdir");
	FILE *file;

	snprintf(path, sizeof(path), "%s/doc/redis-keys.md", srcdir == NULL ? "." : srcdir);
	file = fopen(path, "r");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file) != NULL)
		if (strncmp(line, "### ", 4) == 0)
			read_key(line);
		else if (doc_count > 0 && strncmp(line, "| `", 3) == 0 && strcmp(docs[doc_count - 1].type, "hash") == 0)
			read_fields(&docs[doc_count - 1], line);
		else if (strncmp(line, "## The channel", 14) == 0)
			break;
	fclose(file);
}

/* --- the live Redis --- */

static struct key_doc *
find_doc(const char *key)
{
	for (size_t i = 0; i < doc_count; i++)
		if (regexec(&docs[i].regex, key, 0, NULL, 0) == 0)
			return &docs[i];
	fail_msg("the key %s is not in doc/redis-keys.md", key);
	return NULL;
}

static void
look_at_field(struct key_doc *doc, const char *name)
{
	if (doc->field_count == 0)
		return; /* its fields are no names of ours */
	for (size_t i = 0; i < doc->field_count; i++)
		if (strcmp(doc->fields[i].name, name) == 0) {
			doc->fields[i].seen = true;
			return;
		}
	if (doc->field_count == 0) /* its names are values */
		return;
	fail_msg("the field %s of %s is not in doc/redis-keys.md", name, doc->pattern);
}

static void
look_at_key(redisContext *c, const char *key)
{
	struct key_doc *doc = find_doc(key);
	redisReply *type = redisCommand(c, "TYPE %s", key);
	redisReply *fields;

	assert_non_null(type);
	doc->seen = true;
	assert_string_equal(type->str, doc->type);
	if (strcmp(type->str, "hash") == 0) {
		fields = redisCommand(c, "HKEYS %s", key);
		for (size_t i = 0; i < fields->elements; i++)
			look_at_field(doc, fields->element[i]->str);
		freeReplyObject(fields);
	}
	freeReplyObject(type);
}

static void
look(void)
{
	redisContext *c = redisConnectUnix(server.path);
	redisReply *keys = redisCommand(c, "KEYS *");

	assert_non_null(keys);
	for (size_t i = 0; i < keys->elements; i++)
		look_at_key(c, keys->element[i]->str);
	freeReplyObject(keys);
	redisFree(c);
}

/* --- the scenario --- */

static void
deliver(void)
{
	static const struct store_fanout to = { "status:app", "status", "{}" };
	struct notice *notice;

	assert_int_equal(outbox_claim(&f), ERR_NONE);
	look();
	notice = take_notice(&f);
	assert_int_equal(outbox_fanout(&f, notice, &to, 1), ERR_NONE);
	notice_free(&notice);
	look();
	assert_int_equal(outbox_claim(&f), ERR_NONE);
	notice = take_notice(&f);
	assert_int_equal(outbox_drop(&f, notice), ERR_NONE);
	notice_free(&notice);
	look();
}

static struct job *
claimed_job(void)
{
	assert_int_equal(job_claim(&f), ERR_NONE);
	assert_non_null(f.got.job);
	look();
	return take_job(&f);
}

static void
leave_files(const struct job *job)
{
	const struct artifact artifact = { .name = (char[]){ "dist" },
		.attempt = job->attempt,
		.size = 1,
		.content = 1,
		.files = 1,
		.sha256 = (char[]){ "abc" } };
	const struct test_report report = { .tests = 1, .lines = 10, .covered = 5, .failed = (char[]){ "[]" } };
	const struct cache cache = { .id = (char[]){ "0123456789abcdef0123456789abcdef" },
		.repo = (char[]){ "app" },
		.trust = (char[]){ CACHE_TRUSTED },
		.key = (char[]){ "npm" },
		.size = 1 };

	assert_int_equal(artifact_put(&f, job->id, job->token, &artifact, 60, 100), ERR_NONE);
	assert_int_equal(report_put(&f, job->id, job->token, &report), ERR_NONE);
	assert_int_equal(cache_put(&f, &cache), ERR_NONE);
	look();
}

/* A build of two jobs in a repository that runs one at a time: one is held, run again later, cancelled. */
static void
run_build(void)
{
	struct build *build;
	struct job *job;

	assert_true(submit(&f, "app", "d-1", BODY) > 0);
	look();
	assert_int_equal(build_cancel(&f, 1), ERR_NONE);
	assert_int_equal(build_rerun(&f, 1), ERR_NONE);
	look();
	assert_int_equal(plan_claim(&f), ERR_NONE);
	look();
	build = take_build(&f);
	assert_int_equal(planned(&f, build->build, build->token, 2), ERR_NONE);
	build_free(&build);
	look();
	job = claimed_job();
	assert_int_equal(job_claim(&f), ERR_NONE); /* the other one is held */
	look();
	assert_int_equal(job_started(&f, job->id, job->token, "c1"), ERR_NONE);
	look();
	assert_int_equal(job_moved(&f, job->id, job->token, "c2", "{\"part\":1}"), ERR_NONE);
	look();
	leave_files(job);
	assert_int_equal(job_built(&f, job->id, job->token, "sha256:1"), ERR_NONE);
	assert_int_equal(job_requeue(&f, job->id, job->token, 60000), ERR_NONE);
	look();
	job_free(&job);
	job = claimed_job();
	assert_int_equal(build_cancel(&f, 2), ERR_NONE);
	assert_int_equal(job_verdict(&f, job->id, job->token, JOB_CANCELLED), ERR_NONE);
	look();
	assert_int_equal(job_finished(&f, job->id, job->token, JOB_CANCELLED), ERR_NONE);
	job_free(&job);
	look();
}

static int64_t
plan_graph(void)
{
	static char a[] = "a", b[] = "b", c[] = "c", group[] = "deploy", skipped[] = "only on tags", label[] = "gpu";
	static struct need_spec need = { .job = 1 };
	char *labels[] = { label };
	struct job_spec jobs[] = {
		{ .name = a, .allow_failure = true, .retry = { 1, RETRY_FAILURE }, .concurrency = { group, true } },
		{ .name = b, .needs = &need, .need_count = 1, .run_on = RUN_ALWAYS, .labels = { labels, 1 } },
		{ .name = c, .skipped = skipped },
	};
	const bool is_first = redis_fixture_int(&server, "HEXISTS davit:repo:app first_image") == 0;
	const struct plan plan = { .jobs = jobs, .job_count = 3, .is_first = is_first };
	int64_t n = submit(&f, "app", NULL, NULL);
	struct build *build;

	assert_int_equal(plan_claim(&f), ERR_NONE);
	build = take_build(&f);
	assert_int_equal(planned_with(&f, n, build->token, &plan), ERR_NONE);
	build_free(&build);
	look();
	return n;
}

static void
finish(struct job **job, enum job_state state)
{
	assert_int_equal(job_finished(&f, (*job)->id, (*job)->token, state), ERR_NONE);
	job_free(job);
	look();
}

/* Jobs with all that a pipeline may say of them: one tried again, one superseded, one held with labels, one reused. */
static void
run_graph(void)
{
	struct job *job;
	int64_t n;

	plan_graph();
	job = claimed_job();
	finish(&job, JOB_FAILED); /* delayed now */
	n = plan_graph();
	job = claimed_job(); /* the newer build's */
	assert_int_equal(job_claim_with(&f, "gpu"), ERR_NONE);
	look();
	plan_graph();
	finish(&job, JOB_CANCELLED);
	assert_int_equal(job_claim_with(&f, "gpu"), ERR_NONE);
	job = take_job(&f);
	assert_int_equal(job_finished_with(&f, job->id, job->token, "app:1 sha256:1\n"), ERR_NONE);
	job_free(&job);
	look();
	assert_int_equal(job_claim_with(&f, "gpu"), ERR_NONE);
	job = take_job(&f);
	if (job != NULL)
		finish(&job, JOB_FAILED);
	for (int64_t i = 1; i <= n + 1; i++)
		build_cancel(&f, i);
	assert_int_equal(build_rerun_jobs(&f, n, "1"), ERR_NONE);
	look();
}

static void
keep_secrets(void)
{
	const struct secret secret = { .scope = (char[]){ "repo" },
		.owner = (char[]){ "gone" },
		.name = (char[]){ "NPM_TOKEN" },
		.value = (char[]){ "value" } };

	assert_int_equal(secret_put(&f, &secret), ERR_NONE);
	assert_int_equal(access_token_put(&f, "ann", "deploy", BODY), ERR_NONE);
	assert_int_equal(request_claim(&f, "k1"), ERR_NONE);
	assert_int_equal(request_claim(&f, "k1"), ERR_NONE); /* the same, sent twice */
	assert_int_equal(request_answered(&f, "k1"), ERR_NONE);
	look();
}

/* A fork's pull request waits, is approved and built merged; one that waits is rejected; a schedule makes a build. */
static void
trigger_builds(void)
{
	static const struct store_commit merged = { NULL, "0123456789012345678901234567890123456789", "base", "merge" };
	struct build *build;
	struct schedule_list due;
	int64_t waits = submit_pull(&f, "app", "refs/pull/7/head", true);

	look();
	assert_int_equal(build_approve(&f, waits), ERR_NONE);
	look();
	assert_int_equal(plan_claim(&f), ERR_NONE);
	build = take_build(&f);
	assert_int_equal(plan_commit(&f, build->build, build->token, &merged), ERR_NONE);
	look();
	assert_int_equal(plan_failed(&f, build->build, build->token, BUILD_FAILED), ERR_NONE);
	build_free(&build);
	assert_int_equal(build_reject(&f, submit_pull(&f, "app", "refs/pull/8/head", true)), ERR_NONE);
	assert_int_equal(schedule_put(&f, "app", 1), ERR_NONE);
	look();
	assert_int_equal(schedules_due(&f), ERR_NONE);
	due = f.got.schedules;
	f.got.schedules = (struct schedule_list){ 0 };
	assert_int_equal(schedule_fire(&f, &due.items[0], 4000000000000), ERR_NONE);
	schedule_list_fini(&due);
	look();
}

/* Those before it in the queue pass. */
static struct job *
claimed_in_turn(const char *id)
{
	struct job *job = claimed_job();

	while (strcmp(job->id, id) != 0) {
		finish(&job, JOB_PASSED);
		job = claimed_job();
	}
	return job;
}

/* A deployment is approved and passes, another one waits while the environment is locked, the first is made again. */
static void
deploy(void)
{
	static char repo[] = "app", name[] = "live", kind[] = "command", image[] = "app:1", script[] = "alpine:3",
		    tag[] = "tag", why[] = "takes tags";
	const struct environment environment = {
		.repo = repo, .name = name, .kind = kind, .watch = image, .approve = true
	};
	struct deploy_spec to = { .environment = name, .image = image, .approve = true, .lacks = tag };
	struct deploy_spec elsewhere = { .environment = name, .refused = why };
	struct job_spec jobs[2] = { { .name = name,
					.kind = JOB_KIND_DEPLOY,
					.image = script,
					.deploy = &to,
					.retry = { 1, RETRY_INFRASTRUCTURE } },
		{ .name = why, .kind = JOB_KIND_DEPLOY, .deploy = &elsewhere } };
	const struct plan plan = { .jobs = jobs, .job_count = 2, .commit_ms = 1000 };
	const struct store_commit head = { NULL, "0123456789012345678901234567890123456789", "", "" };
	char id[JOB_ID_MAX];
	struct build *build;
	struct job *claimed;
	int64_t n, again;

	assert_int_equal(environment_put(&f, &environment, true), ERR_NONE);
	look();
	assert_int_equal(plan_claim(&f), ERR_NONE);
	build = take_build(&f);
	n = build->build;
	snprintf(id, sizeof(id), "%lld.1", (long long)n);
	assert_int_equal(plan_commit(&f, n, build->token, &head), ERR_NONE);
	assert_int_equal(planned_with(&f, n, build->token, &plan), ERR_NONE);
	build_free(&build);
	look();
	assert_int_equal(job_approve(&f, id), ERR_NONE);
	look();
	claimed = claimed_in_turn(id);
	assert_int_equal(job_started_with(&f, id, claimed->token, "app:1 sha256:1\n"), ERR_NONE);
	assert_int_equal(job_requeue(&f, id, claimed->token, 0), ERR_NONE);
	job_free(&claimed);
	claimed = claimed_in_turn(id);
	finish(&claimed, JOB_PASSED);
	redis_fixture_ask(&server, "HSET davit:environment:app:live broken_ms 1");
	look();
	assert_int_equal(environment_lock(&f, "app", "live", "admin"), ERR_NONE);
	assert_int_equal(build_deploy(&f, n, "live", 1), ERR_CONFLICT); /* without a tag */
	redis_fixture_ask(&server, "HDEL davit:job:%s lacks", id);
	assert_int_equal(build_deploy(&f, n, "live", 1), ERR_NONE);
	again = f.got.number;
	look();
	assert_int_equal(watches_due(&f, 1), ERR_NONE);
	environment_list_fini(&f.got.environments);
	deployment_list_fini(&f.got.deployments);
	assert_int_equal(watch_seen(&f, &environment, "sha256:00", "no route"), ERR_NONE);
	assert_int_equal(build_cancel(&f, again), ERR_NONE);
	assert_int_equal(build_follow(&f, n, "live", image), ERR_NONE);
	look();
}

/* A push is found by looking; then the forge cannot be reached. */
static void
look_at_branches(void)
{
	static const char before[] = "0123456789012345678901234567890123456789\trefs/heads/main\n";
	static const char after[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\trefs/heads/main\n";
	struct store_comparison found;

	assert_int_equal(poll_due(&f, 1, true), ERR_NONE);
	assert_int_equal(heads_compare(&f, before), ERR_NONE);
	look();
	assert_int_equal(heads_compare(&f, after), ERR_NONE);
	found = take_comparison(&f);
	assert_int_equal(found.count, 1);
	assert_true(head_recover(&f, &found.items[0]) > 0);
	store_comparison_fini(&found);
	look();
	assert_int_equal(poll_done(&f, "app", "no route to host"), ERR_NONE);
	look();
}

static void
delete_repository(void)
{
	assert_int_equal(put_repo(&f, "gone", 0, false), ERR_NONE);
	keep_secrets();
	assert_int_equal(build_cancel(&f, submit(&f, "gone", NULL, NULL)), ERR_NONE);
	assert_int_equal(repo_delete(&f, "gone"), ERR_NONE);
	look();
}

static void
test_page_and_redis_agree(void **state)
{
	(void)state;
	read_page();
	assert_true(doc_count > 20);
	assert_int_equal(put_repo(&f, "app", 1, true), ERR_NONE);
	run_build();
	deliver();
	run_graph();
	trigger_builds();
	deploy();
	look_at_branches();
	delete_repository();
	assert_int_equal(renew(&f, NULL, 0), ERR_NONE);
	look();
	for (size_t i = 0; i < doc_count; i++) {
		if (!docs[i].seen)
			fail_msg("doc/redis-keys.md: no key like %s was ever there", docs[i].pattern);
		for (size_t k = 0; k < docs[i].field_count; k++)
			if (!docs[i].fields[k].seen)
				fail_msg("doc/redis-keys.md: %s never had a field %s", docs[i].pattern,
				    docs[i].fields[k].name);
		regfree(&docs[i].regex);
	}
}

static int
setup(void **state)
{
	(void)state;
	redis_fixture_start(&server, NULL);
	store_fixture_start(&f, &server, "n1");
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	store_fixture_stop(&f);
	redis_fixture_stop(&server);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_page_and_redis_agree, setup, teardown),
	};

	alarm(60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
