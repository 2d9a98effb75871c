/* What a job that deploys has of its environment when it begins. */
#include "test/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"
#include "server/app_deploy.h"
#include "server/store/store.h"

static char none[] = "", live[] = "live", app[] = "app", event[] = "push", ref[] = "refs/heads/main", branch[] = "main";

static struct environment
environment_of(char *image, char *command)
{
	return (struct environment){ .repo = app,
		.name = live,
		.kind = none,
		.image = image,
		.command = command,
		.variables = none,
		.events = none,
		.branches = none,
		.tags = none,
		.deployers = none };
}

static struct change trusted = { .trust = CHANGE_TRUSTED };
static const struct build build = { .event = event, .ref = ref, .branch = branch, .change = &trusted };

static void
assert_command(const struct job_spec *spec, const char *image, const char *command)
{
	assert_int_equal(spec->kind, JOB_KIND_SCRIPT);
	assert_string_equal(spec->image, image);
	assert_int_equal(spec->segment_count, 1);
	assert_string_equal(spec->segments[0].name, "command");
	assert_string_equal(spec->segments[0].commands[0], command);
}

#define APPLICATION "\"application\":[{\"name\":\"app\",\"image\":\"a\",\"replicas\":1}]"

/* {"name": "a", "kind": "deploy", MORE}; MORE of an application stands in its deploy. */
static struct job_spec
job_of(const char *more)
{
	bool is_application = strcmp(more, APPLICATION) == 0;
	char *text = xasprintf("{\"name\":\"a\",\"kind\":\"deploy\",\"env\":[],\"timeout\":0,%s"
			       "\"deploy\":{\"environment\":\"live\"%s%s}}",
	    is_application ? "" : more, is_application ? "," : "", is_application ? more : "");
	struct job_spec spec = { 0 };
	struct err err;

	if (!job_spec_from_json(str_of(text), &spec, &err))
		fail_msg("%s", err.text);
	free(text);
	return spec;
}

static struct app_deploy_target target;

#define OWN_IMAGE "\"image\":\"alpine:3\","
#define OWN_COMMAND "\"segments\":[{\"name\":\"command\",\"commands\":[\"own\"]}],"

static void
test_an_own_command_runs_in_its_own_image(void **state)
{
	static char image[] = "kubectl:1", command[] = "theirs";
	struct environment environment = environment_of(image, command);
	struct job_spec spec = job_of(OWN_IMAGE OWN_COMMAND);
	struct env env = { 0 };
	struct err err;

	(void)state;
	assert_true(app_deploy_begin(&environment, &build, &spec, &env, &target, &err));
	assert_command(&spec, "alpine:3", "own");
	job_spec_fini(&spec);
	spec = job_of(OWN_COMMAND);
	assert_true(app_deploy_begin(&environment, &build, &spec, &env, &target, &err));
	assert_command(&spec, "kubectl:1", "own");
	job_spec_fini(&spec);
	assert_int_equal(env.count, 0);
}

static void
test_the_environments_command_runs_in_the_environments_image(void **state)
{
	static char image[] = "kubectl:1", command[] = "theirs", variables[] = "{\"CLUSTER\":\"eu\"}";
	struct environment environment = environment_of(image, command);
	struct job_spec spec = job_of(OWN_IMAGE);
	struct env env = { 0 };
	struct err err;

	(void)state;
	environment.variables = variables;
	assert_true(app_deploy_begin(&environment, &build, &spec, &env, &target, &err));
	assert_command(&spec, "kubectl:1", "theirs");
	assert_int_equal(env.count, 1);
	assert_string_equal(env.vars[0].name, "CLUSTER");
	assert_string_equal(env.vars[0].value, "eu");
	env_fini(&env);
	job_spec_fini(&spec);
	environment.image = none;
	spec = job_of(OWN_IMAGE);
	assert_true(app_deploy_begin(&environment, &build, &spec, &env, &target, &err));
	assert_command(&spec, "alpine:3", "theirs");
	env_fini(&env);
	job_spec_fini(&spec);
}

static void
assert_refused(const struct environment *environment, const struct build *of, const char *more, const char *why)
{
	struct job_spec spec = job_of(more);
	struct env env = { 0 };
	struct err err;

	assert_false(app_deploy_begin(environment, of, &spec, &env, &target, &err));
	assert_int_equal(err.code, ERR_REFUSED);
	if (strstr(err.text, why) == NULL)
		fail_msg("%s, and not %s", err.text, why);
	job_spec_fini(&spec);
}

/* An application goes to an engine, and nothing else does. */
static void
test_an_application(void **state)
{
	static char kind[] = "engine", command_kind[] = "command", engine[] = "live", command[] = "theirs";
	struct environment environment = environment_of(none, none);
	struct job_spec spec = job_of(APPLICATION);
	struct env env = { 0 };
	struct err err;

	(void)state;
	environment.kind = kind;
	environment.engine = engine;
	environment.deployed = 7;
	assert_true(app_deploy_begin(&environment, &build, &spec, &env, &target, &err));
	assert_string_equal(target.engine, "live");
	assert_int_equal(target.previous, 7);
	job_spec_fini(&spec);
	assert_refused(&environment, &build, OWN_IMAGE OWN_COMMAND, "the environment live takes applications alone");
	environment.kind = command_kind;
	environment.command = command;
	assert_refused(&environment, &build, APPLICATION, "the environment live takes no applications");
}

static void
assert_kept(char *begun, bool is_swarm_now, bool was_swarm, const char *why)
{
	const struct job job = { .kind = begun };
	struct app_deploy_target now = { .is_swarm = is_swarm_now };
	struct err err = ERR_OK;

	assert_int_equal(app_deploy_keep_kind(&job, &now, &err), why == NULL);
	assert_int_equal(now.is_swarm, was_swarm);
	if (why != NULL && strstr(err.text, why) == NULL)
		fail_msg("%s, and not %s", err.text, why);
}

/* What was interrupted goes on, or back, where it was begun. */
static void
test_a_kind_is_kept(void **state)
{
	static char engine[] = "engine", swarm[] = "swarm";

	(void)state;
	assert_kept(engine, false, false, NULL);
	assert_kept(swarm, true, true, NULL);
	assert_kept(engine, true, false, "kind engine when it began, and is of the kind swarm now");
	assert_kept(swarm, false, true, "kind swarm when it began, and is of the kind engine now");
	assert_kept(none, true, true, NULL);
}

static void
test_what_is_not_allowed_or_says_nothing(void **state)
{
	static char tags[] = "v*", command[] = "theirs";
	struct environment environment = environment_of(none, none);
	struct change theirs = { .trust = CHANGE_FORK };
	struct build fork = build;

	(void)state;
	fork.change = &theirs;
	assert_refused(&environment, &fork, OWN_IMAGE OWN_COMMAND, "takes no code of forks");
	assert_refused(&environment, &build, OWN_IMAGE, "has a command that deploys");
	environment.command = command;
	assert_refused(&environment, &build, "", "names an image");
	environment.tags = tags;
	assert_refused(&environment, &build, OWN_IMAGE, "does not take refs/heads/main");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_own_command_runs_in_its_own_image),
		cmocka_unit_test(test_the_environments_command_runs_in_the_environments_image),
		cmocka_unit_test(test_what_is_not_allowed_or_says_nothing),
		cmocka_unit_test(test_an_application),
		cmocka_unit_test(test_a_kind_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
