#include "test/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "proto/mem.h"
#include "server/core/disk.h"
#include "server/core/loop.h"

struct probe {
	struct loop *loop;
	struct disk *disk;
	struct disk_op *op;
	struct disk_op *other;
	char dir[64];
	int calls;
	int expected; /* calls until the loop is stopped */
	struct err err;
	char text[64];
	off_t size;
	uint64_t free_bytes;
	uint64_t total_bytes;
	int errors;
};

static void
on_done(void *arg, const struct err *err)
{
	struct probe *p = arg;

	p->op = NULL;
	p->err = err == NULL ? ERR_OK : *err;
	p->errors += err != NULL;
	if (++p->calls >= p->expected)
		loop_stop(p->loop);
}

static void
on_open(void *arg, int fd, const struct stat *st, const struct err *err)
{
	struct probe *p = arg;

	if (err == NULL) {
		p->size = st->st_size;
		assert_true(read(fd, p->text, sizeof(p->text) - 1) >= 0);
		close(fd);
	} else {
		assert_int_equal(fd, -1);
	}
	on_done(p, err);
}

static void
on_space(void *arg, uint64_t free_bytes, uint64_t total_bytes, const struct err *err)
{
	struct probe *p = arg;

	p->free_bytes = free_bytes;
	p->total_bytes = total_bytes;
	on_done(p, err);
}

static int
setup(void **state)
{
	struct probe *p = xcalloc(1, sizeof(*p));

	strcpy(p->dir, "/tmp/davit-test-disk.XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	p->loop = loop_new();
	p->disk = disk_new(p->loop);
	*state = p;
	return 0;
}

static int
teardown(void **state)
{
	struct probe *p = *state;

	disk_free(&p->disk);
	loop_free(&p->loop);
	rmdir(p->dir);
	free(p);
	return 0;
}

/* The path of a name in the test's folder; two at a time. */
static const char *
at(const struct probe *p, const char *name)
{
	static char paths[2][512];
	static unsigned next;

	next = !next;
	snprintf(paths[next], sizeof(paths[next]), "%s/%s", p->dir, name);
	return paths[next];
}

static void
write_file(const struct probe *p, const char *name, const char *text)
{
	FILE *f = fopen(at(p, name), "w");

	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static bool
exists(const struct probe *p, const char *name)
{
	struct stat st;

	return lstat(at(p, name), &st) == 0;
}

static void
wait_for(struct probe *p, int calls)
{
	p->expected = p->calls + calls;
	loop_run(p->loop);
}

static void
test_rename_open_unlink(void **state)
{
	struct probe *p = *state;

	write_file(p, "a", "hello");
	p->op = disk_rename(p->disk, at(p, "a"), at(p, "b"), on_done, p);
	assert_int_equal(p->calls, 0);
	wait_for(p, 1);
	assert_int_equal(p->err.code, ERR_NONE);
	disk_open(p->disk, at(p, "b"), on_open, p);
	wait_for(p, 1);
	assert_string_equal(p->text, "hello");
	assert_int_equal(p->size, 5);
	disk_unlink(p->disk, at(p, "b"), on_done, p);
	wait_for(p, 1);
	assert_int_equal(p->err.code, ERR_NONE);
	disk_unlink(p->disk, at(p, "b"), on_done, p);
	wait_for(p, 1);
	assert_int_equal(p->err.code, ERR_NOT_FOUND);
	assert_int_equal(p->err.detail, ENOENT);
	assert_non_null(strstr(p->err.text, "No such file"));
}

static void
test_open_follows_no_link(void **state)
{
	struct probe *p = *state;

	assert_int_equal(symlink("/etc/passwd", at(p, "link")), 0);
	disk_open(p->disk, at(p, "link"), on_open, p);
	wait_for(p, 1);
	assert_int_equal(p->err.detail, ELOOP);
	unlink(at(p, "link"));
}

static void
test_sync(void **state)
{
	struct probe *p = *state;
	int fd = open(at(p, "f"), O_RDWR | O_CREAT, 0600);

	disk_sync(p->disk, fd, on_done, p);
	disk_datasync(p->disk, fd, on_done, p);
	close(fd); /* the jobs have their own */
	disk_sync_dir(p->disk, p->dir, on_done, p);
	wait_for(p, 3);
	assert_int_equal(p->errors, 0);
	disk_sync(p->disk, -1, on_done, p);
	assert_int_equal(p->calls, 3);
	wait_for(p, 1);
	assert_int_equal(p->err.detail, EBADF);
	unlink(at(p, "f"));
}

static void
test_mkdir_with_parents(void **state)
{
	struct probe *p = *state;

	disk_mkdir(p->disk, at(p, "a/b/c"), 0700, on_done, p);
	wait_for(p, 1);
	assert_int_equal(p->err.code, ERR_NONE);
	assert_true(exists(p, "a/b/c"));
	disk_mkdir(p->disk, at(p, "a/b/c"), 0700, on_done, p);
	wait_for(p, 1);
	assert_int_equal(p->err.code, ERR_NONE);
	write_file(p, "a/file", "");
	disk_mkdir(p->disk, at(p, "a/file"), 0700, on_done, p);
	wait_for(p, 1);
	assert_int_equal(p->err.detail, ENOTDIR);
	disk_remove_tree(p->disk, at(p, "a"), on_done, p);
	wait_for(p, 1);
	assert_false(exists(p, "a"));
}

static void
test_remove_tree_follows_no_link(void **state)
{
	struct probe *p = *state;

	assert_int_equal(mkdir(at(p, "keep"), 0700), 0);
	write_file(p, "keep/file", "precious");
	assert_int_equal(mkdir(at(p, "tree"), 0700), 0);
	assert_int_equal(mkdir(at(p, "tree/sub"), 0700), 0);
	assert_int_equal(symlink("../keep", at(p, "tree/dirlink")), 0);
	assert_int_equal(symlink("../../keep/file", at(p, "tree/sub/filelink")), 0);
	for (int i = 0; i < 300; i++) {
		char name[32];

		snprintf(name, sizeof(name), "tree/sub/%d", i);
		write_file(p, name, "");
		snprintf(name, sizeof(name), "tree/d%d", i);
		assert_int_equal(mkdir(at(p, name), 0700), 0);
	}
	disk_remove_tree(p->disk, at(p, "tree"), on_done, p);
	wait_for(p, 1);
	assert_int_equal(p->err.code, ERR_NONE);
	assert_false(exists(p, "tree"));
	assert_true(exists(p, "keep/file"));
	assert_int_equal(symlink("keep", at(p, "root")), 0);
	disk_remove_tree(p->disk, at(p, "root"), on_done, p); /* a link as the root: the link alone */
	wait_for(p, 1);
	assert_false(exists(p, "root"));
	assert_true(exists(p, "keep/file"));
	disk_remove_tree(p->disk, at(p, "keep"), on_done, p);
	disk_remove_tree(p->disk, at(p, "nothing"), on_done, p);
	wait_for(p, 2);
	assert_int_equal(p->errors, 0);
	assert_false(exists(p, "keep"));
}

/* Deeper than PATH_MAX and than there are descriptors. */
static void
test_remove_deep_tree(void **state)
{
	struct probe *p = *state;
	int fd;

	assert_int_equal(mkdir(at(p, "deep"), 0700), 0);
	fd = open(at(p, "deep"), O_RDONLY | O_DIRECTORY);
	for (int i = 0; i < 3000; i++) {
		int next;

		assert_int_equal(mkdirat(fd, "dddd", 0700), 0);
		next = openat(fd, "dddd", O_RDONLY | O_DIRECTORY);
		close(fd);
		fd = next;
	}
	close(fd);
	disk_remove_tree(p->disk, at(p, "deep"), on_done, p);
	wait_for(p, 1);
	assert_int_equal(p->err.code, ERR_NONE);
	assert_false(exists(p, "deep"));
}

static void
test_copy(void **state)
{
	struct probe *p = *state;
	struct stat st;
	char *big = xcalloc(1, 3 << 20);

	memset(big, 'x', (3 << 20) - 1);
	write_file(p, "from", big);
	free(big);
	disk_copy(p->disk, at(p, "from"), at(p, "to"), 0640, on_done, p);
	wait_for(p, 1);
	assert_int_equal(p->err.code, ERR_NONE);
	assert_int_equal(stat(at(p, "to"), &st), 0);
	assert_int_equal(st.st_size, (3 << 20) - 1);
	assert_int_equal(st.st_mode & 0777, 0640);
	disk_copy(p->disk, at(p, "from"), at(p, "to"), 0640, on_done, p);
	wait_for(p, 1);
	assert_int_equal(p->err.code, ERR_CONFLICT);
	disk_copy(p->disk, p->dir, at(p, "dir"), 0640, on_done, p);
	wait_for(p, 1);
	assert_int_equal(p->err.detail, EINVAL);
	unlink(at(p, "from"));
	unlink(at(p, "to"));
}

static void
test_space(void **state)
{
	struct probe *p = *state;

	disk_space(p->disk, p->dir, on_space, p);
	wait_for(p, 1);
	assert_int_equal(p->err.code, ERR_NONE);
	assert_true(p->total_bytes > 0 && p->free_bytes <= p->total_bytes);
	disk_space(p->disk, "/no/such/path", on_space, p);
	wait_for(p, 1);
	assert_int_equal(p->err.code, ERR_NOT_FOUND);
}

static void
test_cancelled_jobs_never_call_back(void **state)
{
	struct probe *p = *state;
	struct disk_op *ops[64];

	write_file(p, "f", "");
	for (unsigned i = 0; i < 64; i++)
		ops[i] =
		    disk_open(p->disk, at(p, "f"), on_open, p); /* a descriptor left open would not be noticed... */
	for (unsigned i = 0; i < 64; i++)
		disk_cancel(&ops[i]);
	disk_sync_dir(p->disk, p->dir, on_done, p);
	wait_for(p, 1);
	assert_int_equal(p->calls, 1);
	disk_free(&p->disk);
	assert_int_equal(dup(0) < 32, 1); /* ... but for its number */
	unlink(at(p, "f"));
}

static void
on_cancel_other(void *arg, const struct err *err)
{
	struct probe *p = arg;

	(void)err;
	p->op = NULL;
	disk_cancel(&p->other);
	loop_stop(p->loop);
}

static void
on_other(void *arg, const struct err *err)
{
	struct probe *p = arg;

	(void)err;
	p->other = NULL;
	p->calls++;
}

/* Mostly both are done when the first callback runs. */
static void
test_callback_may_cancel_a_sibling(void **state)
{
	struct probe *p = *state;

	for (int i = 0; i < 50; i++) {
		int before = p->calls;

		p->op = disk_sync_dir(p->disk, p->dir, on_cancel_other, p);
		p->other = disk_mkdir(p->disk, p->dir, 0700, on_other, p);
		loop_run(p->loop);
		assert_null(p->op);
		assert_null(p->other);
		assert_true(p->calls <= before + 1);
	}
}

static void
test_queue_is_bounded(void **state)
{
	struct probe *p = *state;

	for (int i = 0; i < 6000; i++)
		disk_sync_dir(p->disk, p->dir, on_done, p);
	assert_int_equal(p->calls, 0);
	wait_for(p, 6000);
	assert_int_equal(p->calls, 6000);
	assert_true(p->errors <= 6000 - 4096);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_rename_open_unlink),
		TEST(test_open_follows_no_link),
		TEST(test_sync),
		TEST(test_mkdir_with_parents),
		TEST(test_remove_tree_follows_no_link),
		TEST(test_remove_deep_tree),
		TEST(test_copy),
		TEST(test_space),
		TEST(test_cancelled_jobs_never_call_back),
		TEST(test_callback_may_cancel_a_sibling),
		TEST(test_queue_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
