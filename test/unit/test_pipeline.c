#include "test/unit/unit.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "proto/buf.h"
#include "proto/json.h"
#include "proto/mem.h"
#include "proto/pipeline.h"

static const char *
srcdir(void)
{
	const char *dir = getenv("srcdir");

	return dir != NULL ? dir : ".";
}

/* The file's bytes; NULL when there is none. free() them. */
static char *
slurp(const char *path, size_t *len)
{
	FILE *file = fopen(path, "r");
	char *text;

	if (file == NULL)
		return NULL;
	text = xcalloc(1, 1 << 20);
	*len = fread(text, 1, (1 << 20) - 1, file);
	fclose(file);
	return text;
}

static void
refuse(const char *text, const char *message)
{
	struct plan *plan = NULL;
	struct err err = ERR_OK;

	assert_false(pipeline_parse(str_of(text), "daocloud.yml", NULL, &plan, &err));
	assert_null(plan);
	assert_int_equal(err.code, ERR_INPUT);
	if (strncmp(err.text, "daocloud.yml:", 13) != 0 || strcmp(err.text + 13, message) != 0)
		fail_msg("\"%s\" instead of \"%s\"", err.text + 13, message);
}

static bool
json_equal(const struct json_value *a, const struct json_value *b)
{
	if (json_type(a) != json_type(b) || json_count(a) != json_count(b))
		return false;
	for (size_t i = 0; i < json_count(a); i++)
		if ((json_type(a) == JSON_OBJECT && strcmp(json_key_at(a, i), json_key_at(b, i)) != 0) ||
		    !json_equal(json_at(a, i), json_at(b, i)))
			return false;
	return strcmp(json_string(a, ""), json_string(b, "")) == 0 && json_int(a, -1) == json_int(b, -1);
}

/* What is read back from the job's and the notification's JSON must print the same. */
static void
check_round_trip(const struct plan *plan)
{
	struct notify_spec notify = { 0 };
	struct job_spec job = { 0 };
	struct err err;
	char *first, *second;

	for (size_t i = 0; i < plan->job_count; i++) {
		first = job_spec_to_json(&plan->jobs[i]);
		assert_true(job_spec_from_json(str_of(first), &job, &err));
		second = job_spec_to_json(&job);
		assert_string_equal(first, second);
		free(first);
		free(second);
		job_spec_fini(&job);
	}
	first = notify_spec_to_json(&plan->notify);
	assert_true(notify_spec_from_json(str_of(first), &notify, &err));
	second = notify_spec_to_json(&notify);
	assert_string_equal(first, second);
	free(first);
	free(second);
	notify_spec_fini(&notify);
}

/* The context that a fixture's first line gives: "# context: event=push branch=main path=a.go param.NAME=VALUE". */
struct change_context {
	struct pipeline_context context;
	struct strings texts; /* what the context points into */
	struct strings paths;
	struct env parameters;
};

static const char *
keep(struct change_context *c, struct str text)
{
	strings_add(&c->texts, text);
	return c->texts.items[c->texts.count - 1];
}

static void
set_word(struct change_context *c, struct str name, struct str value)
{
	struct pipeline_context *context = &c->context;
	const char *text = keep(c, value);
	const struct {
		const char *name;
		const char **member;
	} members[] = { { "event", &context->event }, { "repo", &context->repo }, { "ref", &context->ref },
		{ "branch", &context->branch }, { "tag", &context->tag }, { "commit", &context->commit },
		{ "author", &context->author }, { "environment", &context->environment } };

	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		if (str_is(name, members[i].name)) {
			*members[i].member = text;
			return;
		}
	}
	if (str_is(name, "path")) {
		strings_add(&c->paths, value);
		context->paths = &c->paths;
	} else if (str_is(name, "number")) {
		context->pull_number = strtoll(text, NULL, 10);
	} else {
		assert_true(str_has_prefix(name, "param."));
		env_add(&c->parameters, keep(c, (struct str){ name.p + 6, name.len - 6 }), text);
		context->parameters = &c->parameters;
	}
}

static void
context_read(struct change_context *c, const char *text)
{
	static const char mark[] = "# context: ";
	struct str rest = str_of(text), line = str_cut(&rest, '\n');

	*c = (struct change_context){ 0 };
	if (!str_has_prefix(line, mark))
		return;
	line = (struct str){ line.p + sizeof(mark) - 1, line.len - sizeof(mark) + 1 };
	while (line.len > 0) {
		struct str word = str_cut(&line, ' '), name = str_cut(&word, '=');

		set_word(c, name, word);
	}
}

static void
context_fini(struct change_context *c)
{
	strings_fini(&c->texts);
	strings_fini(&c->paths);
	env_fini(&c->parameters);
}

static struct plan *
plan_for(const char *text, const struct pipeline_context *context)
{
	struct plan *plan = NULL;
	struct err err = ERR_OK;

	if (!pipeline_parse(str_of(text), "daocloud.yml", context, &plan, &err))
		fail_msg("%s", err.text);
	return plan;
}

static struct plan *
plan_of(const char *text)
{
	return plan_for(text, NULL);
}

static void
check_golden(const char *path)
{
	char *expected_path = xasprintf("%.*s.json", (int)(strlen(path) - 4), path), *text, *expected, *json;
	struct json *got_doc, *expected_doc;
	struct change_context change;
	struct plan *plan;
	struct err err;
	size_t len;

	text = slurp(path, &len);
	expected = slurp(expected_path, &len);
	assert_non_null(text);
	context_read(&change, text);
	plan = plan_for(text, &change.context);
	check_round_trip(plan);
	json = plan_to_json(plan);
	if (expected == NULL) {
		fprintf(stderr, "%s is missing: the plan is %s\n", expected_path, json);
		fail();
	}
	assert_true(json_parse(str_of(json), NULL, &got_doc, &err));
	assert_true(json_parse(str_of(expected), NULL, &expected_doc, &err));
	if (!json_equal(json_root(got_doc), json_root(expected_doc))) {
		fprintf(stderr, "%s: the plan is %s\n", path, json);
		fail();
	}
	json_free(&got_doc);
	json_free(&expected_doc);
	plan_free(&plan);
	context_fini(&change);
	free(json);
	free(expected);
	free(text);
	free(expected_path);
}

static void
test_fixtures_give_their_plans(void **state)
{
	char *folder = xasprintf("%s/test/fixtures/pipeline", srcdir());
	DIR *dir = opendir(folder);
	unsigned count = 0;

	(void)state;
	assert_non_null(dir);
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
		size_t len = strlen(entry->d_name);
		char *path;

		if (len < 5 || strcmp(entry->d_name + len - 4, ".yml") != 0)
			continue;
		path = xasprintf("%s/%s", folder, entry->d_name);
		check_golden(path);
		free(path);
		count++;
	}
	closedir(dir);
	free(folder);
	assert_true(count >= 22);
}

static void
test_line_ends_of_other_systems(void **state)
{
	struct plan *plan =
	    plan_of("\xef\xbb\xbfimage: busybox\r\nscript:\r\n  - |\r\n    one\r\n    two\r\n  - three\r\n");

	(void)state;
	assert_string_equal(plan->jobs[0].image, "busybox");
	assert_int_equal(plan->jobs[0].segments[0].command_count, 2);
	assert_string_equal(plan->jobs[0].segments[0].commands[0], "one\ntwo");
	assert_string_equal(plan->jobs[0].segments[0].commands[1], "three");
	plan_free(&plan);
}

#define JOB "image: busybox\nscript: [a]\n"

static void
test_files_that_cannot_be_a_pipeline(void **state)
{
	(void)state;
	refuse("", "1:1: the file is empty; write at least image: and script:");
	refuse("- a\n", "1:1: the file is a list; it must be a mapping with image: and script:");
	refuse("make check\n", "1:1: the file is a text; it must be a mapping with image: and script:");
	refuse("script: [a]\n", "1:1: the job test has no image; write image: NAME, as in image: debian:bookworm");
	refuse("image: busybox\n", "1:1: the job test has no script; write script: and a list of commands");
	refuse("image: busybox\nafter_script: [a]\nscript:\n",
	    "3:1: the job test has no script; write script: and a list of commands");
	refuse("image: busybox\nscript:\n- \n- ''\n",
	    "2:1: the job test has no script; write script: and a list of commands");
	refuse("image: node:5 \xef\xbc\x83 five\nscript: [a]\n",
	    "1:8: the fullwidth \xef\xbc\x83 (U+FF03) in image does not begin a comment; write #");
	refuse(JOB "services:\n  - mysql  \xef\xbc\x83 database\n",
	    "4:5: the fullwidth \xef\xbc\x83 (U+FF03) in services does not begin a comment; write #");
	refuse("version: [2]\n" JOB, "1:10: version wants a number, not a list");
	refuse("image: busybox\nscript: \"open\n", "2:9: what begins here does not end: a quote is missing");
}

static void
test_unknown_keys_name_the_nearest(void **state)
{
	(void)state;
	refuse("image: php\nservice:\n  - mysql\nscript: [a]\n",
	    "2:1: unknown key \"service\"; did you mean \"services\"?");
	refuse(JOB "befor_script: [a]\n", "3:1: unknown key \"befor_script\"; did you mean \"before_script\"?");
	refuse(JOB "Env: {}\n", "3:1: unknown key \"Env\"; did you mean \"env\"?");
	refuse(JOB "notfiy: {}\n", "3:1: unknown key \"notfiy\"; did you mean \"notify\"?");
	refuse(JOB "volumes: {}\n", "3:1: unknown key \"volumes\"; here it is cache, for folders that are kept; jobs "
				    "have none of the server's");
	refuse(JOB "privileged: yes\n",
	    "3:1: unknown key \"privileged\"; here it is not to be had: no job or service is privileged");
	refuse(JOB "platforms: [linux/amd64]\n",
	    "3:1: unknown key \"platforms\"; here it is build: {platforms: [...]} of an image, and labels: {platform: "
	    "...} of any other job");
	refuse("jobs:\n  a: {build: {tags: [b], platform: arm64}}\n",
	    "2:26: unknown key \"platform\"; here it is platforms");
	refuse(JOB "notify: {slack: '#builds'}\n",
	    "3:10: unknown key \"slack\"; here it is email: ADDRESS, the only kind "
	    "beside the commit status at the forge");
	refuse(JOB "notify:\n  email: a@example.org\n  webhook: http://example.org\n",
	    "5:3: unknown key \"webhook\"; here it is email: ADDRESS, the only kind beside the commit status at the "
	    "forge");
	refuse(
	    JOB "notify: {emial: a@example.org}\n", "3:10: unknown key \"emial\" in notify; did you mean \"email\"?");
	refuse(JOB "services: [{name: db, image: b, ready: {health: true}}]\n",
	    "3:41: unknown key \"health\"; here it is tcp: PORT, or healthcheck: true where the image has a "
	    "HEALTHCHECK");
	refuse(JOB "services: [{name: db, image: b, ready: {http: /}}]\n",
	    "3:41: unknown key \"http\"; here it is tcp: PORT; nothing is asked by HTTP");
	refuse(JOB "services: [{name: db, image: b, healthcheck: {}}]\n",
	    "3:33: unknown key \"healthcheck\"; here it is ready: {healthcheck: true} where the image has a "
	    "HEALTHCHECK, or "
	    "ready: {tcp: PORT}");
	refuse(JOB "cron: '0 0 * * *'\n",
	    "3:1: unknown key \"cron\"; here it is a setting of the repository: davit repo cron add");
	refuse(JOB "reports: {cobertura: a.xml}\n", "3:11: unknown key \"cobertura\"; here it is coverage");
	refuse("image: a\nsteps: [{uses: b}]\n",
	    "2:10: unknown key \"uses\"; here it is script: what an action does is written as commands");
	refuse(JOB "cache: {key: a, paths: [b], restore_keys: [c]}\n",
	    "3:29: unknown key \"restore_keys\"; here it is fallback");
	refuse("test:\n  imag: a\n", "2:3: unknown key \"imag\"; did you mean \"image\"?");
	refuse("version: 2.0\ntest:\n  image: a\n  script: a\nbiuld: {}\n",
	    "5:1: unknown key \"biuld\"; did you mean \"build\"?");
	refuse("test: {image: a, script: a}\nenv: []\n", "2:1: env stands beside test:; put it below test:");
	refuse("image: a\nbuild: {}\n", "1:1: image stands beside build:; put it below test:");
}

static void
test_bad_values(void **state)
{
	(void)state;
	refuse("image: [a]\nscript: a\n", "1:8: image wants an image such as debian:bookworm, not a list");
	refuse("image:\nscript: a\n", "1:7: image wants an image such as debian:bookworm, not nothing");
	refuse(JOB "timeout: 20\n", "3:10: timeout wants a duration such as 90s, 20m or 1h30m, at most 7d, not \"20\"");
	refuse(JOB "timeout: 0s\n", "3:10: timeout wants a duration such as 90s, 20m or 1h30m, at most 7d, not \"0s\"");
	refuse(JOB "timeout: 8d\n", "3:10: timeout wants a duration such as 90s, 20m or 1h30m, at most 7d, not \"8d\"");
	refuse(
	    JOB "timeout: {}\n", "3:10: timeout wants a duration such as 90s, 20m or 1h30m, at most 7d, not a mapping");
	refuse("image: a\nscript:\n  - echo note: done\n",
	    "3:5: script: a command is text, not a mapping; quote the line with \": \" in it");
	refuse("image: a\nscript:\n  - [x, [y: z]]\n",
	    "3:10: script: a command is text, not a mapping; quote the line with \": \" in it");
	refuse("test: [a]\n", "1:7: test wants a mapping with image: and script:, not a list");
	refuse("test:\n", "1:1: the job test has no image; write image: NAME, as in image: debian:bookworm");
}

static void
test_bad_env(void **state)
{
	(void)state;
	refuse(JOB "env: [MYSQL_PASSWORD]\n", "3:7: \"MYSQL_PASSWORD\" is no assignment; write NAME=value");
	refuse(JOB "env: ['A=1 2X=3', '2X=3']\n", "3:19: \"2X=3\" is no assignment; write NAME=value");
	refuse(JOB "env: {2X: 3}\n", "3:7: a shell cannot set a variable of the name \"2X\"");
	refuse(JOB "env: [UID=0]\n", "3:7: a shell cannot set a variable of the name \"UID\"");
	refuse(JOB "env: ['A=\"x']\n", "3:7: the quote in the value of A does not end");
	refuse(JOB "env: ['B=1 A=''x']\n", "3:7: the quote in the value of A does not end");
	refuse(JOB "env: [[A=1]]\n", "3:7: env wants NAME=value, not a list");
	refuse(JOB "env: {A: [1]}\n", "3:10: A wants a text, not a list");
}

static void
test_bad_services(void **state)
{
	(void)state;
	refuse(JOB "services:\n  redis:\n    image: redis\n",
	    "4:3: services is a list here, not the mapping of a compose file; write - {name: redis, image: ...}");
	refuse(JOB "services: [[a]]\n", "3:12: services wants a name or a mapping, not a list");
	refuse(JOB "services: [mysql, mysql:8]\n",
	    "3:19: two services have the name \"mysql\"; write name: and image: apart");
	refuse(JOB "services: [{name: x}]\n", "3:12: no service \"x\" is known; write its image:");
	refuse(JOB "services: [{}]\n", "3:12: a service needs name: or image:");
	refuse(JOB "services: [{name: A B, image: a}]\n",
	    "3:12: \"A B\" is no host name for a service; use a-z, 0-9, -, or write name: and image:");
	refuse(JOB "services: [{name: mysql, port: 1}]\n", "3:26: unknown key \"port\" in a service");
	refuse(JOB "services: [{name: mysql, imgae: a}]\n",
	    "3:26: unknown key \"imgae\" in a service; did you mean \"image\"?");
	refuse(JOB "services: [{name: mysql, ready: 0}]\n",
	    "3:33: ready wants a TCP port such as 5432, or healthcheck, not \"0\"");
	refuse(JOB "services: [{name: mysql, ready: {tcp: 65536}}]\n",
	    "3:39: ready wants a TCP port such as 5432, or healthcheck, not \"65536\"");
	refuse(JOB "services: [{name: mysql, ready: {timeout: 2h}}]\n",
	    "3:43: timeout wants a duration from 1s to 1h, not \"2h\"");
	refuse(JOB "services: [{name: mysql, ready: {tpc: 1}}]\n",
	    "3:34: unknown key \"tpc\" in ready; did you mean \"tcp\"?");
	refuse(JOB "services: [{name: [a]}]\n", "3:19: name wants a text, not a list");
	refuse(JOB "services: [s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, s12, s13, s14, s15, s16]\n",
	    "3:82: more than 16 services");
}

static void
test_bad_notify(void **state)
{
	(void)state;
	refuse(JOB "notify: [a]\n", "3:9: notify wants a mapping with email:, not a list");
	refuse(JOB "notify: {mail: {}}\n", "3:10: unknown key \"mail\" in notify; did you mean \"email\"?");
	refuse(JOB "notify: {email: {recipient: a@b}}\n",
	    "3:18: unknown key \"recipient\" in email; did you mean \"recipients\"?");
	refuse(JOB "notify: {email: {recipients: [dev]}}\n",
	    "3:31: recipients wants an address such as dev@example.org, not \"dev\"");
	refuse(JOB "notify: {email: {recipients: [\"a@b\\nBcc: c@d\"]}}\n",
	    "3:31: recipients wants an address such as dev@example.org, not \"a@b\nBcc: c@d\"");
	refuse(JOB "notify: {email: {on_success: sometimes}}\n",
	    "3:30: on_success wants always, never or change, not \"sometimes\"");
}

/* 250 kB that name one text a hundred times. */
static void
test_aliases_cannot_blow_a_plan_up(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, YML_MAX_BYTES);
	buf_adds(&b, "image: a\nscript:\n- &a ");
	for (int i = 0; i < 200000; i++)
		buf_addc(&b, 'x');
	for (int i = 0; i < 99; i++)
		buf_adds(&b, "\n- *a");
	assert_false(buf_failed(&b));
	refuse(b.data, "3:3: a job holds more than 1048576 bytes of commands and variables");
	buf_fini(&b);
}

static void
test_damaged_json_is_refused(void **state)
{
	static const char *const jobs[] = {
		"",
		"[]",
		"{}",
		"{\"name\":1,\"image\":\"a\",\"env\":[],\"services\":[],\"segments\":[],\"timeout\":0}",
		"{\"name\":\"t\",\"env\":[],\"services\":[],\"segments\":[],\"timeout\":0}",
		"{\"name\":\"t\",\"image\":\"a\",\"env\":[\"=x\"],\"services\":[],\"segments\":[],\"timeout\":0}",
		"{\"name\":\"t\",\"image\":\"a\",\"env\":{},\"services\":[],\"segments\":[],\"timeout\":0}",
		"{\"name\":\"t\",\"image\":\"a\",\"env\":[],\"services\":[{}],\"segments\":[],\"timeout\":0}",
		"{\"name\":\"t\",\"image\":\"a\",\"env\":[],\"services\":[],\"segments\":[{\"name\":\"s\"}],"
		"\"timeout\":0}",
		"{\"name\":\"t\",\"image\":\"a\",\"env\":[],\"services\":[],\"segments\":[{\"name\":\"s\",\"commands\":"
		"[1]}],\"timeout\":0}",
		"{\"name\":\"t\",\"image\":\"a\",\"env\":[],\"services\":[],\"segments\":[],\"timeout\":-1}",
		"{\"name\":\"t\"}",
		"{\"name\":\"t\",\"image\":\"a\",\"kind\":\"other\"}",
		"{\"name\":\"t\",\"image\":\"a\",\"needs\":[{\"job\":1}]}",
		"{\"name\":\"t\",\"image\":\"a\",\"artifacts\":[{\"on\":\"never\"}]}",
		"{\"name\":\"t\",\"kind\":\"build\",\"build\":{\"compile\":{\"tags\":1}}}",
		"{\"name\":\"t\",\"kind\":\"deploy\",\"deploy\":{}}",
	};
	static const char *const notifies[] = {
		"null",
		"{\"recipients\":[],\"on_success\":\"change\"}",
		"{\"recipients\":[],\"on_success\":\"change\",\"on_failure\":\"maybe\"}",
		"{\"recipients\":[7],\"on_success\":\"change\",\"on_failure\":\"always\"}",
	};
	struct notify_spec notify = { 0 };
	struct job_spec job = { 0 };
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(jobs) / sizeof(jobs[0]); i++)
		assert_false(job_spec_from_json(str_of(jobs[i]), &job, &err));
	assert_null(job.name);
	for (size_t i = 0; i < sizeof(notifies) / sizeof(notifies[0]); i++)
		assert_false(notify_spec_from_json(str_of(notifies[i]), &notify, &err));
	assert_null(notify.recipients);
}

/* Every member there is: written, read and written again it is the same text. */
static void
test_whole_spec_round_trip(void **state)
{
	static const char *const texts[] = {
		"{\"name\":\"test (go=1.22)\",\"image\":\"a\",\"env\":[\"A=b=c\"],\"services\":[{\"name\":\"db\","
		"\"image\":\"p:1\",\"env\":[],\"ready_port\":5,\"ready_timeout\":6}],\"segments\":[{\"name\":\"s\","
		"\"image\":\"other\",\"env\":[\"X=\"],\"commands\":[\"true\"],\"always\":true}],\"timeout\":9,"
		"\"skipped\":\"because\",\"needs\":[{\"job\":1,\"name\":\"lint\",\"files\":true}],"
		"\"run_on\":\"always\",\"allow_failure\":true,\"retry_max\":2,\"retry_on\":5,\"memory\":4294967296,"
		"\"nano_cpus\":500000000,\"labels\":[\"arch=amd64\"],\"group\":\"g\",\"group_cancel\":true,"
		"\"secrets\":[{\"name\":\"N\",\"variable\":\"V\"}],\"caches\":[{\"key\":\"k\",\"fallbacks\":[\"f\"],"
		"\"paths\":[\"/p\"]}],\"artifacts\":[{\"name\":\"n\",\"paths\":[\"bin/\"],\"expire\":7,"
		"\"on\":\"failure\"}],\"junit\":[\"*.xml\"],\"coverage\":\"c.xml\",\"hold\":300}",
		"{\"name\":\"image\",\"kind\":\"build\",\"env\":[],\"timeout\":0,\"build\":{\"dockerfile\":\"D\","
		"\"context\":\"\",\"args\":[\"A=1\"],\"target\":\"t\",\"tags\":[\"r/a:1\"],\"labels\":[\"l=1\"],"
		"\"push\":true,\"no_cache\":true,\"extract\":[\"/bin/"
		"a\"],\"compile\":{\"dockerfile\":\"C\",\"args\":[]}}}",
		"{\"name\":\"live\",\"kind\":\"deploy\",\"env\":[],\"timeout\":0,\"deploy\":{\"environment\":\"e\","
		"\"image\":\"i\",\"approve\":true}}",
	};
	struct job_spec job;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		char *text;

		assert_true(job_spec_from_json(str_of(texts[i]), &job, &err));
		text = job_spec_to_json(&job);
		assert_string_equal(text, texts[i]);
		free(text);
		job_spec_fini(&job);
	}
}

/* The text between "```yaml" and "```" behind *at; NULL when there is none. free() it. */
static char *
next_block(const char **at)
{
	const char *begin = strstr(*at, "```yaml\n"), *end;

	if (begin == NULL)
		return NULL;
	begin += strlen("```yaml\n");
	end = strstr(begin, "```\n");
	assert_non_null(end);
	*at = end + 4;
	return xstrndup(begin, (size_t)(end - begin));
}

/* A plan of text whose includes are all there. */
static struct plan *
plan_of_example(const char *text)
{
	struct pipeline_includes includes = { 0 };
	struct pipeline_context context = { .includes = &includes };
	struct plan *plan;
	struct err err;

	assert_true(pipeline_includes(str_of(text), "daocloud.yml", &includes, &err));
	for (size_t i = 0; i < includes.count; i++) {
		includes.items[i].text = xstrdup("env: {}");
		includes.items[i].len = strlen(includes.items[i].text);
	}
	plan = plan_for(text, &context);
	pipeline_includes_fini(&includes);
	return plan;
}

static void
test_the_manuals_examples_are_right(void **state)
{
	char *path = xasprintf("%s/doc/pipeline.md", srcdir()), *text, *block;
	unsigned count = 0;
	const char *at;
	size_t len;

	(void)state;
	text = slurp(path, &len);
	assert_non_null(text);
	at = text;
	while ((block = next_block(&at)) != NULL) {
		struct plan *plan = plan_of_example(block);

		if (plan->warning_count > 0)
			fail_msg("%s", plan->warnings[0]);
		check_round_trip(plan);
		plan_free(&plan);
		free(block);
		count++;
	}
	assert_true(count >= 25);
	free(text);
	free(path);
}

/* Whether "KEY:" stands in the text, at the beginning of a word. */
static bool
has_key(const char *text, const char *key)
{
	char *wanted = xasprintf("%s:", key);
	bool found = false;

	for (const char *at = text; !found && (at = strstr(at, wanted)) != NULL; at++)
		found = at == text || strchr(" {\n", at[-1]) != NULL;
	free(wanted);
	return found;
}

/* label and cluster_id only warn; the rest has an example. */
static void
test_the_manual_has_an_example_of_every_key(void **state)
{
	char *path = xasprintf("%s/doc/pipeline.md", srcdir()), *text, *block;
	struct buf examples;
	const char *at, *key;
	size_t len;

	(void)state;
	buf_init(&examples, 1 << 20);
	text = slurp(path, &len);
	assert_non_null(text);
	for (at = text; (block = next_block(&at)) != NULL; free(block))
		buf_adds(&examples, block);
	for (size_t i = 0; (key = pipeline_key_name(i)) != NULL; i++)
		if (strcmp(key, "label") != 0 && strcmp(key, "cluster_id") != 0 && !has_key(examples.data, key))
			fail_msg("doc/pipeline.md has no example of %s", key);
	buf_fini(&examples);
	free(text);
	free(path);
}

/* "FILE:LINE:COLUMN: " with numbers from 1. */
static bool
has_place(const char *message)
{
	unsigned line = 0, column = 0;
	const char *at = strchr(message, ':');

	return at != NULL && sscanf(at, ":%u:%u: ", &line, &column) == 2 && line > 0 && column > 0;
}

/* "test: python:2.7, mysql; build: Dockerfile after test; 1 warning" */
static char *
summary_of(const struct plan *plan)
{
	struct buf b;

	buf_init(&b, 1 << 20);
	for (size_t i = 0; i < plan->job_count; i++) {
		const struct job_spec *job = &plan->jobs[i];

		buf_addf(&b, "%s%s:", i > 0 ? "; " : "", job->name);
		if (job->build != NULL && job->build->compile != NULL)
			buf_addf(&b, " %s in /%s, %zu paths into", job->build->compile->dockerfile,
			    job->build->compile->context, job->build->extract.count);
		if (job->build != NULL)
			buf_addf(&b, " %s in /%s", job->build->dockerfile, job->build->context);
		else
			buf_addf(&b, " %s", job->image);
		for (size_t k = 0; k < job->service_count; k++)
			buf_addf(&b, ", %s", job->services[k].name);
		for (size_t k = 0; k < job->segment_count; k++)
			buf_addf(&b, ", %s of %zu", job->segments[k].name, job->segments[k].command_count);
		if (job->env.count > 0)
			buf_addf(&b, ", %zu variables", job->env.count);
		for (size_t k = 0; k < job->need_count; k++)
			buf_addf(&b, " after %s", job->needs[k].name);
	}
	if (plan->notify.recipient_count > 0)
		buf_addf(&b, "; %zu mail", plan->notify.recipient_count);
	if (plan->warning_count > 0)
		buf_addf(&b, "; %zu warning", plan->warning_count);
	return b.data;
}

/* The line of test/fixtures/corpus.txt for the file: what stands behind "NAME: "; NULL: none. free() it. */
static char *
expectation_for(const char *list, const char *name)
{
	struct str rest = str_of(list);

	while (rest.len > 0) {
		struct str line = str_cut(&rest, '\n');

		if (str_has_prefix(line, name) && str_has_prefix((struct str){ line.p + strlen(name), 2 }, ": "))
			return xstrndup(line.p + strlen(name) + 2, line.len - strlen(name) - 2);
	}
	return NULL;
}

/* What a file comes to: a plan in short, or the message without the file's name. free() it. */
static char *
outcome_of(struct str text)
{
	struct plan *plan = NULL;
	struct err err;
	char *outcome;

	if (!pipeline_parse(text, "f", NULL, &plan, &err)) {
		assert_true(has_place(err.text));
		return xstrdup(err.text + 2);
	}
	check_round_trip(plan);
	outcome = summary_of(plan);
	plan_free(&plan);
	return outcome;
}

/* Files that users wrote: third-party text that is not part of this tree, read where it lies. Those that the list names
 * come to what it says; others to a plan or a message with a place. */
static void
test_corpus_comes_to_what_is_expected(void **state)
{
	const char *folder = getenv("DAVIT_CORPUS");
	char *own = xasprintf("%s/../shared/corpus/daocloud", srcdir()), *list_path, *list;
	unsigned expected = 0, others = 0;
	DIR *dir = opendir(folder != NULL ? folder : own);
	size_t len;

	(void)state;
	if (dir == NULL) {
		free(own);
		skip();
	}
	list_path = xasprintf("%s/test/fixtures/corpus.txt", srcdir());
	list = slurp(list_path, &len);
	assert_non_null(list);
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
		char *path = xasprintf("%s/%s", folder != NULL ? folder : own, entry->d_name);
		char *expectation = expectation_for(list, entry->d_name), *text, *outcome;
		struct stat st;

		text = stat(path, &st) == 0 && S_ISREG(st.st_mode) ? slurp(path, &len) : NULL;
		if (text != NULL) {
			outcome = outcome_of((struct str){ text, len });
			if (expectation != NULL && strcmp(outcome, expectation) != 0) {
				fprintf(stderr, "%s: %s\n", entry->d_name, outcome);
				fail();
			}
			expected += expectation != NULL;
			others += expectation == NULL;
			free(outcome);
		}
		free(text);
		free(expectation);
		free(path);
	}
	closedir(dir);
	free(list);
	free(list_path);
	free(own);
	print_message("corpus: %u as expected, %u others\n", expected, others);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fixtures_give_their_plans),
		cmocka_unit_test(test_line_ends_of_other_systems),
		cmocka_unit_test(test_files_that_cannot_be_a_pipeline),
		cmocka_unit_test(test_unknown_keys_name_the_nearest),
		cmocka_unit_test(test_bad_values),
		cmocka_unit_test(test_bad_env),
		cmocka_unit_test(test_bad_services),
		cmocka_unit_test(test_bad_notify),
		cmocka_unit_test(test_aliases_cannot_blow_a_plan_up),
		cmocka_unit_test(test_damaged_json_is_refused),
		cmocka_unit_test(test_whole_spec_round_trip),
		cmocka_unit_test(test_the_manuals_examples_are_right),
		cmocka_unit_test(test_the_manual_has_an_example_of_every_key),
		cmocka_unit_test(test_corpus_comes_to_what_is_expected),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
