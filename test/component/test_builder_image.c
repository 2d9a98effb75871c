/* Images built by jobs, on a real engine: DAVIT_TEST_DOCKER is its URL. */
#include "test/component/builder_bench.h"
#include "test/unit/unit.h"

#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <unistd.h>

#include "proto/mem.h"
#include "proto/tar.h"
#include "server/builder/buildkit.h"
#include "server/core/child.h"
#include "server/core/disk.h"

#define TAG "davit-test/made:one"

static const char *url;
static struct bench bench;
static struct disk *disk;
static struct children *children;

struct file {
	const char *name;
	const char *content;
};

/* A workspace as git's is made: its path; unlink() and free() it. */
static char *
workspace(const struct file *files, size_t count)
{
	char *path = xstrdup("/tmp/davit-test-context-XXXXXX");
	int fd = mkstemp(path);
	struct buf tar;

	assert_true(fd >= 0);
	buf_init(&tar, 1 << 20);
	tar_add_dir(&tar, "workspace", 0755, 0);
	for (size_t i = 0; i < count; i++) {
		char *name = xasprintf("workspace/%s", files[i].name);

		tar_add_file(&tar, name, 0644, 0, str_of(files[i].content));
		free(name);
	}
	tar_end(&tar);
	assert_int_equal(write(fd, tar.data, tar.len), (ssize_t)tar.len);
	close(fd);
	buf_fini(&tar);
	return path;
}

static off_t
lseek_end(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	off_t size = lseek(fd, 0, SEEK_END);

	close(fd);
	return size;
}

#define FILES(...) \
	(const struct file[]){ __VA_ARGS__ }, sizeof((const struct file[]){ __VA_ARGS__ }) / sizeof(struct file)

static void
begin(struct bench_job *j, const struct file *files, size_t count)
{
	static const char *const none[] = { NULL };

	bench_job_init(j, &bench, BENCH_IMAGE, none);
	j->spec.kind = JOB_KIND_BUILD;
	j->spec.build = xcalloc(1, sizeof(*j->spec.build));
	j->job.workspace_tar = workspace(files, count);
}

static void
end(struct bench_job *j)
{
	unlink(j->job.workspace_tar);
	free((char *)j->job.workspace_tar);
	bench_job_fini(j);
}

static void
run(struct bench_job *j)
{
	bench_job_start(j);
	bench_job_wait(j);
}

/* What the image says when it is run. */
static void
expect_output(const char *image, const char *const *commands, const char *expected)
{
	struct bench_job j;

	bench_run(&j, &bench, image, commands);
	bench_assert_result(&j, BUILDER_PASSED, "");
	bench_assert_has(&j.out, expected);
	bench_job_fini(&j);
}

#define COMMANDS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void
on_removed(void *arg, const union docker_result *result, const struct err *err)
{
	(void)result;
	assert_null(err);
	*(bool *)arg = true;
	loop_stop(bench.loop);
}

static void
remove_image(const char *image)
{
	bool done = false;

	docker_image_remove(bench.docker, image, on_removed, &done);
	bench_until(&bench, &done);
}

static void
test_build(void **state)
{
	struct bench_job j;

	(void)state;
	begin(&j, FILES({ ".dockerignore", "secret\n" },
		      { "Dockerfile", "FROM " BENCH_IMAGE "\nARG WHO=nobody\nARG SOURCE_DATE_EPOCH\nCOPY . /src\n"
				      "RUN echo made for $WHO at $SOURCE_DATE_EPOCH; ls /src > /list\n" },
		      { "a.txt", "a\n" }, { "secret", "s\n" }));
	strings_add(&j.spec.build->tags, STR(TAG));
	strings_add(&j.spec.build->labels, STR("org.opencontainers.image.title=made"));
	j.job.commit_ms = 1234567890123;
	env_add(&j.spec.build->args, "WHO", "you & me");
	j.spec.build->no_cache = true;
	run(&j);
	bench_assert_result(&j, BUILDER_PASSED, "");
	bench_assert_has(&j.out, "made for you & me at 1234567890\n");
	assert_string_equal(j.segments.data, "build begin\n");
	assert_int_equal(strncmp(j.result.image_digest, "sha256:", 7), 0);
	bench_assert_has(&j.images, "docker.io/" TAG " sha256:");
	bench_assert_has(&j.images, j.result.image_digest);
	assert_string_equal(j.built, ""); /* it is not pushed */
	expect_output(TAG, COMMANDS("cat /list"), "Dockerfile\na.txt\n");
	end(&j);
	remove_image(TAG);
}

/* Of one engine and one Dockerfile; the layers of the one are none for the other. */
static void
test_platforms(void **state)
{
	static const char *const platforms[] = { "linux/386", "linux/amd64", "linux/386" };
	struct bench_job j;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		begin(&j, FILES({ "Dockerfile", "FROM scratch\nCOPY a /a\n" }, { "a", "of two platforms\n" }));
		strings_add(&j.spec.build->tags, STR(TAG));
		j.spec.build->platform = xstrdup(platforms[i]);
		run(&j);
		bench_assert_result(&j, BUILDER_PASSED, "");
		assert_string_equal(j.segments.data, "build begin\n");
		end(&j);
	}
	remove_image(TAG);
}

/* The Dockerfile outside of the context, and a large context. */
static void
test_context_below_the_root(void **state)
{
	char *large = xcalloc(1, 500001);
	struct bench_job j;

	(void)state;
	memset(large, 'x', 500000);
	begin(&j, FILES({ "docker/Made", "FROM " BENCH_IMAGE "\nCOPY large in /\n" }, { "demo/in", "within\n" },
		      { "demo/large", large }, { "outside", "o\n" }));
	j.spec.build->dockerfile = xstrdup("docker/Made");
	j.spec.build->context = xstrdup("demo");
	strings_add(&j.spec.build->tags, STR(TAG));
	run(&j);
	bench_assert_result(&j, BUILDER_PASSED, "");
	expect_output(TAG, COMMANDS("cat /in; wc -c < /large"), "within\n500000\n");
	end(&j);
	free(large);
	remove_image(TAG);
}

/* Of several .dockerignore the Dockerfile's own counts; files of jobs that this one needs are there, and take the place
 * of the commit's. */
static void
test_ignore_of_its_own_and_files_of_other_jobs(void **state)
{
	char *path = workspace(FILES({ "made/jar", "the jar\n" }, { "in", "of the other job\n" }));
	struct docker_piece inputs[] = { { open(path, O_RDONLY | O_CLOEXEC), lseek_end(path) - 1024 } };
	struct bench_job j;

	(void)state;
	assert_true(inputs[0].fd >= 0);
	begin(&j, FILES({ ".dockerignore", "made\n" }, { "docker/Made.dockerignore", "secret\n*.o\n!keep.o\n" },
		      { "docker/Made", "FROM " BENCH_IMAGE "\nCOPY . /src\nRUN cd /src && find . -type f > /list\n" },
		      { "in", "in\n" }, { "secret", "s\n" }, { "a.o", "o\n" }, { "keep.o", "k\n" }));
	j.job.inputs = inputs;
	j.job.input_count = 1;
	j.spec.build->dockerfile = xstrdup("docker/Made");
	strings_add(&j.spec.build->tags, STR(TAG));
	run(&j);
	bench_assert_result(&j, BUILDER_PASSED, "");
	expect_output(TAG, COMMANDS("sort /list | tr '\\n' ' '; cat /src/in /src/made/jar"),
	    "./.dockerignore ./docker/Made ./docker/Made.dockerignore ./in ./keep.o ./made/jar of the other job\nthe "
	    "jar\n");
	end(&j);
	close(inputs[0].fd);
	unlink(path);
	free(path);
	remove_image(TAG);
}

/* A lite_image: compiled in one image, packaged in another. */
static void
test_compile_and_extract(void **state)
{
	struct bench_job j;

	(void)state;
	begin(&j, FILES({ "Compile", "FROM " BENCH_IMAGE "\nCOPY source /s\nRUN mkdir -p /out/bin /out/none && cp /s "
				     "/out/bin/app && ln -s app /out/bin/way\n" },
		      { "Package", "FROM " BENCH_IMAGE "\nCOPY out/bin/app /app\nCOPY source s /copies/\n" },
		      { "source", "the source\n" }));
	j.spec.build->dockerfile = xstrdup("Package");
	j.spec.build->compile = xcalloc(1, sizeof(*j.spec.build->compile));
	j.spec.build->compile->dockerfile = xstrdup("Compile");
	strings_add(&j.spec.build->extract, STR("/out/bin/"));
	strings_add(&j.spec.build->extract, STR("/s"));
	strings_add(&j.spec.build->tags, STR(TAG));
	run(&j);
	bench_assert_result(&j, BUILDER_PASSED, "");
	assert_string_equal(j.segments.data, "compile begin\nbuild begin\n");
	expect_output(TAG, COMMANDS("cat /app; ls /copies"), "the source\n");
	end(&j);
	remove_image(TAG);
}

static void
fails(const struct file *files, size_t count, const char *extract, const char *tag, const char *reason)
{
	struct bench_job j;

	begin(&j, files, count);
	if (extract != NULL) {
		j.spec.build->compile = xcalloc(1, sizeof(*j.spec.build->compile));
		strings_add(&j.spec.build->extract, str_of(extract));
	}
	if (tag != NULL)
		strings_add(&j.spec.build->tags, str_of(tag));
	run(&j);
	bench_assert_result(&j, BUILDER_FAILED, reason);
	end(&j);
}

static void
test_failures(void **state)
{
	(void)state;
	fails(FILES({ "Dockerfile", "FROM " BENCH_IMAGE "\nRUN exit 3\n" }), NULL, NULL, "Dockerfile:2: The command");
	fails(FILES({ "Dockerfile", "FROM " BENCH_IMAGE "\nRUNN x\n" }), NULL, NULL,
	    "Dockerfile:2: unknown instruction: RUNN");
	fails(
	    FILES({ "Dockerfile", "FROM " BENCH_IMAGE "\nCOPY nothing /\n" }), NULL, NULL, "Dockerfile:2: COPY failed");
	fails(FILES({ "other", "x" }), NULL, NULL, "there is no Dockerfile in this commit");
	fails(FILES({ ".dockerignore", "[" }, { "Dockerfile", "FROM x\n" }), NULL, NULL, ".dockerignore:1: ");
	fails(FILES({ "Dockerfile", "FROM " BENCH_IMAGE "\n" }), NULL, "A:B:C", "A:B:C");
	fails(FILES({ "Dockerfile", "FROM " BENCH_IMAGE "\nRUN touch /x\n" }), "/missing", NULL,
	    "1 of its paths are not in the compiled image");
}

/* --- BuildKit --- */

#define WANTS "FROM " BENCH_IMAGE "\nRUN --mount=type=cache,target=/cache true\n"

/* Of the client's files. */
static void
assert_nothing_in_memory(void)
{
	char *pattern = xasprintf("/dev/shm/davit-%s-build-*", bench.node);
	glob_t found;

	assert_int_equal(glob(pattern, 0, NULL, &found), GLOB_NOMATCH);
	free(pattern);
}

/* With a secret, of which nothing is left in the image or in memory's folder; its steps have no network. */
static void
test_buildkit(void **state)
{
	static char name[] = "TOKEN";
	struct secret_spec secret = { name, name };
	struct bench_job j;

	(void)state;
	begin(&j, FILES({ "docker/Made", WANTS "ARG WHO\nCOPY in /in\n"
					       "RUN --mount=type=secret,id=TOKEN wc -c < /run/secrets/TOKEN > /length; "
					       "ip -o link | wc -l > /links; echo made for $WHO\n" },
		      { "server/in", "within\n" }));
	j.spec.build->dockerfile = xstrdup("docker/Made");
	j.spec.build->context = xstrdup("server");
	j.spec.secrets = xcalloc(1, sizeof(secret));
	j.spec.secrets[0] = (struct secret_spec){ xstrdup(secret.name), xstrdup(secret.variable) };
	j.spec.secret_count = 1;
	j.spec.build->no_cache = true;
	env_add(&j.env, name, "a secret");
	env_add(&j.spec.build->args, "WHO", "you & me");
	strings_add(&j.spec.build->labels, STR("a=b c"));
	strings_add(&j.spec.build->tags, STR(TAG));
	run(&j);
	bench_assert_result(&j, BUILDER_PASSED, "");
	bench_assert_has(&j.out, "made for you & me\n");
	bench_assert_has(&j.images, "docker.io/" TAG " sha256:");
	expect_output(TAG, COMMANDS("cat /in /length /links; ls /run"), "within\n8\n1\n");
	assert_nothing_in_memory();
	end(&j);
	remove_image(TAG);
}

static void
test_buildkit_failures(void **state)
{
	struct bench_job j;

	(void)state;
	fails(FILES({ "Dockerfile", WANTS "RUN exit 3\n" }), NULL, NULL,
	    "Dockerfile:3: executor failed running [/bin/sh -c exit 3]: exit code: 3");
	fails(FILES({ "Dockerfile", WANTS "RUNN x\n" }), NULL, NULL, "Dockerfile:3: unknown instruction: RUNN");
	fails(FILES({ "Dockerfile", WANTS "COPY nothing /\n" }), NULL, NULL, "Dockerfile:3: ");
	begin(&j, FILES({ "Dockerfile", WANTS }));
	j.job.is_foreign = true;
	run(&j);
	bench_assert_result(
	    &j, BUILDER_FAILED, "Dockerfile:2: RUN --mount needs BuildKit, which builds nothing of a fork");
	end(&j);
}

/* What a killed process has left goes with the next one of its node. */
static void
test_buildkit_is_tidied(void **state)
{
	char *folder = xasprintf("/dev/shm/davit-%s-build-XXXXXX", bench.node), *file;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(folder));
	file = xasprintf("%s/TOKEN", folder);
	fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	buildkit_tidy("another");
	assert_int_equal(access(file, F_OK), 0);
	buildkit_tidy(bench.node);
	assert_nothing_in_memory();
	free(file);
	free(folder);
}

static void
test_buildkit_is_cancelled(void **state)
{
	struct bench_job j;

	(void)state;
	begin(&j, FILES({ "Dockerfile", WANTS "RUN echo going; sleep 600\n" }));
	j.spec.build->no_cache = true;
	j.cancel_on = "going\n";
	run(&j);
	bench_assert_result(&j, BUILDER_CANCELLED, "");
	assert_nothing_in_memory();
	end(&j);
}

/* The steps are behind the walls of a job, and within its limits. */
static void
test_steps_are_confined(void **state)
{
	struct bench_job j;

	(void)state;
	begin(&j, FILES({ "Dockerfile",
		      "FROM " BENCH_IMAGE
		      "\nRUN cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null; "
		      "ip route | grep -q blackhole && echo walls\n" }));
	j.spec.build->no_cache = true;
	run(&j);
	bench_assert_result(&j, BUILDER_PASSED, "");
	bench_assert_has(&j.out, "134217728\n");
	bench_assert_has(&j.out, "walls\n");
	end(&j);
}

static void
test_cancel(void **state)
{
	struct bench_job j;

	(void)state;
	begin(&j, FILES({ "Dockerfile", "FROM " BENCH_IMAGE "\nRUN echo going; sleep 600\n" }));
	j.spec.build->no_cache = true;
	j.cancel_on = "\ngoing\n";
	run(&j);
	bench_assert_result(&j, BUILDER_CANCELLED, "");
	end(&j);
}

static int
open_bench(void **state)
{
	struct builder_conf conf = { .node = NULL };

	(void)state;
	bench_prepare(&bench, url, &conf);
	disk = disk_new(bench.loop);
	bench.conf.disk = disk;
	children = children_new(bench.loop);
	bench.conf.children = children;
	bench.conf.buildkit = BUILDER_BUILDKIT_ISOLATED;
	bench_begin(&bench);
	bench_wait_up(&bench);
	return 0;
}

static int
close_bench(void **state)
{
	(void)state;
	bench_stop(&bench);
	disk_free(&disk);
	children_free(&children);
	bench_close(&bench);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_build),
		cmocka_unit_test(test_platforms),
		cmocka_unit_test(test_context_below_the_root),
		cmocka_unit_test(test_ignore_of_its_own_and_files_of_other_jobs),
		cmocka_unit_test(test_compile_and_extract),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_buildkit),
		cmocka_unit_test(test_buildkit_failures),
		cmocka_unit_test(test_buildkit_is_tidied),
		cmocka_unit_test(test_buildkit_is_cancelled),
		cmocka_unit_test(test_steps_are_confined),
		cmocka_unit_test(test_cancel),
	};

	url = bench_engine();
	if (url == NULL)
		return 77;
	return cmocka_run_group_tests(tests, open_bench, close_bench);
}
