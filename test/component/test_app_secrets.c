/* The secrets of a job, with a store on a real Redis: who gets which, what is refused in which words, and that nothing
 * of them comes out. */
#include "test/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "proto/mem.h"
#include "server/app_secrets.h"
#include "server/core/disk.h"
#include "server/core/loop.h"
#include "test/component/store_suite.h"

#define TEXT(literal) ((char *)(literal))
#define CANARY "c4n4ry-of-the-coal-mine"

static struct disk *disk;

/* One job that asks for these, and what came of it. */
struct ask {
	struct secret_spec secrets[4];
	struct job_spec spec;
	struct deploy_spec deploy;
	struct change change;
	struct build build;
	struct app_secrets *job;
	struct env env;
	struct err err;
	bool answered;
};

static void
on_answer(void *arg, const struct err *err)
{
	struct ask *ask = arg;

	ask->err = err != NULL ? *err : ERR_OK;
	ask->answered = true;
	loop_stop(f.loop);
}

static void
ask_init(struct ask *ask, size_t count)
{
	*ask = (struct ask){ .secrets = { { TEXT("TOKEN"), TEXT("TOKEN") }, { TEXT("KEY"), TEXT("DEPLOY_KEY") } },
		.change = { .trust = CHANGE_TRUSTED },
		.build = { .event = TEXT("push"), .ref = TEXT("refs/heads/main") } };
	ask->spec.secrets = ask->secrets;
	ask->spec.secret_count = count;
	ask->build.change = &ask->change;
}

/* "" when they were given. */
static const char *
run(struct ask *ask)
{
	struct app_secrets_job job = { .id = "17.2", .spec = &ask->spec, .build = &ask->build };

	assert_int_equal(repo_get(&f, "app"), ERR_NONE);
	job.repo = f.got.repo;
	ask->job = app_secrets_start(f.loop, disk, f.store, &job, on_answer, ask);
	assert_false(ask->answered);
	loop_run(f.loop);
	assert_true(ask->answered);
	if (ask->err.code == ERR_NONE)
		app_secrets_add(ask->job, &ask->env);
	return ask->err.text;
}

static void
end(struct ask *ask)
{
	app_secrets_free(&ask->job);
	env_fini(&ask->env);
}

static void
put(const char *scope, const char *owner, const char *name, const char *value, const char *events, const char *branches)
{
	const struct secret secret = {
		.scope = (char *)scope,
		.owner = (char *)owner,
		.name = (char *)name,
		.value = (char *)value,
		.events = (char *)events,
		.branches = (char *)branches,
	};

	assert_int_equal(secret_put(&f, &secret), ERR_NONE);
}

static void
test_a_job_gets_what_it_asks_for(void **state)
{
	struct ask ask;

	(void)state;
	put("repo", "app", "TOKEN", CANARY, "push", "main");
	put("org", "acme", "KEY", "key of acme", "", "");
	put("repo", "app", "OTHER", "not asked for", "", "");
	ask_init(&ask, 2);
	assert_string_equal(run(&ask), "");
	assert_int_equal(ask.env.count, 2);
	assert_string_equal(ask.env.vars[0].name, "TOKEN");
	assert_string_equal(ask.env.vars[0].value, CANARY);
	assert_string_equal(ask.env.vars[1].name, "DEPLOY_KEY");
	assert_string_equal(ask.env.vars[1].value, "key of acme");
	assert_string_equal(app_secrets_words(ask.job), "secrets: TOKEN of repo app, KEY of org acme");
	end(&ask);
}

static void
test_an_environment_is_for_who_deploys_to_it(void **state)
{
	const struct environment environment = { .repo = TEXT("app"), .name = TEXT("production") };
	struct ask ask;

	(void)state;
	assert_int_equal(environment_put(&f, &environment, true), ERR_NONE);
	put("environment", "app/production", "TOKEN", CANARY, "", "");
	ask_init(&ask, 1);
	run(&ask);
	assert_int_equal(ask.err.code, ERR_REFUSED);
	end(&ask);
	ask_init(&ask, 1);
	ask.deploy.environment = TEXT("production");
	ask.spec.deploy = &ask.deploy;
	assert_string_equal(run(&ask), "");
	assert_string_equal(ask.env.vars[0].value, CANARY);
	end(&ask);
}

static void
refused(const char *event, const char *ref, enum change_trust trust, const char *words)
{
	struct ask ask;

	ask_init(&ask, 1);
	ask.build.event = (char *)event;
	ask.build.ref = (char *)ref;
	ask.change.trust = trust;
	run(&ask);
	assert_int_equal(ask.err.code, ERR_REFUSED);
	if (strcmp(ask.err.text, words) != 0)
		fail_msg("%s", ask.err.text);
	assert_int_equal(ask.env.count, 0);
	assert_null(app_secrets_words(ask.job));
	end(&ask);
}

static void
test_who_gets_none_and_in_which_words(void **state)
{
	struct ask ask;

	(void)state;
	refused("pull_request", "refs/pull/7/head", CHANGE_TRUSTED,
	    "secret TOKEN is not there for repository app, event pull_request: \"davit secret set TOKEN --repo app\" "
	    "sets it");
	put("repo", "app", "TOKEN", CANARY, "push,tag", "main");
	refused("pull_request", "refs/pull/7/head", CHANGE_FORK,
	    "code from outside the repository gets no secrets, and this job asks for TOKEN");
	refused("push", "refs/heads/main", CHANGE_FORK,
	    "code from outside the repository gets no secrets, and this job asks for TOKEN");
	refused("manual", "refs/pull/7/head", CHANGE_TRUSTED,
	    "code from outside the repository gets no secrets, and this job asks for TOKEN");
	refused("cron", "refs/heads/main", CHANGE_TRUSTED,
	    "secret TOKEN of repo app is not for event cron, refs/heads/main: it is for the events push,tag");
	refused("push", "refs/heads/topic", CHANGE_TRUSTED,
	    "secret TOKEN of repo app is not for event push, refs/heads/topic: it is for the branches main");
	ask_init(&ask, 1);
	ask.build.change = NULL; /* nobody knows whose code it is */
	run(&ask);
	assert_int_equal(ask.err.code, ERR_REFUSED);
	end(&ask);
	ask_init(&ask, 0); /* who asks for none runs, fork or not */
	ask.change.trust = CHANGE_FORK;
	assert_string_equal(run(&ask), "");
	end(&ask);
}

static void
test_bad_variables_and_values(void **state)
{
	struct ask ask;

	(void)state;
	put("repo", "app", "TOKEN", CANARY, "", "");
	ask_init(&ask, 1);
	ask.secrets[0].variable = TEXT("a=b; rm");
	assert_non_null(strstr(run(&ask), "a shell cannot set a variable of the name"));
	end(&ask);
	ask_init(&ask, 1);
	ask.secrets[0].name = TEXT("repo:app:TOKEN");
	assert_non_null(strstr(run(&ask), "no secret can be called"));
	end(&ask);
	redis_fixture_ask(&server, "HSET davit:secret:repo:app:TOKEN value v1:AAAA");
	ask_init(&ask, 1);
	assert_non_null(strstr(run(&ask), "does not open"));
	assert_int_equal(ask.err.code, ERR_REFUSED);
	end(&ask);
}

static void
expect_output(struct app_secrets_output output, const char *text, uint64_t raw)
{
	assert_int_equal(output.text.len, strlen(text));
	assert_memory_equal(output.text.p, text, output.text.len);
	assert_int_equal(output.raw, raw);
}

static void
test_output_is_hidden_and_raw_bytes_are_counted(void **state)
{
	char reason[] = "fetch: forge token " CANARY;
	struct ask ask;

	(void)state;
	put("repo", "app", "TOKEN", CANARY, "", "");
	ask_init(&ask, 1);
	assert_string_equal(run(&ask), "");
	expect_output(app_secrets_hide(ask.job, APP_SECRETS_STDOUT, STR("a c4n4ry-"), 100), "a ", 93);
	expect_output(app_secrets_hide(ask.job, APP_SECRETS_STDERR, STR("c4n4ry-of"), 9), "", 0);
	expect_output(app_secrets_hide(ask.job, APP_SECRETS_STDOUT, STR("of-the-coal-mine\n"), 117), "***\n", 117);
	expect_output(app_secrets_flush(ask.job, APP_SECRETS_STDOUT), "", 117);
	expect_output(app_secrets_hide(ask.job, APP_SECRETS_STDERR, STR("-war"), 13), "c4n4ry-of-war", 13);
	expect_output(app_secrets_hide(ask.job, APP_SECRETS_STDOUT, STR("x c4n4ry"), 130), "x ", 124);
	expect_output(app_secrets_flush(ask.job, APP_SECRETS_STDOUT), "***", 130);
	app_secrets_hide_text(ask.job, reason);
	assert_string_equal(reason, "fetch: *** ***");
	end(&ask);
}

/* Also what the repository has of its own, in a job without secrets. */
static void
test_what_the_repository_has_of_its_own(void **state)
{
	struct ask ask;

	(void)state;
	ask_init(&ask, 0);
	assert_string_equal(run(&ask), "");
	expect_output(
	    app_secrets_hide(ask.job, APP_SECRETS_STDOUT, STR("forge token, webhook secret\n"), 28), "***, ***\n", 28);
	end(&ask);
}

static void
test_a_question_is_taken_back(void **state)
{
	struct ask ask;
	struct app_secrets_job job;
	char text[] = "forge token";

	(void)state;
	ask_init(&ask, 1);
	assert_int_equal(repo_get(&f, "app"), ERR_NONE);
	job = (struct app_secrets_job){ .id = "17.2", .spec = &ask.spec, .build = &ask.build, .repo = f.got.repo };
	ask.job = app_secrets_start(f.loop, disk, f.store, &job, on_answer, &ask);
	app_secrets_hide_text(ask.job, text);
	app_secrets_cancel(ask.job);
	app_secrets_hide_text(ask.job, text);
	assert_string_equal(text, "***");
	app_secrets_free(&ask.job);
	ask.job = app_secrets_start(f.loop, disk, f.store, &job, on_answer, &ask);
	app_secrets_free(&ask.job);
	ask.spec.secret_count = 0;
	ask.job = app_secrets_start(f.loop, disk, f.store, &job, on_answer, &ask);
	app_secrets_free(&ask.job);
	assert_int_equal(build_get(&f, 1), ERR_NOT_FOUND); /* whatever was to come has come */
	assert_false(ask.answered);
}

/* Their mask takes longer than the loop may be held: a thread makes it. */
static void
test_secrets_of_many_bytes(void **state)
{
	static char one[32 * 1024], other[32 * 1024], text[256];
	struct ask ask;
	struct repo *repo;
	char *whole;
	struct app_secrets_job job;

	(void)state;
	for (size_t i = 0; i + 1 < sizeof(one); i++) {
		one[i] = (char)('a' + (i * i + i / 7) % 26);
		other[i] = (char)('A' + (i * i + i / 11) % 26);
	}
	put("repo", "app", "TOKEN", one, "", "");
	put("repo", "app", "KEY", other, "", "");
	ask_init(&ask, 2);
	assert_string_equal(run(&ask), "");
	whole = xasprintf("<%s>", other);
	app_secrets_hide_text(ask.job, whole);
	assert_string_equal(whole, "<***>");
	free(whole);
	end(&ask);

	ask_init(&ask, 2); /* taken back while the thread has it */
	assert_int_equal(repo_get(&f, "app"), ERR_NONE);
	repo = f.got.repo;
	f.got.repo = NULL;
	job = (struct app_secrets_job){ .id = "17.2", .spec = &ask.spec, .build = &ask.build, .repo = repo };
	ask.job = app_secrets_start(f.loop, disk, f.store, &job, on_answer, &ask);
	assert_int_equal(build_get(&f, 1), ERR_NOT_FOUND); /* so the store has answered the question before it */
	app_secrets_cancel(ask.job);
	snprintf(text, sizeof(text), "forge token %.8s", one);
	app_secrets_hide_text(ask.job, text);
	assert_memory_equal(text, "*** ", 4);
	app_secrets_free(&ask.job);
	repo_free(&repo);
	assert_false(ask.answered);
}

static int
setup(void **state)
{
	int failed = suite_setup(state);

	disk = disk_new(f.loop);
	return failed;
}

static int
teardown(void **state)
{
	disk_free(&disk);
	return suite_teardown(state);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_job_gets_what_it_asks_for),
		TEST(test_an_environment_is_for_who_deploys_to_it),
		TEST(test_who_gets_none_and_in_which_words),
		TEST(test_bad_variables_and_values),
		TEST(test_output_is_hidden_and_raw_bytes_are_counted),
		TEST(test_what_the_repository_has_of_its_own),
		TEST(test_a_question_is_taken_back),
		TEST(test_secrets_of_many_bytes),
	};

	alarm(120);
	return cmocka_run_group_tests(tests, suite_start, suite_stop);
}
