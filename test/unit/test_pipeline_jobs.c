/* The forms with several jobs: what is refused, with its place, and what the fixtures cannot show. */
#include "test/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/buf.h"
#include "proto/mem.h"
#include "proto/pipeline.h"

static const struct pipeline_context push = {
	.event = "push",
	.repo = "acme/boat",
	.ref = "refs/heads/main",
	.branch = "main",
	.commit = "2b6dae9f00000000000000000000000000000000",
};

static struct plan *
plan_for(const char *text, const struct pipeline_context *context)
{
	struct plan *plan = NULL;
	struct err err = ERR_OK;

	if (!pipeline_parse(str_of(text), "f", context, &plan, &err))
		fail_msg("%s", err.text);
	return plan;
}

static void
refuse_for(const char *text, const struct pipeline_context *context, const char *message)
{
	struct plan *plan = NULL;
	struct err err = ERR_OK;

	if (pipeline_parse(str_of(text), "f", context, &plan, &err))
		fail_msg("%s makes a plan", text);
	assert_null(plan);
	assert_int_equal(err.code, ERR_INPUT);
	if (strcmp(err.text, message) != 0)
		fail_msg("\"%s\" instead of \"%s\"", err.text, message);
}

static void
refuse(const char *text, const char *message)
{
	char *whole = xasprintf("f:%s", message);

	refuse_for(text, NULL, whole);
	free(whole);
}

/* The jobs' names in the plan's order, each with the numbers of those it needs: "a b:1 c:1,2". */
static void
expect_order(const char *text, const char *order)
{
	struct plan *plan = plan_for(text, NULL);
	struct buf b;

	buf_init(&b, 4096);
	for (size_t i = 0; i < plan->job_count; i++) {
		buf_addf(&b, "%s%s", i > 0 ? " " : "", plan->jobs[i].name);
		for (size_t k = 0; k < plan->jobs[i].need_count; k++)
			buf_addf(&b, "%c%u%s", k > 0 ? ',' : ':', plan->jobs[i].needs[k].job,
			    plan->jobs[i].needs[k].files ? "+" : "");
	}
	assert_string_equal(b.data, order);
	buf_fini(&b);
	plan_free(&plan);
}

static void
test_order_follows_needs(void **state)
{
	(void)state;
	expect_order("image: i\njobs: {a: {script: x}, b: {script: x}}", "a b");
	expect_order(
	    "image: i\njobs: {c: {script: x, needs: [b, a]}, b: {script: x, needs: a}, a: {script: x}}", "a b:1 c:1,2");
	expect_order("image: i\njobs: {a: {script: x, artifacts: o}, b: {script: x, needs: [a, a]}, c: {script: x, "
		     "needs: [{job: a, files: no}]}}",
	    "a b:1+ c:1");
	expect_order(
	    "image: i\njobs: {t: {script: x, matrix: {v: [1, 2]}}, d: {script: x, needs: t}, e: {script: x, needs: "
	    "\"t (v=2)\"}}",
	    "t (v=1) t (v=2) d:1,2 e:2");
	expect_order(
	    "image: i\nstages: [s, t]\nb: {stage: t, script: x}\na: {stage: s, script: x}\nc: {stage: t, script: x, "
	    "dependencies: [a]}",
	    "a b:1 c:1+");
}

static void
test_needs_that_cannot_be(void **state)
{
	(void)state;
	refuse("image: i\njobs:\n  test: {script: x}\n  d: {script: x, needs: [tset]}",
	    "4:26: there is no job \"tset\"; did you mean \"test\"?");
	refuse(
	    "image: i\njobs:\n  a: {script: x, needs: [c]}\n  b: {script: x, needs: [a]}\n  c: {script: x, needs: [b]}",
	    "4:26: the needs go in a circle: a needs c needs b needs a");
	refuse("image: i\njobs:\n  a: {script: x, needs: [a]}", "3:26: the needs go in a circle: a needs a");
	refuse("image: i\njobs:\n  a: {script: x, needs: [[a]]}", "3:26: needs wants names of jobs, not a list");
	refuse(
	    "image: i\njobs:\n  a: {script: x, needs: [{files: yes}]}", "3:26: needs wants job: and the name of one");
	refuse("image: i\nstages: [s, t]\na: {stage: s, script: x, dependencies: [b]}\nb: {stage: t, script: x}",
	    "4:1: the needs go in a circle: a needs b needs a");
	refuse("image: i\njobs:\n  \"a (v=1)\": {script: x}\n  a: {script: x, matrix: {v: [1]}}",
	    "4:3: two jobs have the name \"a (v=1)\"");
}

static void
test_jobs_that_cannot_be(void **state)
{
	(void)state;
	refuse("jobs:\n", "1:1: jobs: has no job; write NAME: with script: below it");
	refuse("jobs: [a]\n", "1:7: jobs wants a mapping such as {test: {script: [make check]}}, not a list");
	refuse("jobs: {a: [b]}\n", "1:11: a wants a mapping with image: and script:, not a list");
	refuse("jobs: {\"\": {}}\n", "1:8: \"\" is no name for a job: 1 to 100 bytes in one line");
	refuse("jobs: {\"a\\nb\": {}}\n", "1:8: \"a\nb\" is no name for a job: 1 to 100 bytes in one line");
	refuse("jobs: {a: {script: x}}\n",
	    "1:11: the job a has no image; write image: NAME, as in image: debian:bookworm");
	refuse("script: x\njobs: {a: {image: i}}\n", "1:1: script stands beside jobs:; put it into one of the jobs");
	refuse("jbos: {}\njobs: {a: {image: i}}\n", "1:1: unknown key \"jbos\"; did you mean \"jobs\"?");
	refuse("jobs: {a: {image: i, scirpt: x}}\n", "1:22: unknown key \"scirpt\"; did you mean \"script\"?");
	refuse("jobs: {a: {image: i, depends_on: x}}\n", "1:22: unknown key \"depends_on\"; here it is needs");
	refuse("jobs: {a: {build: ., deploy: x}}\n",
	    "1:22: deploy stands beside build; make two jobs, and name the first in needs: of the second");
	refuse("jobs: {a: {build: ., script: x}}\n",
	    "1:22: script means nothing in a job that builds an image; put it into a "
	    "job of its own and name that in needs:");
	refuse("language: go\nscript: x\n",
	    "1:1: unknown key \"language\"; here it is image, as in image: python:3.12; see davit convert");
	refuse("image: i\nscript: -x\n",
	    "2:9: script: an item of a list begins with - and a blank; this is one text that begins with -");
	refuse("image\xef\xbc\x9ai\n",
	    "1:1: the sign \xef\xbc\x9a (U+FF1A) in \"image\xef\xbc\x9ai\" is no sign of YAML; "
	    "write : and a blank");
}

static void
test_matrices_that_cannot_be(void **state)
{
#define MATRIX "image: i\nscript: x\nmatrix: "
	(void)state;
	refuse(MATRIX "[a]", "3:9: matrix wants a mapping such as {go: [\"1.21\", \"1.22\"]}, not a list");
	refuse(MATRIX "{}", "3:9: the matrix is empty; write an axis, as in go: [\"1.21\", \"1.22\"]");
	refuse(MATRIX "{a: 1}", "3:13: a wants a list of values, not \"1\"");
	refuse(MATRIX "{a: []}", "3:13: a wants a list of values, not a list");
	refuse(MATRIX "{a: [[1]]}", "3:14: a wants a text, not a list");
	refuse(MATRIX "{a-b: [1]}", "3:10: \"a-b\" is no name for an axis of a matrix: letters, digits and _");
	refuse(MATRIX "{arch: [1], exclude: [{arhc: 1}]}",
	    "3:32: unknown key \"arhc\" in exclude, which names axes; did you mean \"arch\"?");
	refuse(MATRIX "{a: [1], b: [1], include: [{a: 2}]}",
	    "3:36: this item fits no combination, and to be one of its own it lacks b");
	refuse(MATRIX "{a: [1], include: {a: 2}}", "3:27: include wants a list of mappings, not a mapping");
	refuse(MATRIX "{a: [1], include: [{a: 1, allow_failure: maybe}]}",
	    "3:50: allow_failure wants true or false, not \"maybe\"");
	refuse("image: \"i:${matrix.vresion}\"\nscript: x\nmatrix: {version: [1]}",
	    "1:8: there is no matrix \"vresion\"; did you mean \"version\"?");
	refuse("image: i\nscript: [\"${matrix.x}\"]", "2:10: there is no matrix \"x\"");
#undef MATRIX
}

/* "[0, 1, ...]" with count values. */
static void
add_axis(struct buf *b, const char *name, unsigned count)
{
	buf_addf(b, "%s: [", name);
	for (unsigned i = 0; i < count; i++)
		buf_addf(b, "%s%u", i > 0 ? ", " : "", i);
	buf_adds(b, "]");
}

static void
test_number_of_jobs(void **state)
{
	struct plan *plan;
	struct buf b;

	(void)state;
	buf_init(&b, 1 << 20);
	buf_adds(&b, "image: i\nscript: x\nmatrix: {");
	add_axis(&b, "a", 16);
	buf_adds(&b, ", ");
	add_axis(&b, "b", 16);
	buf_adds(&b, "}");
	plan = plan_for(b.data, NULL);
	assert_int_equal(plan->job_count, 256);
	plan_free(&plan);
	buf_reset(&b);
	buf_adds(&b, "image: i\njobs:\n  one: {script: x}\n  t: {script: x, matrix: {");
	add_axis(&b, "a", 256);
	buf_adds(&b, "}}");
	refuse(b.data, "4:3: more than 256 jobs once matrices are expanded");
	buf_reset(&b);
	buf_adds(&b, "image: i\nscript: x\nmatrix: {");
	add_axis(&b, "a", 100);
	buf_adds(&b, ", ");
	add_axis(&b, "b", 100);
	buf_adds(&b, "}");
	refuse(b.data, "3:9: the matrix has more than 1024 combinations");
	buf_reset(&b);
	buf_adds(&b, "image: i\njobs:\n");
	for (unsigned i = 0; i < 257; i++)
		buf_addf(&b, "  j%u: {script: x}\n", i);
	refuse(b.data, "259:3: more than 256 jobs");
	buf_fini(&b);
}

static void
test_values_that_cannot_be(void **state)
{
#define JOB "image: i\nscript: x\n"
	(void)state;
	refuse(JOB "when: [a]", "3:8: when wants a mapping such as {branch: main}, not \"a\"");
	refuse(JOB "when: sometimes", "3:7: when wants a mapping such as {branch: main}, not \"sometimes\"");
	refuse(JOB "when: {brnach: x}", "3:8: unknown key \"brnach\" in when; did you mean \"branch\"?");
	refuse(JOB "when: {branch: \"(a[\"}", "3:16: the expression \"(a[\" has a [ without its ]");
	refuse(JOB "when: {branch: \"\"}", "3:16: branch has an empty item");
	refuse(JOB "when: {event: pul_request}",
	    "3:15: there is no event \"pul_request\"; did you mean \"pull_request\"?");
	refuse(JOB "when: {event: x}",
	    "3:15: there is no event \"x\"; there are push, tag, pull_request, cron, manual, api and deploy");
	refuse(JOB "when: {status: passed}",
	    "3:16: status wants success, failure, always, or a list of them, not \"passed\"");
	refuse(JOB "when: manual",
	    "3:7: when: manual is deploy: {environment: ..., approve: true} here, or a build started "
	    "with parameters");
	refuse(JOB "cache: [{key: a}]", "3:9: a cache needs paths:");
	refuse(JOB "cache: [../x]", "3:8: \"../x\" leads out of the workspace");
	refuse(JOB "cache: {key: [a], paths: b}", "3:14: key wants a text such as go-${checksum:go.sum}, not a list");
#undef JOB
}

static void
test_values_that_cannot_be_either(void **state)
{
#define JOB "image: i\nscript: x\n"
	(void)state;
	refuse(JOB "artifacts: /etc/passwd",
	    "3:12: \"/etc/passwd\" is absolute; paths begin at the workspace, where the repository is");
	refuse(JOB "artifacts: a/../../b", "3:12: \"a/../../b\" leads out of the workspace");
	refuse(
	    JOB "artifacts: [{paths: a}, {paths: b}]", "3:25: two artifacts have the name \"artifacts\"; write name:");
	refuse(JOB "artifacts: [{name: a/b, paths: a}]",
	    "3:20: name wants a name without / and without a dot before it, not \"a/b\"");
	refuse(JOB "artifacts: [{expire: soon, paths: a}]",
	    "3:22: expire wants a duration such as 12h or 30d, not \"soon\"");
	refuse(JOB "secrets: [A, A]", "3:14: two secrets have the variable A");
	refuse(JOB "secrets: [a-b]",
	    "3:11: a secret becomes a variable, and \"a-b\" is no name for one; write {name: ..., as: NAME}");
	refuse(JOB "secrets: [{as: A}]", "3:11: a secret needs name:");
	refuse(JOB "retry: 11", "3:8: retry wants a number from 0 to 10, not \"11\"");
	refuse(JOB "retry: {on: sometimes}",
	    "3:13: on wants infrastructure, failure, timeout, always, or a list of them, not \"sometimes\"");
	refuse(JOB "resources: {cpus: 0}", "3:19: cpus wants a number of cores such as 2 or 0.5, not \"0\"");
	refuse(JOB "resources: {memory: 2gb}", "3:21: memory wants a size such as 512m or 2g, not \"2gb\"");
	refuse(JOB "labels: [\"a b\"]",
	    "3:9: \"a b\" is no label of an engine; write NAME: VALUE of letters, digits, - _ . /");
	refuse(JOB "concurrency: {cancel: yes}",
	    "3:14: concurrency needs group:, as in {group: \"${branch}\", cancel: true}");
	refuse(JOB "concurrency: \"${brunch}\"",
	    "3:14: ${brunch} is no variable of the plan ($${ stands for ${ itself); did you mean \"branch\"?");
	refuse(JOB "mirror: maybe", "3:9: mirror wants true or false, not \"maybe\"");
	refuse(JOB "hold_on_failure: 2d",
	    "3:18: hold_on_failure wants true, or a duration such as 10m, at most 24h, not "
	    "\"2d\"");
	refuse(JOB "steps: []", "3:8: steps stand in the place of script; write one of them");
	refuse("image: i\nsteps: [{name: a}]", "2:9: this step has no script; write script: and a list of commands");
	refuse(JOB "parameters: {a-b: 1}", "3:14: a parameter becomes a variable, and \"a-b\" is no name for one");
	refuse(JOB "parameters: {a: {default: x, options: [y]}}",
	    "3:14: the parameter a has no option \"x\"; the first one is \"y\"");
	refuse(JOB "include: [../x]",
	    "3:11: include wants a path below the repository's root, such as ci/common.yml, not \"../x\"");
	refuse(JOB "include: [a, a]", "3:14: \"a\" is included twice");
	refuse(JOB "include: [{url: a}]", "3:12: unknown key \"url\"; include has file and template");
	refuse(JOB "include: a", "3:10: there is no file a to include");
	refuse(JOB "include: {template: ../x}",
	    "3:21: template wants the name of one of the server's templates, such as golang, not \"../x\"");
#undef JOB
}

static void
test_builds_and_deployments_that_cannot_be(void **state)
{
	(void)state;
	refuse("jobs: {a: {build: ../x}}", "1:19: build: \"../x\" leads out of the repository");
	refuse("jobs: {a: {build: {dockerflie: x}}}",
	    "1:20: unknown key \"dockerflie\" in build; did you mean \"dockerfile\"?");
	refuse("jobs: {a: {build: {push: yes}}}",
	    "1:19: push: true needs tags:, the full names under which the image is pushed");
	refuse(
	    "jobs: {a: {deploy: {image: i}}}", "1:20: deploy needs environment:, the name of one that the server has");
	refuse("jobs: {a: {build: {tags: {image: x, as: [versoin]}}}}",
	    "1:26: as: there is no form of a tag \"versoin\"; did you mean \"version\"?");
	refuse("jobs: {a: {build: {tags: {image: r:5/x:1, as: [sha]}}}}",
	    "1:26: tags: image: \"r:5/x:1\" has a tag; as: says which it gets");
	refuse("jobs: {a: {build: {tags: {image: x}}}}",
	    "1:26: tags wants image: NAME and as: [FORM, ...] in a mapping, not a mapping");
	refuse("jobs: {a: {build: {tags: x, existing: no}}}", "1:39: existing wants replace, keep or fail, not \"no\"");
	refuse("jobs: {a: {build: {platforms: [linux/amd64, linux/amd46], tags: x, push: yes}}}",
	    "1:31: platforms: \"linux/amd46\" is no platform; did you mean \"linux/amd64\"?");
	refuse("jobs: {a: {build: {platforms: [linux/arm, linux/arm/v7], tags: x, push: yes}}}",
	    "1:31: platforms: linux/arm/v7 stands there twice");
	refuse("jobs: {a: {build: {platforms: [linux/arm, linux/386], tags: x}}}",
	    "1:19: several platforms need push: true and tags:, since only a registry can have the list of them");
	refuse("jobs: {a: {build: {platforms: [linux/arm, linux/386], tags: \"x@sha256:"
	       "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\", push: yes}}}",
	    "1:11: tags: behind \"x@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\" there is "
	    "no room for -linux/arm/v7, which its image of that platform is called");
	refuse("build: {image: {}, lite_image: {}}",
	    "1:9: image stands beside lite_image:; build: has one of image and lite_image");
	refuse("build: {lite_image: {extract: [/a], package: {}}}",
	    "1:8: extract: takes files out of the image of compile:, which is missing");
	refuse("build: {lite_image: {compile: {}, extract: [a]}}",
	    "1:44: extract: \"a\" must be absolute, as it lies in the compiled image");
	refuse("build: image", "1:8: build wants a mapping with image: or lite_image:, not \"image\"");
	refuse("test: {image: i, script: x, build: {}}",
	    "1:29: build cannot stand here; it is a key beside test:, or of a job below jobs:");
	refuse("image: i\nscript: x\nservices: [{mysql: 5.6}]",
	    "3:12: a service is written \"mysql\", \"mysql:TAG\" or {name: mysql, image: IMAGE}");
	refuse("image: i\nscript: x\nvolumes: {}",
	    "3:1: unknown key \"volumes\"; here it is cache, for folders that are "
	    "kept; jobs have none of the server's");
	refuse("build: {lite_image: {comiple: {}}}",
	    "1:22: unknown key \"comiple\" in lite_image; did you mean \"compile\"?");
	refuse("build: {image: {dockerfile: x}}",
	    "1:17: unknown key \"dockerfile\" in image; did you mean \"dockerfile_path\"?");
}

static void
test_stages_that_cannot_be(void **state)
{
#define STAGES "image: i\nstages: [one, two]\n"
	(void)state;
	refuse(STAGES "a: {stage: one, script: x, needs: [b]}",
	    "3:28: needs cannot stand here; it is the order of stages, and dependencies: for files");
	refuse(STAGES, "2:1: there are stages, but no job; write NAME: with stage: and script: below it");
	refuse(
	    STAGES "a: {stage: tow, script: x}", "3:12: there is no stage \"tow\" in stages:; did you mean \"two\"?");
	refuse(STAGES "a: {stage: one, job_type: tset}", "3:27: job_type wants default, test, image_build, "
							 "lite_image_build, DCS_deploy, DCE_deploy or DCS_test_deploy, "
							 "not \"tset\"");
	refuse(STAGES "a: {stage: one, job_type: DCS_deploy}",
	    "3:4: the job a does not say where to deploy to; write app_name: ENVIRONMENT");
	refuse(STAGES "variables: [x]\na: {stage: one, script: x}", "3:1: unknown key \"variables\"; here it is env");
	refuse(STAGES "a: {stage: one, script: x, only: {branch: x}}",
	    "3:35: unknown key \"branch\" in only; did you mean \"branches\"?");
	refuse("image: i\nstages: one\na: {stage: one, script: x}", "2:9: stages wants a list of names, not \"one\"");
	refuse("image: i\nstages: [one, one]\na: {stage: one, script: x}", "2:15: two stages have the name \"one\"");
#undef STAGES
}

/* --- with a change --- */

static void
test_changed_files_are_asked_for_only_when_needed(void **state)
{
	struct pipeline_context context = push;
	struct plan *plan = plan_for("image: i\nscript: x\nwhen: {branch: main}", &context);

	(void)state;
	assert_false(plan->wants_paths);
	plan_free(&plan);
	plan = plan_for("image: i\nscript: x\nwhen: {branch: dev, path: a}", &context);
	assert_false(plan->wants_paths);
	assert_string_equal(plan->jobs[0].skipped, "when: branch is main, wants dev");
	plan_free(&plan);
	plan = plan_for("image: i\nscript: x\nwhen: {path: a}", &context);
	assert_true(plan->wants_paths);
	assert_null(plan->jobs[0].skipped);
	plan_free(&plan);
	context.event = "cron";
	plan = plan_for("image: i\nscript: x\nwhen: {path: a}", &context);
	assert_false(plan->wants_paths);
	assert_null(plan->jobs[0].skipped);
	plan_free(&plan);
}

/* A list of 100 patterns that cost a lot. */
static void
add_costly_patterns(struct buf *b)
{
	for (unsigned i = 0; i < 100; i++)
		buf_addf(b, "%s\"((a|b|/)*c){90}%u\"", i > 0 ? ", " : "[", i);
	buf_adds(b, "]");
}

static void
test_conditions_have_an_end(void **state)
{
	struct pipeline_context context = push;
	struct strings paths = { 0 };
	struct plan *plan;
	struct buf b;

	(void)state;
	for (unsigned i = 0; i < 2000; i++)
		strings_add(&paths, STR("a/rather/long/path/of/a/file.c"));
	context.paths = &paths;
	buf_init(&b, 1 << 20);
	buf_adds(&b, "image: i\nscript: x\nwhen: {path: ");
	add_costly_patterns(&b);
	buf_adds(&b, "}");
	plan = plan_for(b.data, &context);
	assert_null(plan->jobs[0].skipped);
	assert_string_equal(
	    plan->warnings[0], "f:3:7: comparing 2000 changed files takes too long; this condition counts as met");
	plan_free(&plan);
	buf_reset(&b);
	buf_adds(&b, "image: i\nscript: x\nmatrix: {a: [1, 2, 3, 4, 5, 6, 7, 8]}\nwhen: {branch: ");
	add_costly_patterns(&b);
	buf_adds(&b, "}");
	context.branch = "a/rather/long/path/of/a/file.c";
	refuse_for(b.data, &context, "f:4:7: the conditions take too long; write fewer patterns, or simpler ones");
	buf_fini(&b);
	strings_fini(&paths);
}

static void
test_names_of_images_on_other_events(void **state)
{
	struct pipeline_context context = push;
	struct plan *plan;

	(void)state;
	plan =
	    plan_for("jobs: {a: {build: {tags: \"r.example/a:${tag}\"}}, b: {needs: a, deploy: {environment: e, image: "
		     "\"r.example/a:${tag}\"}}}",
		&context);
	assert_string_equal(plan->jobs[0].skipped, "an image's name wants ${tag}, which the event push does not have");
	assert_non_null(plan->jobs[1].skipped);
	assert_string_equal(plan->jobs[1].deploy->lacks, "tag"); /* so nobody can start it by hand */
	plan_free(&plan);
	plan = plan_for(
	    "jobs: {a: {when: {event: tag}, deploy: {environment: \"${tag}\"}}, b: {when: {event: tag}, deploy: e}}",
	    &context);
	assert_string_equal(plan->jobs[0].deploy->lacks, "tag");
	assert_null(plan->jobs[1].deploy->lacks);
	plan_free(&plan);
	context.tag = "v1";
	plan = plan_for("jobs: {a: {build: {tags: \"r.example/a:${tag}-${short_commit}\"}}}", &context);
	assert_null(plan->jobs[0].skipped);
	assert_string_equal(plan->jobs[0].build->tags.items[0], "r.example/a:v1-2b6dae9");
	plan_free(&plan);
	plan = plan_for("jobs: {a: {build: {tags: {image: r.example/a, as: [version]}, push: true}}}", &context);
	assert_string_equal(plan->jobs[0].skipped, "the event push has none of the tags of its image");
	plan_free(&plan);
	plan = plan_for("jobs: {a: {build: {tags: {image: r.example/a, as: [version]}, push: true}}}", NULL);
	assert_null(plan->jobs[0].skipped);
	plan_free(&plan);
	refuse_for("jobs: {a: {build: {tags: \"r.example/a:$${tag}\"}}}", &context,
	    "f:1:26: tags: image \"r.example/a:${tag}\": a tag has 1 to 128 letters, digits, '_', '.' and '-', the "
	    "first of them no '.' or '-'");
}

static void
test_parameters_of_a_manual_run(void **state)
{
	struct pipeline_context context = push;
	struct env given = { 0 };
	static const char text[] = "image: i\nscript: x\nparameters: {target: {required: yes, options: [a, b]}}";
	struct plan *plan;

	(void)state;
	context.event = "manual";
	context.parameters = &given;
	refuse_for(text, &context, "f:3:14: the parameter target is required, and has no value");
	env_add(&given, "target", "c");
	refuse_for(text, &context, "f:3:14: the parameter target has no option \"c\"; the first one is \"a\"");
	env_add(&given, "target", "b");
	plan = plan_for(text, &context);
	assert_string_equal(plan->jobs[0].env.vars[0].value, "b");
	plan_free(&plan);
	env_add(&given, "targte", "b");
	refuse_for(text, &context, "f:1:1: the file has no parameter \"targte\"; did you mean \"target\"?");
	env_fini(&given);
}

/* --- include --- */

static void
set_text(struct pipeline_includes *includes, size_t i, const char *text)
{
	includes->items[i].text = xstrdup(text);
	includes->items[i].len = strlen(text);
}

static void
test_layers(void **state)
{
	static const char text[] =
	    "include: [a.yml, {template: go}, {file: c/d.yml}]\nenv: [WHO=file]\njobs: {own: {script: "
	    "x}, both: {script: file}}";
	struct pipeline_includes includes = { 0 };
	struct pipeline_context context = push;
	struct plan *plan;
	struct err err;

	(void)state;
	assert_true(pipeline_includes(str_of(text), "f", &includes, &err));
	assert_int_equal(includes.count, 3);
	assert_string_equal(includes.items[0].name, "a.yml");
	assert_true(includes.items[1].is_template);
	assert_string_equal(includes.items[2].name, "c/d.yml");
	context.includes = &includes;
	set_text(&includes, 0, "image: first\nenv: [WHO=a, A=1]\ntimeout: 1m");
	set_text(&includes, 1, "image: second\njobs: {both: {script: template}, more: {script: [\"y\"]}}");
	refuse_for(text, &context, "f:1:10: there is no file c/d.yml to include");
	set_text(&includes, 2, "notify: {email: a@example.org}");
	plan = plan_for(text, &context);
	assert_int_equal(plan->job_count, 3);
	assert_string_equal(plan->jobs[0].image, "second"); /* the last that is named */
	assert_int_equal(plan->jobs[0].timeout_s, 60);
	assert_string_equal(plan->jobs[0].env.vars[2].value, "file"); /* the last of a name wins */
	assert_string_equal(plan->jobs[1].segments[0].commands[0], "file");
	assert_string_equal(plan->jobs[2].name, "more");
	assert_int_equal(plan->notify.recipient_count, 1);
	plan_free(&plan);
	pipeline_includes_fini(&includes);
}

static void
test_size_of_what_is_included(void **state)
{
	static const char text[] = "include: [a.yml, b.yml]\nimage: i\nscript: x";
	struct pipeline_includes includes = { 0 };
	struct pipeline_context context = push;
	struct err err;

	(void)state;
	assert_true(pipeline_includes(str_of(text), "f", &includes, &err));
	context.includes = &includes;
	for (size_t i = 0; i < 2; i++) {
		includes.items[i].text = xcalloc(1, 150000);
		includes.items[i].len = 150000;
		memset(includes.items[i].text, '#', includes.items[i].len);
	}
	refuse_for(text, &context, "f:1:10: what is included has 300000 bytes; at most 262144 are read");
	pipeline_includes_fini(&includes);
}

static void
test_what_is_included_has_its_own_places(void **state)
{
	static const char text[] = "include: a.yml\nscript: x";
	struct pipeline_includes includes = { 0 };
	struct pipeline_context context = push;
	struct err err;

	(void)state;
	assert_true(pipeline_includes(str_of(text), "f", &includes, &err));
	context.includes = &includes;
	set_text(&includes, 0, "image: [a]");
	refuse_for(text, &context, "a.yml:1:8: image wants an image such as debian:bookworm, not a list");
	free(includes.items[0].text);
	set_text(&includes, 0, "image: a\ninclude: b.yml");
	refuse_for(text, &context, "a.yml:2:1: a file that is included cannot include others");
	free(includes.items[0].text);
	set_text(&includes, 0, "image: a\nscirpt: x");
	refuse_for(text, &context, "a.yml:2:1: unknown key \"scirpt\"; did you mean \"script\"?");
	free(includes.items[0].text);
	set_text(&includes, 0, "jobs: {a: {image: i, script: x}}");
	refuse_for("include: a.yml\nstages: [s]\nb: {stage: s, script: x}", &context,
	    "a.yml:1:1: jobs: is included into a file of another form; write that one with jobs: as well");
	free(includes.items[0].text);
	set_text(&includes, 0, "- a");
	refuse_for(text, &context, "a.yml:1:1: what is included must be a mapping, not a list");
	pipeline_includes_fini(&includes);
}

/* What is said of a line is said once, however many jobs it became. */
static void
test_warnings_are_said_once(void **state)
{
	struct plan *plan = NULL;
	struct err err;

	(void)state;
	assert_true(pipeline_parse(
	    STR("version: 1\nstages: [a, b]\nimage: x\nj1: {stage: a, <<: &j {install: [make], script: [make]}}\n"
		"j2: {stage: b, <<: *j}\n"),
	    "f", NULL, &plan, &err));
	assert_int_equal(plan->job_count, 2);
	assert_int_equal(plan->warning_count, 1);
	assert_non_null(strstr(plan->warnings[0], "needs the checkout"));
	plan_free(&plan);
	assert_true(
	    pipeline_parse(STR("image: x\njobs:\n  t: {matrix: {x: [1, 2]}, install: [make], script: [make]}\n"), "f",
		NULL, &plan, &err));
	assert_int_equal(plan->job_count, 2);
	assert_int_equal(plan->warning_count, 0);
	plan_free(&plan);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_warnings_are_said_once),
		cmocka_unit_test(test_order_follows_needs),
		cmocka_unit_test(test_needs_that_cannot_be),
		cmocka_unit_test(test_jobs_that_cannot_be),
		cmocka_unit_test(test_matrices_that_cannot_be),
		cmocka_unit_test(test_number_of_jobs),
		cmocka_unit_test(test_values_that_cannot_be),
		cmocka_unit_test(test_values_that_cannot_be_either),
		cmocka_unit_test(test_builds_and_deployments_that_cannot_be),
		cmocka_unit_test(test_stages_that_cannot_be),
		cmocka_unit_test(test_changed_files_are_asked_for_only_when_needed),
		cmocka_unit_test(test_conditions_have_an_end),
		cmocka_unit_test(test_names_of_images_on_other_events),
		cmocka_unit_test(test_parameters_of_a_manual_run),
		cmocka_unit_test(test_layers),
		cmocka_unit_test(test_size_of_what_is_included),
		cmocka_unit_test(test_what_is_included_has_its_own_places),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
