/* The reserve on a disk that is as full as the test says; its file is a real one. */
#include "test/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/mem.h"
#include "server/core/disk.h"
#include "server/core/reserve.h"
#include "test/unit/fake_clock.h"

#define MIB ((uint64_t)1024 * 1024)
enum { LOOK_MS = 2000 };

/* The one operation that is on its way. */
struct disk_op {
	disk_space_fn *space;
	disk_done_fn *done;
	disk_run_fn *run;
	disk_release_fn *release;
	void *work;
	void *arg;
	char path[128];
};

static struct {
	struct reserve *reserve;
	struct disk_op op;
	bool is_asked;
	char dir[64];
	char told[32];
} t;

/* --- in place of core/disk --- */

static struct disk_op *
ask(struct disk_op op)
{
	assert_false(t.is_asked);
	t.is_asked = true;
	t.op = op;
	return &t.op;
}

struct disk_op *
disk_space(struct disk *disk, const char *path, disk_space_fn *fn, void *arg)
{
	(void)disk;
	assert_string_equal(path, t.dir);
	return ask((struct disk_op){ .space = fn, .arg = arg });
}

struct disk_op *
disk_unlink(struct disk *disk, const char *path, disk_done_fn *fn, void *arg)
{
	struct disk_op op = { .done = fn, .arg = arg };

	(void)disk;
	snprintf(op.path, sizeof(op.path), "%s", path);
	return ask(op);
}

struct disk_op *
disk_call(struct disk *disk, disk_run_fn *run, disk_release_fn *release, void *work, disk_done_fn *fn, void *arg)
{
	(void)disk;
	return ask((struct disk_op){ .done = fn, .run = run, .release = release, .work = work, .arg = arg });
}

void
disk_cancel(struct disk_op **op)
{
	if (*op != NULL && t.op.release != NULL)
		t.op.release(t.op.work);
	if (*op != NULL)
		t.is_asked = false;
	*op = NULL;
}

/* --- */

static void
on_change(void *arg, bool is_full)
{
	(void)arg;
	snprintf(t.told, sizeof(t.told), "%s", is_full ? "full" : "room");
}

/* What was told since the last question. */
static const char *
told(void)
{
	static char last[sizeof(t.told)];

	memcpy(last, t.told, sizeof(last));
	t.told[0] = '\0';
	return last;
}

/* The next look finds so much free, of 1 GiB. */
static void
answer_space(uint64_t free_bytes)
{
	struct disk_op op = t.op;

	assert_true(t.is_asked && op.space != NULL);
	t.is_asked = false;
	op.space(op.arg, free_bytes, 1024 * MIB, NULL);
}

static void
answer_done(void)
{
	struct disk_op op = t.op;
	struct err err = ERR_OK;

	assert_true(t.is_asked && op.done != NULL);
	t.is_asked = false;
	if (op.run != NULL)
		op.run(op.work, &err);
	else if (unlink(op.path) != 0)
		err = err_make(ERR_NOT_FOUND, 0, "it is gone");
	op.done(op.arg, err.code == ERR_NONE ? NULL : &err);
}

static off_t
file_size(void)
{
	char path[128];
	struct stat st;

	snprintf(path, sizeof(path), "%s/reserve", t.dir);
	return stat(path, &st) == 0 ? st.st_size : -1;
}

static void
start(void)
{
	t.reserve = reserve_new(NULL, NULL, t.dir, on_change, NULL);
	assert_false(t.is_asked); /* not before the loop runs */
	fake_clock_advance(0);
}

static int
setup(void **state)
{
	(void)state;
	memset(&t, 0, sizeof(t));
	snprintf(t.dir, sizeof(t.dir), "/tmp/davit-test-reserve-XXXXXX");
	return mkdtemp(t.dir) == NULL;
}

static int
teardown(void **state)
{
	char path[128];

	(void)state;
	reserve_free(&t.reserve);
	snprintf(path, sizeof(path), "%s/reserve", t.dir);
	unlink(path);
	rmdir(t.dir);
	return fake_clock_timers() != 0;
}

static void
start_with_file(void)
{
	start();
	answer_space(100 * MIB);
	answer_done();
}

static void
test_it_takes_room_while_there_is_some(void **state)
{
	(void)state;
	start_with_file();
	assert_int_equal(file_size(), RESERVE_MAX);
	assert_string_equal(told(), "");
	fake_clock_advance(LOOK_MS);
	answer_space(RESERVE_MAX / 2);
	assert_false(t.is_asked);
	assert_int_equal(file_size(), RESERVE_MAX);
}

static void
test_it_is_given_back_and_made_again(void **state)
{
	(void)state;
	start_with_file();
	fake_clock_advance(LOOK_MS);
	answer_space(RESERVE_MAX / 2 - 1);
	assert_string_equal(told(), "");
	answer_done();
	assert_int_equal(file_size(), -1);
	assert_string_equal(told(), "full");
	assert_true(reserve_is_given(t.reserve));
	fake_clock_advance(LOOK_MS);
	answer_space(2 * RESERVE_MAX - 1); /* its own room is not room for others */
	assert_false(t.is_asked);
	fake_clock_advance(LOOK_MS);
	answer_space(2 * RESERVE_MAX);
	assert_string_equal(told(), "");
	answer_done();
	assert_int_equal(file_size(), RESERVE_MAX);
	assert_string_equal(told(), "room");
	assert_false(reserve_is_given(t.reserve));
}

static void
test_a_start_on_a_full_disk(void **state)
{
	(void)state;
	start();
	answer_space(0);
	assert_string_equal(told(), "full");
	fake_clock_advance(LOOK_MS);
	answer_space(100 * MIB);
	answer_done();
	assert_string_equal(told(), "room");
}

static void
test_a_start_with_the_file_of_an_earlier_process(void **state)
{
	(void)state;
	start_with_file();
	reserve_free(&t.reserve);
	assert_int_equal(file_size(), RESERVE_MAX);
	start();
	answer_space(0);
	answer_done();
	assert_int_equal(file_size(), -1);
	assert_string_equal(told(), "full");
}

static void
test_a_look_that_is_asked_for(void **state)
{
	(void)state;
	start_with_file();
	reserve_look(t.reserve);
	reserve_look(t.reserve); /* while the first is on its way */
	answer_space(100 * MIB);
	fake_clock_advance(0);
	answer_space(0);
	answer_done();
	assert_string_equal(told(), "full");
	assert_false(t.is_asked);
}

static void
test_somebody_removed_the_file(void **state)
{
	char path[128];

	(void)state;
	start_with_file();
	snprintf(path, sizeof(path), "%s/reserve", t.dir);
	assert_int_equal(unlink(path), 0);
	fake_clock_advance(LOOK_MS);
	answer_space(0);
	answer_done();
	assert_string_equal(told(), "full");
}

static void
test_a_file_that_cannot_be_made(void **state)
{
	(void)state;
	start();
	assert_int_equal(rmdir(t.dir), 0);
	answer_space(100 * MIB);
	answer_done();
	assert_string_equal(told(), "full");
	fake_clock_advance(LOOK_MS);
	assert_true(t.is_asked);
}

static void
test_it_goes_while_the_file_is_made(void **state)
{
	(void)state;
	start();
	answer_space(100 * MIB);
	assert_true(t.is_asked);
	reserve_free(&t.reserve);
	assert_false(t.is_asked);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_it_takes_room_while_there_is_some),
		TEST(test_it_is_given_back_and_made_again),
		TEST(test_a_start_on_a_full_disk),
		TEST(test_a_start_with_the_file_of_an_earlier_process),
		TEST(test_a_look_that_is_asked_for),
		TEST(test_somebody_removed_the_file),
		TEST(test_a_file_that_cannot_be_made),
		TEST(test_it_goes_while_the_file_is_made),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
