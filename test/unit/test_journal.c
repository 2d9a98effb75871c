#include "test/unit/disk_dir.h"
#include "test/unit/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/mem.h"
#include "server/core/disk.h"
#include "server/core/loop.h"
#include "server/mirror/journal.h"

enum {
	RECORDS = 20,
};

struct probe {
	struct disk_dir dir;
	char *path;
	unsigned read;  /* records that the journal gave, */
	unsigned ahead; /* and told of before */
};

static int
setup(void **state)
{
	struct probe *p = xcalloc(1, sizeof(*p));

	disk_dir_init(&p->dir);
	p->path = xasprintf("%s/journal", p->dir.path);
	*state = p;
	return 0;
}

static int
teardown(void **state)
{
	struct probe *p = *state;

	disk_dir_fini(&p->dir);
	free(p->path);
	free(p);
	return 0;
}

/* The n-th record is of type n + 1, and n times the letter of its number. */
static struct str
payload(unsigned n, char text[64])
{
	memset(text, 'a' + (int)n, n);
	return (struct str){ text, n };
}

static void
on_ahead(void *arg, unsigned type, struct str text)
{
	struct probe *p = arg;
	char expected[64];

	assert_int_equal(type, p->ahead + 1);
	assert_true(str_eq(text, payload(p->ahead, expected)));
	p->ahead++;
}

static bool
on_record(void *arg, unsigned type, struct str text)
{
	struct probe *p = arg;
	char expected[64];

	assert_true(p->read < p->ahead);
	assert_int_equal(type, p->read + 1);
	assert_true(str_eq(text, payload(p->read, expected)));
	p->read++;
	return true;
}

static struct journal *
open_journal(struct probe *p)
{
	struct err err;
	struct journal *j;
	struct journal_extent extent;

	p->read = p->ahead = 0;
	extent = journal_read(p->path, on_ahead, on_record, p);
	j = journal_open(p->dir.loop, p->dir.disk, p->path, &extent, &err);
	assert_non_null(j);
	assert_int_equal(journal_count(j), p->read);
	return j;
}

static void
append(struct journal *j, unsigned from, unsigned to)
{
	char text[64];
	struct err err;

	for (unsigned n = from; n < to; n++)
		assert_true(journal_append(j, n + 1, payload(n, text), &err));
}

/* Wherever the file ends, the records in front of that place are there, and what is added then is found behind them. */
static void
test_cut_at_any_byte(void **state)
{
	struct probe *p = *state;
	struct journal *j = open_journal(p);
	struct stat st;

	append(j, 0, RECORDS);
	journal_free(&j);
	assert_int_equal(stat(p->path, &st), 0);
	for (off_t size = st.st_size; size >= 0; size--) {
		unsigned kept;

		assert_int_equal(truncate(p->path, size), 0);
		j = open_journal(p);
		kept = p->read;
		append(j, kept, RECORDS);
		journal_free(&j);
		j = open_journal(p);
		assert_int_equal(p->read, RECORDS);
		journal_free(&j);
	}
}

static void
flip(const char *path, off_t at)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	char byte;

	assert_int_equal(pread(fd, &byte, 1, at), 1);
	byte ^= 0x10;
	assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	close(fd);
}

static void
test_wrong_byte(void **state)
{
	struct probe *p = *state;
	struct journal *j = open_journal(p);
	struct stat st;

	append(j, 0, RECORDS);
	journal_free(&j);
	assert_int_equal(stat(p->path, &st), 0);
	for (off_t at = 0; at < st.st_size; at++) {
		flip(p->path, at);
		j = open_journal(p); /* asserts that each record that it gives is as it was */
		assert_true(p->read < RECORDS);
		append(j, p->read, RECORDS);
		journal_free(&j);
	}
}

static void
on_renamed(void *arg, const struct err *err)
{
	struct probe *p = arg;

	assert_null(err);
	loop_stop(p->dir.loop);
}

static void
test_renewed(void **state)
{
	struct probe *p = *state;
	struct journal *j = open_journal(p), *renewed;
	char *path = xasprintf("%s.new", p->path);
	struct err err;

	append(j, 0, 5);
	append(j, 0, 5);
	renewed = journal_open(p->dir.loop, p->dir.disk, path, NULL, &err);
	assert_non_null(renewed);
	append(renewed, 0, RECORDS / 2);
	journal_rename(renewed, p->path, on_renamed, p);
	append(renewed, RECORDS / 2, RECORDS);
	loop_run(p->dir.loop);
	journal_free(&j);
	journal_free(&renewed);
	j = open_journal(p);
	assert_int_equal(p->read, RECORDS);
	assert_int_equal(access(path, F_OK), -1);
	journal_free(&j);
	free(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_cut_at_any_byte, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wrong_byte, setup, teardown),
		cmocka_unit_test_setup_teardown(test_renewed, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
