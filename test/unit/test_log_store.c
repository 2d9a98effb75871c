#include "test/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/mem.h"
#include "server/core/disk.h"
#include "server/core/loop.h"
#include "server/store/log_record.h"
#include "server/store/log_store.h"

struct probe {
	struct loop *loop;
	struct disk *disk;
	struct log_store *store;
	char dir[64];
	struct log_id id;
	int done;
	struct err err;
};

static void
on_done(void *arg, const struct err *err)
{
	struct probe *p = arg;

	p->done++;
	p->err = err == NULL ? ERR_OK : *err;
	loop_stop(p->loop);
}

static void
on_stop(void *arg)
{
	struct probe *p = arg;

	loop_stop(p->loop);
}

/* Lets the loop turn until all that is due has run. */
static void
turn(struct probe *p)
{
	struct timer *timer = timer_new(p->loop, on_stop, p);

	timer_start(timer, 5);
	loop_run(p->loop);
	timer_free(&timer);
}

static void
remove_dir(const char *dir)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	assert_int_equal(system(command), 0);
}

static int
setup(void **state)
{
	struct probe *p = xcalloc(1, sizeof(*p));

	strcpy(p->dir, "/tmp/davit-test-log.XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	p->loop = loop_new();
	p->disk = disk_new(p->loop);
	p->store = log_store_new(p->loop, p->disk, p->dir);
	p->id = (struct log_id){ .build = 17, .job = 2, .attempt = 1 };
	*state = p;
	return 0;
}

static int
teardown(void **state)
{
	struct probe *p = *state;

	log_store_free(&p->store);
	disk_free(&p->disk);
	loop_free(&p->loop);
	remove_dir(p->dir);
	free(p);
	return 0;
}

static struct log_writer *
open_log(struct probe *p)
{
	struct err err = ERR_OK;
	struct log_writer *writer = log_open(p->store, &p->id, &err);

	assert_string_equal(err.text, "");
	assert_non_null(writer);
	return writer;
}

static void
append(struct log_writer *writer, enum log_kind kind, const char *text, uint64_t raw)
{
	struct err err;

	assert_true(log_append(writer, kind, str_of(text), raw, &err));
}

static void
mark(struct log_writer *writer, const char *name, int exit_code)
{
	struct err err;

	assert_true(log_mark(writer, name, exit_code, &err));
}

static void
finish(struct probe *p, struct log_writer **writer)
{
	int before = p->done;

	log_finish(writer, on_done, p);
	assert_null(*writer);
	assert_int_equal(p->done, before);
	loop_run(p->loop);
	assert_int_equal(p->done, before + 1);
}

static void
assert_log_is(struct probe *p, const char *text)
{
	char bytes[256] = "";
	size_t len;
	struct err err;

	assert_true(log_read(p->store, &p->id, 0, bytes, sizeof(bytes) - 1, &len, &err));
	assert_string_equal(bytes, text);
	assert_int_equal(len, strlen(text));
}

static char *
file_path(const struct probe *p, const char *ending)
{
	return xasprintf("%s/log/17/2.1.%s", p->dir, ending);
}

/* --- records --- */

static void
test_crc(void **state)
{
	unsigned char text[32]; /* RFC 3720, B.4: 32 bytes of incrementing values */

	(void)state;
	assert_int_equal(log_crc(0, "123456789", 9), 0xe3069283); /* the check value of CRC-32C */
	assert_int_equal(log_crc(log_crc(0, "1234", 4), "56789", 5), 0xe3069283);
	assert_int_equal(log_crc(0, "", 0), 0);
	for (unsigned i = 0; i < sizeof(text); i++)
		text[i] = (unsigned char)i;
	for (size_t cut = 0; cut <= sizeof(text); cut++) /* words and single bytes */
		assert_int_equal(log_crc(log_crc(0, text, cut), text + cut, sizeof(text) - cut), 0x46dd794e);
}

static void
test_record_round_trip(void **state)
{
	struct log_record in = { LOG_END, 1ULL << 40, 0xfffffff0u, 0x12345678u, 7, 9, 1700000000123, { 5, 1ULL << 41 },
		-3, "script" };
	struct log_record out;
	unsigned char bytes[LOG_RECORD_SIZE];

	(void)state;
	memset(in.name, 'n', LOG_NAME_MAX); /* all 64 */
	log_record_encode(&in, bytes);
	assert_int_equal(bytes[40], LOG_END);
	assert_true(log_record_decode(bytes, &out));
	assert_int_equal(out.kind, LOG_END);
	assert_int_equal(out.offset, in.offset);
	assert_int_equal(out.length, in.length);
	assert_int_equal(out.crc, in.crc);
	assert_int_equal(out.segment, 7);
	assert_int_equal(out.segments, 9);
	assert_int_equal(out.wall_ms, in.wall_ms);
	assert_int_equal(out.raw[0], 5);
	assert_int_equal(out.raw[1], 1ULL << 41);
	assert_int_equal(out.exit_code, -3);
	assert_string_equal(out.name, in.name);
	for (unsigned bit = 0; bit < LOG_RECORD_SIZE * 8; bit++) {
		bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
		assert_false(log_record_decode(bytes, &out));
		bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
	}
}

/* --- writing and reading --- */

static void
test_write_and_read(void **state)
{
	struct probe *p = *state;
	struct log_writer *writer = open_log(p);
	struct log_record records[16];
	uint64_t size;
	size_t count;
	bool finished;

	append(writer, LOG_NOTICE, "pulling\n", 0);
	mark(writer, "install", -1);
	append(writer, LOG_STDOUT, "out\n", 40);
	append(writer, LOG_STDERR, "err\n", 4);
	append(writer, LOG_STDERR, "more\n", 9); /* shares the record */
	assert_string_equal(log_segment(writer), "install");
	mark(writer, "install", 3);
	assert_string_equal(log_segment(writer), "");
	assert_log_is(p, "pulling\nout\nerr\nmore\n");
	assert_true(log_stat(p->store, &p->id, &size, &finished, &p->err));
	assert_int_equal(size, 21);
	assert_false(finished);
	finish(p, &writer);
	assert_int_equal(p->err.code, ERR_NONE);
	assert_true(log_stat(p->store, &p->id, &size, &finished, &p->err));
	assert_int_equal(size, 21);
	assert_true(finished);
	assert_true(log_read_index(p->store, &p->id, 0, records, 16, &count, &p->err));
	assert_int_equal(count, 6);
	assert_int_equal(records[0].kind, LOG_NOTICE);
	assert_int_equal(records[0].segment, 0);
	assert_int_equal(records[1].kind, LOG_BEGIN);
	assert_string_equal(records[1].name, "install");
	assert_int_equal(records[1].segment, 1);
	assert_int_equal(records[2].kind, LOG_STDOUT);
	assert_int_equal(records[2].offset, 8);
	assert_int_equal(records[2].length, 4);
	assert_int_equal(records[2].raw[0], 40);
	assert_int_equal(records[3].kind, LOG_STDERR);
	assert_int_equal(records[3].length, 9);
	assert_int_equal(records[3].crc, log_crc(0, "err\nmore\n", 9));
	assert_int_equal(records[3].raw[0], 40);
	assert_int_equal(records[3].raw[1], 9);
	assert_int_equal(records[4].kind, LOG_END);
	assert_int_equal(records[4].exit_code, 3);
	assert_int_equal(records[4].segment, 1);
	assert_int_equal(records[5].kind, LOG_FINISH);
	assert_int_equal(records[5].segment, 0);
	assert_true(log_read_index(p->store, &p->id, 4, records, 1, &count, &p->err));
	assert_int_equal(count, 1);
	assert_int_equal(records[0].kind, LOG_END);
}

static void
test_missing_log(void **state)
{
	struct probe *p = *state;
	struct log_record record;
	char byte;
	size_t len;
	uint64_t size;
	bool finished;

	assert_false(log_read(p->store, &p->id, 0, &byte, 1, &len, &p->err));
	assert_int_equal(p->err.code, ERR_NOT_FOUND);
	assert_false(log_stat(p->store, &p->id, &size, &finished, &p->err));
	assert_int_equal(p->err.code, ERR_NOT_FOUND);
	assert_false(log_read_index(p->store, &p->id, 0, &record, 1, &len, &p->err));
	assert_int_equal(p->err.code, ERR_NOT_FOUND);
}

static void
test_one_writer(void **state)
{
	struct probe *p = *state;
	struct log_writer *writer = open_log(p);

	assert_null(log_open(p->store, &p->id, &p->err));
	assert_int_equal(p->err.code, ERR_CONFLICT);
	log_close(&writer);
	assert_null(writer);
	writer = open_log(p);
	log_close(&writer);
}

static void
test_open_again(void **state)
{
	struct probe *p = *state;
	struct log_writer *writer = open_log(p);

	mark(writer, "script", -1);
	append(writer, LOG_STDOUT, "one\n", 104);
	append(writer, LOG_STDERR, "two\n", 204);
	append(writer, LOG_STDOUT, "", 150); /* a marker: raw bytes without a text */
	log_close(&writer);
	writer = open_log(p);
	assert_int_equal(log_writer_size(writer), 8);
	assert_int_equal(log_raw(writer, LOG_STDOUT), 150);
	assert_int_equal(log_raw(writer, LOG_STDERR), 204);
	assert_string_equal(log_segment(writer), "script");
	append(writer, LOG_STDOUT, "three\n", 160);
	mark(writer, "script", 0);
	finish(p, &writer);
	assert_log_is(p, "one\ntwo\nthree\n");
	writer = open_log(p); /* the job's end was not recorded elsewhere: its log goes on */
	assert_int_equal(log_raw(writer, LOG_STDOUT), 160);
	assert_string_equal(log_segment(writer), "");
	mark(writer, "after", -1);
	append(writer, LOG_STDOUT, "four\n", 170);
	log_close(&writer);
	writer = open_log(p);
	assert_string_equal(log_segment(writer), "after");
	log_close(&writer);
	assert_log_is(p, "one\ntwo\nthree\nfour\n");
}

/* The files as a crash left them: the index cut at `index`, the log at `bytes`. */
static void
cut_files(const struct probe *p, off_t index, off_t bytes)
{
	char *idx = file_path(p, "idx");
	char *log = file_path(p, "log");

	assert_int_equal(truncate(idx, index), 0);
	assert_int_equal(truncate(log, bytes), 0);
	free(idx);
	free(log);
}

/* What a job does: the same from its beginning on, as often as it is given. In steps of at most that many bytes. */
static void
play(struct log_writer *writer, unsigned from, unsigned to, size_t most)
{
	static const struct {
		enum log_kind kind;
		const char *text; /* of a mark its name */
		int exit_code;
	} steps[] = {
		{ LOG_NOTICE, "davit: pulling\n", 0 },
		{ LOG_BEGIN, "script", -1 },
		{ LOG_STDOUT, "one\ntwo", 0 },
		{ LOG_STDERR, "aside\n", 0 },
		{ LOG_STDOUT, " and a half\n", 0 },
		{ LOG_END, "script", 3 },
		{ LOG_STDOUT, "", 0 }, /* a marker: raw bytes without a text */
		{ LOG_BEGIN, "after", -1 },
		{ LOG_STDOUT, "three\n", 0 },
		{ LOG_END, "after", 0 },
		{ LOG_NOTICE, "davit: cache saved\n", 0 },
		{ LOG_NOTICE, "davit: exit code 3\n", 0 },
	};

	for (unsigned i = from; i < to; i++) {
		size_t len = strlen(steps[i].text);
		size_t step = steps[i].kind == LOG_NOTICE || most > len ? len : most;
		size_t at = 0;
		struct err err;

		if (steps[i].kind == LOG_BEGIN || steps[i].kind == LOG_END) {
			mark(writer, steps[i].text, steps[i].exit_code);
			continue;
		}
		do {
			struct str piece = { steps[i].text + at, len - at < step ? len - at : step };

			assert_true(log_append(writer, steps[i].kind, piece, 0, &err));
			at += step;
		} while (at < len);
	}
}

enum { FIRST_OUTPUT = 1, STEPS = 12 };

static unsigned
count_marks(const struct probe *p)
{
	struct log_record records[64];
	unsigned marks = 0;
	size_t count;
	struct err err;

	assert_true(log_read_index(p->store, &p->id, 0, records, 64, &count, &err));
	for (size_t i = 0; i < count; i++)
		marks += records[i].kind == LOG_BEGIN || records[i].kind == LOG_END;
	return marks;
}

static void
leave_and_give_again(struct probe *p, unsigned from, unsigned left, size_t most)
{
	struct log_writer *writer = open_log(p);
	uint64_t place;

	play(writer, 0, from, 5);
	place = log_place(writer);
	play(writer, from, left, 5);
	log_close(&writer);
	writer = open_log(p);
	assert_true(log_recall(writer, place));
	play(writer, from, STEPS, most);
	log_close(&writer);
	assert_int_equal(count_marks(p), 4);
	assert_log_is(p, "davit: pulling\none\ntwoaside\n and a half\nthree\ndavit: cache saved\n"
			 "davit: exit code 3\n");
	cut_files(p, 0, 0);
}

/* Left after any step, and given again from any place before that on, in pieces of another size: nothing twice, nothing
 * missing. */
static void
test_recall_after_every_step(void **state)
{
	for (unsigned left = FIRST_OUTPUT; left <= STEPS; left++)
		for (unsigned from = FIRST_OUTPUT; from <= left; from++)
			for (size_t most = 1; most < 8; most += 3)
				leave_and_give_again(*state, from, left, most);
}

/* A long index is looked at in slices, between which the loop turns. */
static void
test_recall_of_many_records(void **state)
{
	struct probe *p = *state;
	struct log_writer *writer = open_log(p);
	unsigned turns = 1;

	for (unsigned i = 0; i < 10000; i++)
		mark(writer, "step", i % 2 == 0 ? -1 : 0);
	log_close(&writer);
	writer = open_log(p);
	while (!log_recall(writer, 0))
		turns++;
	assert_int_equal(turns, 3);
	for (unsigned i = 0; i < 10000; i++)
		mark(writer, "step", i % 2 == 0 ? -1 : 0);
	append(writer, LOG_STDOUT, "new\n", 4);
	log_close(&writer);
	assert_log_is(p, "new\n");
}

static void
test_crash_at_every_byte_of_the_last_record(void **state)
{
	struct probe *p = *state;

	for (off_t cut = 0; cut <= LOG_RECORD_SIZE; cut++) {
		bool whole = cut == LOG_RECORD_SIZE;
		struct log_writer *writer = open_log(p);

		append(writer, LOG_STDOUT, "one\n", 4);
		append(writer, LOG_STDERR, "two\n", 8);
		log_close(&writer);
		cut_files(p, LOG_RECORD_SIZE + cut, 8);
		writer = open_log(p);
		assert_int_equal(log_writer_size(writer), whole ? 8 : 4);
		assert_int_equal(log_raw(writer, LOG_STDOUT), 4);
		assert_int_equal(log_raw(writer, LOG_STDERR), whole ? 8 : 0);
		assert_log_is(p, whole ? "one\ntwo\n" : "one\n");
		append(writer, LOG_STDERR, "again\n", 9);
		log_close(&writer);
		assert_log_is(p, whole ? "one\ntwo\nagain\n" : "one\nagain\n");
		cut_files(p, 0, 0);
	}
}

static void
test_crash_at_every_byte_of_the_log(void **state)
{
	struct probe *p = *state;

	for (off_t cut = 0; cut <= 8; cut++) {
		struct log_writer *writer = open_log(p);

		append(writer, LOG_STDOUT, "one\n", 4);
		append(writer, LOG_STDERR, "two\n", 8);
		log_close(&writer);
		cut_files(p, 2 * LOG_RECORD_SIZE, cut);
		writer = open_log(p);
		assert_int_equal(log_writer_size(writer), cut / 4 * 4);
		assert_int_equal(log_raw(writer, LOG_STDOUT), cut >= 4 ? 4 : 0);
		assert_int_equal(log_raw(writer, LOG_STDERR), cut == 8 ? 8 : 0);
		log_close(&writer);
		cut_files(p, 0, 0);
	}
}

static void
test_bytes_that_never_reached_the_disk(void **state)
{
	struct probe *p = *state;
	struct log_writer *writer = open_log(p);
	char *path = file_path(p, "log");
	int fd;

	append(writer, LOG_STDOUT, "one\n", 4);
	append(writer, LOG_STDERR, "two\n", 8);
	log_close(&writer);
	fd = open(path, O_WRONLY);
	assert_int_equal(pwrite(fd, "\0\0", 2, 5), 2); /* a power loss left zeros in the second record's bytes */
	close(fd);
	free(path);
	writer = open_log(p);
	assert_int_equal(log_writer_size(writer), 4);
	log_close(&writer);
	assert_log_is(p, "one\n");
}

static void
test_crumbs_share_records(void **state)
{
	struct probe *p = *state;
	struct log_writer *writer = open_log(p);
	char *path = file_path(p, "idx");
	struct stat st;

	for (unsigned i = 1; i <= 5000; i++)
		append(writer, LOG_STDOUT, "x", i);
	log_close(&writer);
	assert_int_equal(stat(path, &st), 0);
	free(path);
	assert_true(st.st_size < 500 * LOG_RECORD_SIZE);
	writer = open_log(p);
	assert_int_equal(log_writer_size(writer), 5000);
	assert_int_equal(log_raw(writer, LOG_STDOUT), 5000);
	log_close(&writer);
}

static void
test_big_append(void **state)
{
	struct probe *p = *state;
	struct log_writer *writer = open_log(p);
	size_t len = 300000;
	char *big = xcalloc(1, len + 1);
	char part[16];
	size_t got;

	memset(big, 'b', len);
	append(writer, LOG_STDOUT, big, len);
	append(writer, LOG_STDOUT, "end", len + 3);
	log_close(&writer);
	free(big);
	writer = open_log(p);
	assert_int_equal(log_writer_size(writer), len + 3);
	log_close(&writer);
	assert_true(log_read(p->store, &p->id, len - 1, part, sizeof(part), &got, &p->err));
	assert_int_equal(got, 4);
	assert_memory_equal(part, "bend", 4);
	assert_true(log_read(p->store, &p->id, len + 3, part, sizeof(part), &got, &p->err));
	assert_int_equal(got, 0);
	assert_true(log_read(p->store, &p->id, UINT64_MAX, part, sizeof(part), &got, &p->err));
	assert_int_equal(got, 0);
}

static void
test_disk_full(void **state)
{
	struct probe *p = *state;
	struct log_writer *writer;
	char page[4096];
	struct err err = ERR_OK;
	uint64_t size;
	unsigned pages = 0;

	if (mount("davit-test", p->dir, "tmpfs", 0, "size=64k") != 0)
		skip(); /* not root */
	memset(page, 'p', sizeof(page));
	writer = open_log(p);
	while (
	    pages < 100 && log_append(writer, LOG_STDOUT, (struct str){ page, sizeof(page) }, (pages + 1) * 4096, &err))
		pages++;
	assert_true(pages > 4 && pages < 16);
	assert_int_equal(err.detail, ENOSPC);
	assert_string_equal(err.text, "the log of job 17.2 cannot be written: No space left on device");
	size = log_writer_size(writer);
	assert_int_equal(size, pages * 4096);
	err = ERR_OK;
	assert_false(log_append(writer, LOG_STDOUT, STR("x"), 1, &err)); /* it stays failed */
	assert_int_equal(err.detail, ENOSPC);
	assert_false(log_mark(writer, "script", -1, &err));
	finish(p, &writer);
	assert_int_equal(p->err.detail, ENOSPC);
	writer = open_log(p); /* what was stored is whole */
	assert_int_equal(log_writer_size(writer), size);
	assert_int_equal(log_raw(writer, LOG_STDOUT), size);
	log_close(&writer);
	assert_int_equal(umount(p->dir), 0);
}

static void
test_remove(void **state)
{
	struct probe *p = *state;
	struct log_writer *writer = open_log(p);
	size_t len;
	char byte;

	finish(p, &writer);
	log_remove_build(p->store, 17, on_done, p);
	loop_run(p->loop);
	assert_int_equal(p->err.code, ERR_NONE);
	assert_false(log_read(p->store, &p->id, 0, &byte, 1, &len, &p->err));
	assert_int_equal(p->err.code, ERR_NOT_FOUND);
	log_remove_build(p->store, 99, on_done, p);
	loop_run(p->loop);
	assert_int_equal(p->err.code, ERR_NONE);
}

static void
test_finish_cancelled(void **state)
{
	struct probe *p = *state;
	struct log_writer *writer = open_log(p);
	struct log_finish *op = log_finish(&writer, on_done, p);
	uint64_t size;
	bool finished;

	log_finish_cancel(&op);
	turn(p);
	assert_int_equal(p->done, 0);
	assert_true(log_stat(p->store, &p->id, &size, &finished, &p->err));
	assert_true(finished);
}

/* --- followers --- */

struct reader {
	struct log_follower *follower;
	struct log_follower **ends; /* another one to end in the callback */
	bool holds;                 /* does not read in the callback */
	unsigned calls;
	unsigned shared; /* reads that cost no copy */
	size_t len;
	char text[256];
};

static void
read_all(struct reader *r)
{
	struct log_block *block;
	struct str text;

	while ((text = log_follow_read(r->follower, &block)).len > 0) {
		if (r->len + text.len < sizeof(r->text))
			memcpy(r->text + r->len, text.p, text.len);
		r->len += text.len;
		r->shared += block != NULL;
	}
}

static void
on_bytes(void *arg)
{
	struct reader *r = arg;

	r->calls++;
	if (r->ends != NULL)
		log_unfollow(r->ends);
	if (r->follower != NULL && !r->holds)
		read_all(r);
}

static void
follow(struct probe *p, struct reader *r, uint64_t offset)
{
	r->follower = log_follow(p->store, &p->id, offset, on_bytes, r);
	assert_int_equal(r->calls, 0);
}

static void
test_follow_from_any_offset(void **state)
{
	struct probe *p = *state;
	struct log_writer *writer = open_log(p);
	struct reader readers[12] = { 0 };

	append(writer, LOG_STDOUT, "01234", 5);
	for (unsigned i = 0; i < 12; i++)
		follow(p, &readers[i], i);
	turn(p);
	for (unsigned i = 0; i < 12; i++)
		assert_string_equal(readers[i].text, i < 5 ? &"01234"[i] : "");
	append(writer, LOG_STDOUT, "56", 7);
	append(writer, LOG_STDERR, "789", 3);
	assert_int_equal(readers[5].calls, 0);
	turn(p);
	for (unsigned i = 0; i < 12; i++) {
		assert_string_equal(readers[i].text, i < 10 ? &"0123456789"[i] : "");
		assert_int_equal(readers[i].calls, (i < 5) + (i < 10)); /* two appends, one call */
		assert_false(log_follow_is_ended(readers[i].follower));
	}
	assert_int_equal(readers[7].shared, 1);
	assert_int_equal(log_followers(p->store), 12);
	finish(p, &writer);
	turn(p);
	for (unsigned i = 0; i < 12; i++) {
		assert_int_equal(readers[i].calls, 1 + (i < 5) + (i < 10));
		assert_true(log_follow_is_ended(readers[i].follower));
		log_unfollow(&readers[i].follower);
	}
	assert_int_equal(log_followers(p->store), 0);
}

static void
test_follow_before_the_log_exists(void **state)
{
	struct probe *p = *state;
	struct reader r = { 0 };
	struct log_writer *writer;

	follow(p, &r, 0);
	turn(p);
	assert_int_equal(r.calls, 0);
	writer = open_log(p);
	append(writer, LOG_STDOUT, "first", 5);
	turn(p);
	assert_string_equal(r.text, "first");
	log_close(&writer); /* the daemon goes: no end */
	turn(p);
	assert_false(log_follow_is_ended(r.follower));
	log_unfollow(&r.follower);
	assert_null(r.follower);
}

static void
test_follow_a_finished_log(void **state)
{
	struct probe *p = *state;
	struct log_writer *writer = open_log(p);
	struct reader r = { 0 };
	struct reader late = { 0 };

	append(writer, LOG_STDOUT, "all", 3);
	finish(p, &writer);
	follow(p, &r, 1);
	follow(p, &late, 3);
	turn(p);
	assert_string_equal(r.text, "ll");
	assert_true(log_follow_is_ended(r.follower));
	assert_int_equal(late.calls, 1);
	assert_true(log_follow_is_ended(late.follower));
	assert_null(log_follow_error(r.follower));
	log_unfollow(&r.follower);
	log_unfollow(&late.follower);
}

/* Megabytes behind: the shared end is long gone, the file has it all. */
static void
test_slow_follower_loses_nothing(void **state)
{
	struct probe *p = *state;
	struct log_writer *writer = open_log(p);
	struct reader slow = { .holds = true };
	struct reader fast = { 0 };
	char line[1001];
	uint64_t raw = 0;
	uint64_t sum = 0;
	struct str text;

	follow(p, &slow, 0);
	follow(p, &fast, 0);
	for (unsigned i = 0; i < 2000; i++) {
		memset(line, 'a' + (int)(i % 26), 1000);
		line[1000] = '\0';
		append(writer, LOG_STDOUT, line, raw += 1000);
		if (i % 50 == 0)
			turn(p);
	}
	turn(p);
	assert_int_equal(slow.calls, 1); /* not called again before it has read to the end */
	assert_int_equal(fast.len, 2000000);
	while ((text = log_follow_read(slow.follower, NULL)).len > 0)
		for (size_t i = 0; i < text.len; i++, sum++)
			assert_int_equal(text.p[i], 'a' + (int)(sum / 1000 % 26));
	assert_int_equal(sum, 2000000);
	assert_int_equal(log_follow_offset(slow.follower), 2000000);
	append(writer, LOG_STDOUT, "more", raw + 4);
	turn(p);
	assert_int_equal(slow.calls, 2);
	log_close(&writer);
	log_unfollow(&slow.follower);
	log_unfollow(&fast.follower);
}

static void
test_blocks_outlive_the_log(void **state)
{
	struct probe *p = *state;
	struct log_writer *writer = open_log(p);
	struct reader r = { .holds = true };
	struct log_block *block = NULL;
	struct str text;

	follow(p, &r, 0);
	append(writer, LOG_STDOUT, "shared", 6);
	text = log_follow_read(r.follower, &block);
	assert_non_null(block);
	log_block_ref(block);
	append(writer, LOG_STDOUT, " and more", 15);
	log_unfollow(&r.follower);
	log_close(&writer);
	assert_int_equal(text.len, 6);
	assert_memory_equal(text.p, "shared", 6);
	log_block_unref(&block);
	assert_null(block);
}

static void
test_callback_may_end_followers(void **state)
{
	struct probe *p = *state;
	struct log_writer *writer = open_log(p);
	struct reader a = { 0 };
	struct reader b = { 0 };
	struct reader itself = { 0 };

	follow(p, &a, 0);
	follow(p, &b, 0);
	follow(p, &itself, 0);
	a.ends = &b.follower;
	itself.ends = &itself.follower;
	append(writer, LOG_STDOUT, "x", 1);
	log_close(&writer); /* the log lives by its followers alone */
	turn(p);
	assert_int_equal(a.calls, 1);
	assert_int_equal(b.calls, 0);
	assert_int_equal(itself.calls, 1);
	a.ends = &a.follower;
	writer = open_log(p);
	append(writer, LOG_STDOUT, "y", 2);
	turn(p);
	assert_null(a.follower);
	log_close(&writer);
}

static void
test_log_removed_under_a_follower(void **state)
{
	struct probe *p = *state;
	struct log_writer *writer = open_log(p);
	struct reader r = { 0 };

	append(writer, LOG_STDOUT, "x", 1);
	finish(p, &writer);
	follow(p, &r, 0);
	log_remove_build(p->store, 17, on_done, p);
	while (p->done < 2)
		loop_run(p->loop);
	turn(p);
	assert_true(log_follow_is_ended(r.follower));
	log_unfollow(&r.follower);
}

static void
test_many_followers(void **state)
{
	enum { MANY = 10000 };
	struct probe *p = *state;
	struct log_writer *writer = open_log(p);
	struct reader *readers = xcalloc(MANY, sizeof(*readers));
	size_t total = 0;

	for (unsigned i = 0; i < MANY; i++)
		readers[i].follower = log_follow(p->store, &p->id, 0, on_bytes, &readers[i]);
	append(writer, LOG_STDOUT, "line\n", 5);
	for (unsigned turns = 0; turns < 1000 && total < (size_t)MANY * 5; turns++) {
		turn(p);
		total = 0;
		for (unsigned i = 0; i < MANY; i++)
			total += readers[i].len;
	}
	for (unsigned i = 0; i < MANY; i++) {
		assert_int_equal(readers[i].calls, 1);
		assert_int_equal(readers[i].shared, 1);
		assert_string_equal(readers[i].text, "line\n");
		log_unfollow(&readers[i].follower);
	}
	free(readers);
	log_close(&writer);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_crc),
		cmocka_unit_test(test_record_round_trip),
		TEST(test_write_and_read),
		TEST(test_missing_log),
		TEST(test_one_writer),
		TEST(test_open_again),
		TEST(test_recall_after_every_step),
		TEST(test_recall_of_many_records),
		TEST(test_crash_at_every_byte_of_the_last_record),
		TEST(test_crash_at_every_byte_of_the_log),
		TEST(test_bytes_that_never_reached_the_disk),
		TEST(test_crumbs_share_records),
		TEST(test_big_append),
		TEST(test_disk_full),
		TEST(test_remove),
		TEST(test_finish_cancelled),
		TEST(test_follow_from_any_offset),
		TEST(test_follow_before_the_log_exists),
		TEST(test_follow_a_finished_log),
		TEST(test_slow_follower_loses_nothing),
		TEST(test_blocks_outlive_the_log),
		TEST(test_callback_may_end_followers),
		TEST(test_log_removed_under_a_follower),
		TEST(test_many_followers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
