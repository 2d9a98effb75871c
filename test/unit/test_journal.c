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
#include "server/mirror/shelf.h"

enum {
	RECORDS = 20,
	UPDATES = 11000,
	RENEWED_MAX = UPDATES * 50, /* bytes: each update's record has more than twice as many */
};

struct probe {
	struct loop *loop;
	struct disk *disk;
	char dir[64];
	char *path;
	unsigned read; /* records that the journal gave */
};

static int
setup(void **state)
{
	struct probe *p = xcalloc(1, sizeof(*p));

	p->loop = loop_new();
	p->disk = disk_new(p->loop);
	strcpy(p->dir, "/tmp/davit-journal-XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	p->path = xasprintf("%s/journal", p->dir);
	*state = p;
	return 0;
}

static int
teardown(void **state)
{
	struct probe *p = *state;
	char *command = xasprintf("rm -rf %s", p->dir);

	disk_free(&p->disk);
	loop_free(&p->loop);
	assert_int_equal(system(command), 0);
	free(command);
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

static bool
on_record(void *arg, unsigned type, struct str text)
{
	struct probe *p = arg;
	char expected[64];

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

	p->read = 0;
	j = journal_open(p->loop, p->disk, p->path, on_record, p, &err);
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
	loop_stop(p->loop);
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
	renewed = journal_open(p->loop, p->disk, path, NULL, NULL, &err);
	assert_non_null(renewed);
	append(renewed, 0, RECORDS / 2);
	journal_rename(renewed, p->path, on_renamed, p);
	append(renewed, RECORDS / 2, RECORDS);
	loop_run(p->loop);
	journal_free(&j);
	journal_free(&renewed);
	j = open_journal(p);
	assert_int_equal(p->read, RECORDS);
	assert_int_equal(access(path, F_OK), -1);
	journal_free(&j);
	free(path);
}

/* --- the shelf over it --- */

static void
request_for(struct http1_head *ret)
{
	struct http1_scan scan = { 0 };

	assert_int_equal(http1_parse_request(&scan, STR("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), NULL, ret), HTTP1_DONE);
}

static void
on_turn(void *arg)
{
	loop_stop(arg);
}

static void
turn(struct probe *p)
{
	struct timer *timer = timer_new(p->loop, on_turn, p->loop);

	timer_start(timer, 5);
	loop_run(p->loop);
	timer_free(&timer);
}

static struct shelf *
open_shelf(struct probe *p, uint64_t size)
{
	const struct shelf_conf conf = { .loop = p->loop, .disk = p->disk, .folder = p->path, .size = size };
	struct err err;
	struct shelf *s = shelf_open(&conf, &err);

	assert_non_null(s);
	return s;
}

static void
put_away(struct probe *p, struct shelf *s, const char *key, const char *body)
{
	const struct http_cache_times times = { 1, 2 };
	uint64_t id, stored = shelf_figures(s).bytes;
	struct err err;
	struct draft *draft = shelf_draft(s, DRAFT_UNKNOWN, &id, &err);
	struct variant *v = variant_new(id, STR("HTTP/1.1 200 OK\r\nETag: x\r\n\r\n"), STR(""), &times);

	v->draft = draft;
	shelf_add(s, key, v);
	assert_true(draft_append(draft, str_of(body), &err));
	draft_end(draft);
	shelf_publish(s, v);
	while (!variant_is_filed(v)) {
		turn(p);
	}
	assert_int_equal(shelf_figures(s).bytes, stored + strlen(body));
	variant_unref(&v);
}

/* Stored, replaced and dropped many times more often than there are objects: the journal is renewed under way, and the
 * next process knows the same. */
static void
test_shelf_again(void **state)
{
	struct probe *p = *state;
	struct shelf *s = open_shelf(p, 1000);
	struct http1_head request;
	struct variant *v;
	char *journal = xasprintf("%s/journal", p->path);
	struct stat st;

	request_for(&request);
	put_away(p, s, "http://a/1", "one");
	put_away(p, s, "http://a/2", "two");
	for (int i = 0; i < UPDATES; i++) {
		v = shelf_find(s, "http://a/1", &request);
		v->times.received = i;
		shelf_update(s, v);
	}
	shelf_invalidate(s, "http://a/2");
	put_away(p, s, "http://a/3", "three");
	shelf_free(&s);
	s = open_shelf(p, 1000);
	v = shelf_find(s, "http://a/1", &request);
	assert_non_null(v);
	assert_int_equal(v->times.received, UPDATES - 1);
	assert_int_equal(v->size, 3);
	assert_null(shelf_find(s, "http://a/2", &request));
	assert_non_null(shelf_find(s, "http://a/3", &request));
	assert_int_equal(shelf_figures(s).variants, 2);
	assert_int_equal(shelf_figures(s).bytes, 8);
	for (int i = 0; i < 200; i++) { /* the renewal goes on in slices */
		turn(p);
		assert_int_equal(stat(journal, &st), 0);
		if (st.st_size < RENEWED_MAX)
			break;
	}
	assert_true(st.st_size < RENEWED_MAX);
	shelf_free(&s);
	s = open_shelf(p, 1000);
	assert_int_equal(shelf_figures(s).bytes, 8);
	shelf_free(&s);
	free(journal);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_cut_at_any_byte, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wrong_byte, setup, teardown),
		cmocka_unit_test_setup_teardown(test_renewed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_shelf_again, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
