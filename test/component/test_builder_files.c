/* Files into and out of a job's container: before an engine that answers with hostile archives, and on the real one
 * (DAVIT_TEST_DOCKER; those tests are left out without it). */
#include "test/component/builder_bench.h"
#include "test/component/fake_engine.h"
#include "test/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "proto/glob.h"
#include "proto/mem.h"

#define COMMANDS(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* A job and what is taken out of it, in words: "file workspace/a 5 hello". */
struct taken {
	struct bench_job job;
	struct strings patterns;
	struct collect_limits limits;
	struct collect *collect;
	struct buf text;
	unsigned missing;
	struct err err;
	bool is_slow;         /* it pauses at each piece, and goes on a turn later */
	bool cancels_job;     /* at the first entry */
	bool cancels_collect; /* likewise */
	struct deferred *resume;
};

static void
on_entry(void *arg, const struct tar_entry *entry)
{
	static const char *const kinds[] = { "file", "dir", "symlink", "hardlink", "other" };
	struct taken *t = arg;

	buf_addf(&t->text, "\n%s %s", kinds[entry->kind], entry->name);
	if (entry->link[0] != '\0')
		buf_addf(&t->text, " -> %s", entry->link);
	if (entry->kind == TAR_FILE)
		buf_addf(&t->text, " %llu ", (unsigned long long)entry->size);
	if (t->cancels_collect) {
		collect_cancel(&t->collect);
		builder_leave(t->job.run);
	} else if (t->cancels_job) {
		builder_cancel(t->job.run, "cancelled by the test");
	}
}

static void
on_resume(void *arg)
{
	struct taken *t = arg;

	t->resume = NULL;
	if (t->collect != NULL)
		collect_resume(t->collect);
}

static void
on_bytes(void *arg, struct str bytes)
{
	struct taken *t = arg;

	buf_addstr(&t->text, bytes);
	if (!t->is_slow)
		return;
	collect_pause(t->collect);
	if (t->resume == NULL)
		t->resume = deferred_call(t->job.bench->loop, on_resume, t);
}

static void
on_taken(void *arg, unsigned missing, const struct err *err)
{
	struct taken *t = arg;

	t->collect = NULL;
	t->missing = missing;
	t->err = err != NULL ? *err : ERR_OK;
	builder_leave(t->job.run);
}

static void
on_ended(struct bench_job *j)
{
	static const struct collect_handler handler = {
		.on_entry = on_entry, .on_bytes = on_bytes, .on_done = on_taken
	};
	struct taken *t = (struct taken *)j;

	t->collect = builder_collect(j->run, &t->patterns, &t->limits, &handler, t);
}

static void
taken_init(
    struct taken *t, struct bench *b, const char *image, const char *const *commands, const char *const *patterns)
{
	*t = (struct taken){ .limits = { 1000, 100 << 20 } };
	bench_job_init(&t->job, b, image, commands);
	t->job.on_ended = on_ended;
	buf_init(&t->text, 64 << 20);
	for (; *patterns != NULL; patterns++)
		strings_add(&t->patterns, str_of(*patterns));
}

static void
taken_run(struct taken *t)
{
	bench_job_start(&t->job);
	bench_job_wait(&t->job);
	collect_cancel(&t->collect);
	deferred_cancel(&t->resume);
}

static void
taken_fini(struct taken *t)
{
	bench_job_fini(&t->job);
	strings_fini(&t->patterns);
	buf_fini(&t->text);
}

/* --- a hostile engine --- */

struct scene {
	struct bench bench;
	struct fake_engine fake;
	struct taken taken;
	struct buf archive;
};

static void
scene_init(struct scene *s, const char *const *patterns)
{
	bench_prepare(&s->bench, "unix:///nonexistent", NULL);
	fake_engine_init(&s->fake, s->bench.loop);
	s->bench.engine.url = s->fake.url;
	buf_init(&s->archive, 1 << 20);
	taken_init(&s->taken, &s->bench, "fake:1", COMMANDS("true"), patterns);
}

static void
scene_run(struct scene *s)
{
	s->fake.archive = buf_str(&s->archive);
	bench_begin(&s->bench);
	bench_wait_up(&s->bench);
	taken_run(&s->taken);
}

static void
scene_fini(struct scene *s)
{
	taken_fini(&s->taken);
	buf_fini(&s->archive);
	bench_stop(&s->bench);
	fake_engine_fini(&s->fake);
	bench_close_blind(&s->bench);
}

static void
add(struct scene *s, enum tar_kind kind, const char *name, const char *text)
{
	bool is_link = kind == TAR_SYMLINK || kind == TAR_HARDLINK;
	struct tar_entry entry = {
		.kind = kind, .name = name, .link = is_link ? text : "", .size = kind == TAR_FILE ? strlen(text) : 0
	};

	tar_add_entry(&s->archive, &entry);
	if (kind == TAR_FILE) {
		buf_adds(&s->archive, text);
		tar_add_padding(&s->archive, strlen(text));
	}
}

static void
test_what_fits_is_given(void **state)
{
	struct scene s;

	(void)state;
	scene_init(&s, COMMANDS("out/**/*.txt", "out/keep/"));
	add(&s, TAR_DIR, "out", "");
	add(&s, TAR_FILE, "out/a.bin", "no");
	add(&s, TAR_FILE, "out/a.txt", "one");
	add(&s, TAR_HARDLINK, "out/b.txt", "out/a.bin"); /* of what is not taken */
	add(&s, TAR_HARDLINK, "out/c.txt", "out/a.txt");
	add(&s, TAR_DIR, "out/keep", "");
	add(&s, TAR_SYMLINK, "out/keep/link", "../a.bin");
	tar_end(&s.archive);
	scene_run(&s);
	bench_assert_result(&s.taken.job, BUILDER_PASSED, "");
	assert_int_equal(s.taken.err.code, ERR_NONE);
	assert_string_equal(s.taken.text.data,
	    "\nfile workspace/out/a.txt 3 one\nhardlink workspace/out/c.txt -> workspace/out/a.txt"
	    "\ndir workspace/out/keep\nsymlink workspace/out/keep/link -> ../a.bin");
	scene_fini(&s);
}

static void
check_refusal(void (*fill)(struct scene *s), enum err_code code, const char *words)
{
	struct scene s;

	scene_init(&s, COMMANDS("out"));
	fill(&s);
	scene_run(&s);
	bench_assert_result(&s.taken.job, BUILDER_PASSED, "");
	assert_int_equal(s.taken.err.code, code);
	if (strstr(s.taken.err.text, words) == NULL)
		fail_msg("%s", s.taken.err.text);
	scene_fini(&s);
}

static void
fill_cut(struct scene *s)
{
	add(s, TAR_DIR, "out", "");
	add(s, TAR_FILE, "out/a", "hello");
	s->archive.len -= TAR_BLOCK;
}

static void
fill_broken_connection(struct scene *s)
{
	add(s, TAR_DIR, "out", "");
	tar_end(&s->archive);
	s->fake.archive_is_cut = true;
}

static void
fill_without_order(struct scene *s)
{
	add(s, TAR_SYMLINK, "out", "/davit");
	add(s, TAR_FILE, "out/script", "echo evil");
	tar_end(&s->archive);
}

static void
fill_other_place(struct scene *s)
{
	add(s, TAR_FILE, "script", "echo evil");
	tar_end(&s->archive);
}

static void
fill_many(struct scene *s)
{
	char name[20];

	add(s, TAR_DIR, "out", "");
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "out/%04u", i);
		add(s, TAR_DIR, name, "");
	}
}

static void
fill_garbage(struct scene *s)
{
	for (unsigned i = 0; i < 2000; i++)
		buf_addc(&s->archive, 'x');
}

static void
fill_large(struct scene *s)
{
	s->taken.limits.bytes = 1000;
	add(s, TAR_FILE, "out", "x");
}

static void
fill_refusal(struct scene *s)
{
	s->fake.rules[0] = (struct fake_rule){ "GET", "/archive", FAKE_STATUS, 500, "{\"message\":\"on fire\"}", 0, 0 };
}

static void
test_hostile_archives(void **state)
{
	(void)state;
	check_refusal(fill_cut, ERR_PROTO, "cut off");
	check_refusal(fill_broken_connection, ERR_IO, "closed the connection");
	check_refusal(fill_without_order, ERR_PROTO, "order of a walk");
	check_refusal(fill_other_place, ERR_PROTO, "order of a walk");
	check_refusal(fill_many, ERR_LIMIT, "too many files");
	check_refusal(fill_garbage, ERR_PROTO, "checksum");
	check_refusal(fill_large, ERR_LIMIT, "too much to look through");
	check_refusal(fill_refusal, ERR_REFUSED, "on fire");
}

static void
test_nothing_there(void **state)
{
	struct scene s;

	(void)state;
	scene_init(&s, COMMANDS("out", "/root/x", "../../etc", "/", "*.txt"));
	scene_run(&s);
	assert_int_equal(s.taken.err.code, ERR_NONE);
	assert_int_equal(s.taken.missing, 4); /* out lies within what *.txt looks through */
	scene_fini(&s);
}

static void
test_patterns_that_would_take_too_long(void **state)
{
	char pattern[GLOB_MAX_BYTES + 1] = "out/{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}*";
	struct scene s;

	(void)state;
	while (strlen(pattern) < 200)
		strcat(pattern, "a*");
	scene_init(&s, COMMANDS("out"));
	strings_add(&s.taken.patterns, str_of(pattern));
	add(&s, TAR_DIR, "out", "");
	tar_end(&s.archive);
	scene_run(&s);
	assert_int_equal(s.taken.err.code, ERR_LIMIT);
	assert_non_null(strstr(s.taken.err.text, "too many alternatives"));
	scene_fini(&s);
}

static void
check_cancel(bool of_job)
{
	struct scene s;

	scene_init(&s, COMMANDS("out"));
	add(&s, TAR_DIR, "out", "");
	add(&s, TAR_FILE, "out/a", "hello");
	tar_end(&s.archive);
	s.taken.cancels_job = of_job;
	s.taken.cancels_collect = !of_job;
	scene_run(&s);
	bench_assert_result(&s.taken.job, of_job ? BUILDER_CANCELLED : BUILDER_PASSED, of_job ? "by the test" : "");
	assert_int_equal(fake_engine_containers(&s.fake), 1); /* the network's holder */
	scene_fini(&s);
}

static void
test_cancel(void **state)
{
	(void)state;
	check_cancel(true);
	check_cancel(false);
}

/* --- the real one --- */

static const char *url;
static struct bench shared;

static int
open_shared(void **state)
{
	(void)state;
	bench_open(&shared, url, NULL);
	bench_wait_up(&shared);
	return 0;
}

static int
close_shared(void **state)
{
	(void)state;
	bench_close(&shared);
	return 0;
}

static void
test_files_come_out(void **state)
{
	struct taken t;

	(void)state;
	taken_init(&t, &shared, BENCH_IMAGE,
	    COMMANDS("mkdir -p out/sub /root/.cache", "echo hello >out/a.txt", "ln out/a.txt out/b.txt",
		"ln -s a.txt out/link", "mkfifo out/fifo", "echo no >out/sub/x.bin", "echo c >/root/.cache/c",
		"exit 3"),
	    COMMANDS("out", "/root/.cache/", "missing/*"));
	taken_run(&t);
	bench_assert_result(&t.job, BUILDER_FAILED, "exit code 3");
	assert_int_equal(t.err.code, ERR_NONE);
	assert_int_equal(t.missing, 1);
	assert_string_equal(t.text.data,
	    "\ndir workspace/out\nfile workspace/out/a.txt 6 hello\n"
	    "\nhardlink workspace/out/b.txt -> workspace/out/a.txt\nsymlink workspace/out/link -> a.txt"
	    "\ndir workspace/out/sub\nfile workspace/out/sub/x.bin 3 no\n"
	    "\ndir root/.cache\nfile root/.cache/c 2 c\n");
	taken_fini(&t);
}

/* A job that we end leaves files too, where it says so: "written" is what it says when one is there. */
static bool
is_ended(enum run_on on, unsigned timeout_s, enum builder_state state, const char *expected)
{
	struct artifact_spec artifact = { .on = on };
	struct taken t;
	bool was_written;

	taken_init(&t, &shared, BENCH_IMAGE,
	    COMMANDS("mkdir out", "echo half >out/a.txt", "echo written", "sleep 600", "echo never >out/b.txt"),
	    COMMANDS("out/*"));
	bench_job_segment(&t.job, "later", COMMANDS("echo never >out/c.txt"));
	t.job.spec.artifacts = &artifact;
	t.job.spec.artifact_count = 1;
	t.job.spec.timeout_s = timeout_s;
	t.job.cancel_on = timeout_s == 0 ? "written" : NULL;
	taken_run(&t);
	assert_int_equal(t.job.result.state, state);
	was_written = t.job.out.len > 0;
	if (was_written)
		assert_string_equal(t.text.len > 0 ? t.text.data : "", expected);
	t.job.spec.artifacts = NULL;
	t.job.spec.artifact_count = 0;
	taken_fini(&t);
	return was_written;
}

static void
test_files_of_a_job_that_is_ended(void **state)
{
	static const char half[] = "\nfile workspace/out/a.txt 5 half\n";
	unsigned timeout_s = 2;

	(void)state;
	assert_true(is_ended(RUN_ALWAYS, 0, BUILDER_CANCELLED, half));
	assert_true(is_ended(RUN_ON_FAILURE, 0, BUILDER_CANCELLED, half));
	assert_true(is_ended(RUN_ON_SUCCESS, 0, BUILDER_CANCELLED, ""));
	while (!is_ended(RUN_ALWAYS, timeout_s, BUILDER_TIMED_OUT, half)) /* the engine is too slow for it */
		assert_true((timeout_s *= 2) < 100);
}

/* What comes after it may write, in the same container and in another one. */
static void
check_too_much(const char *later_image)
{
	struct artifact_spec artifact = { .on = RUN_ON_FAILURE };
	struct taken t;

	taken_init(&t, &shared, BENCH_IMAGE,
	    COMMANDS("mkdir out", "echo half >out/a.txt", "yes 'and on and on and on'"), COMMANDS("out/*"));
	bench_job_step(&t.job, "later", later_image, COMMANDS("echo said later; echo all >out/b.txt"));
	t.job.spec.segments[1].always = true;
	t.job.spec.artifacts = &artifact;
	t.job.spec.artifact_count = 1;
	taken_run(&t);
	bench_assert_result(&t.job, BUILDER_FAILED, "more than 33554432 bytes of output");
	assert_true(t.job.result.truncated);
	bench_assert_has(&t.job.out, "\nsaid later\n");
	assert_non_null(strstr(t.text.data, "\nfile workspace/out/a.txt 5 half\n"));
	assert_non_null(strstr(t.text.data, "\nfile workspace/out/b.txt 4 all\n"));
	t.job.spec.artifacts = NULL;
	t.job.spec.artifact_count = 0;
	taken_fini(&t);
}

static void
test_files_of_a_job_that_wrote_too_much(void **state)
{
	(void)state;
	check_too_much(NULL);
	check_too_much("davit-test/service:latest");
}

static void
test_a_slow_reader_gets_everything(void **state)
{
	struct taken t;

	(void)state;
	taken_init(
	    &t, &shared, BENCH_IMAGE, COMMANDS("mkdir out", "yes | head -c 20000000 >out/large"), COMMANDS("out/*"));
	t.is_slow = true;
	taken_run(&t);
	assert_int_equal(t.err.code, ERR_NONE);
	assert_int_equal(t.text.len, strlen("\nfile workspace/out/large 20000000 ") + 20000000);
	taken_fini(&t);
}

static int
temp_file(const struct buf *b)
{
	char path[] = "/tmp/davit-test-input.XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	unlink(path);
	assert_int_equal(write(fd, b->data, b->len), b->len);
	return fd;
}

static void
check_inputs(const char *image)
{
	char workspace[] = "/tmp/davit-test-workspace.XXXXXX";
	struct docker_piece pieces[2];
	struct bench_job j;
	struct buf b;
	int fd = mkstemp(workspace);

	buf_init(&b, 100000);
	tar_add_dir(&b, "workspace", 0755, 0);
	tar_add_file(&b, "workspace/a", 0644, 0, STR("of the commit\n"));
	tar_end(&b);
	assert_int_equal(write(fd, b.data, b.len), b.len);
	buf_reset(&b);
	tar_add_file(&b, "workspace/sub/a", 0644, 0, STR("of the first input\n"));
	pieces[0] = (struct docker_piece){ temp_file(&b), (int64_t)b.len };
	buf_reset(&b);
	tar_add_file(&b, "workspace/a", 0644, 0, STR("of the second input\n"));
	tar_add_file(&b, "root/.cache/a", 0644, 0, STR("of the cache\n"));
	pieces[1] = (struct docker_piece){ temp_file(&b), (int64_t)b.len };
	bench_job_init(&j, &shared, image,
	    COMMANDS("read x <a; echo $x; read x <sub/a; echo $x; read x </root/.cache/a; echo $x", "test -d .davit"));
	j.job.workspace_tar = workspace;
	j.job.inputs = pieces;
	j.job.input_count = 2;
	j.job.folder = ".davit";
	bench_job_start(&j);
	bench_job_wait(&j);
	bench_assert_result(&j, BUILDER_PASSED, "");
	bench_assert_has(&j.out, "\nof the second input\nof the first input\nof the cache\n");
	bench_job_fini(&j);
	unlink(workspace);
	close(fd);
	close(pieces[0].fd);
	close(pieces[1].fd);
	buf_fini(&b);
}

static void
test_inputs_go_in_over_the_workspace(void **state)
{
	(void)state;
	check_inputs(BENCH_IMAGE);
	check_inputs("davit-test/tarless:latest");
}

int
main(void)
{
	const struct CMUnitTest fake[] = {
		cmocka_unit_test(test_what_fits_is_given),
		cmocka_unit_test(test_hostile_archives),
		cmocka_unit_test(test_nothing_there),
		cmocka_unit_test(test_patterns_that_would_take_too_long),
		cmocka_unit_test(test_cancel),
	};
	const struct CMUnitTest real[] = {
		cmocka_unit_test(test_files_come_out),
		cmocka_unit_test(test_files_of_a_job_that_is_ended),
		cmocka_unit_test(test_files_of_a_job_that_wrote_too_much),
		cmocka_unit_test(test_a_slow_reader_gets_everything),
		cmocka_unit_test(test_inputs_go_in_over_the_workspace),
	};
	int failed = cmocka_run_group_tests(fake, NULL, NULL);

	url = bench_engine();
	return failed != 0 || url == NULL ? failed : cmocka_run_group_tests(real, open_shared, close_shared);
}
