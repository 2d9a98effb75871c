#include "test/unit/disk_dir.h"
#include "test/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/mem.h"
#include "server/core/disk.h"
#include "server/core/loop.h"
#include "server/mirror/shelf.h"

enum {
	UPDATES = 11000,
	RENEWED_MAX = UPDATES * 50, /* bytes: each update's record has more than twice as many */
	MANY = 150,                 /* more than go in one slice of a purge */
};

struct probe {
	struct disk_dir dir;
	char *path;
	struct shelf *opened;
};

static int
setup(void **state)
{
	struct probe *p = xcalloc(1, sizeof(*p));

	disk_dir_init(&p->dir);
	p->path = xasprintf("%s/shelf", p->dir.path);
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
	struct timer *timer = timer_new(p->dir.loop, on_turn, p->dir.loop);

	timer_start(timer, 5);
	loop_run(p->dir.loop);
	timer_free(&timer);
}

static void
on_open(void *arg, struct shelf *shelf, const struct err *err)
{
	struct probe *p = arg;

	assert_null(err);
	p->opened = shelf;
	loop_stop(p->dir.loop);
}

static struct shelf *
open_by(struct probe *p, const struct shelf_conf *conf)
{
	shelf_open(conf, on_open, p);
	loop_run(p->dir.loop);
	return p->opened;
}

static struct shelf *
open_aged(struct probe *p, uint64_t size, int64_t age_s)
{
	const struct shelf_conf conf = {
		.loop = p->dir.loop, .disk = p->dir.disk, .folder = p->path, .size = size, .age_s = age_s
	};

	return open_by(p, &conf);
}

static struct shelf *
open_shelf(struct probe *p, uint64_t size)
{
	return open_aged(p, size, 0);
}

/* Others may give way to it. */
static void
put_room_for(struct probe *p, struct shelf *s, const char *key, const char *body)
{
	const struct http_cache_times times = { 1, 2 };
	uint64_t id;
	struct err err;
	struct draft *draft = shelf_draft(s, DRAFT_UNKNOWN, &id, &err);
	struct variant *v = variant_new(id, STR("HTTP/1.1 200 OK\r\nETag: x\r\n\r\n"), STR(""), &times);

	v->draft = draft;
	shelf_add(s, key, v);
	assert_true(draft_append(draft, str_of(body), &err));
	draft_end(draft);
	shelf_publish(s, v);
	while (!variant_is_filed(v))
		turn(p);
	variant_unref(&v);
}

static void
put_away(struct probe *p, struct shelf *s, const char *key, const char *body)
{
	uint64_t stored = shelf_figures(s).bytes;

	put_room_for(p, s, key, body);
	assert_int_equal(shelf_figures(s).bytes, stored + strlen(body));
}

static void
wait_variants(struct probe *p, const struct shelf *s, uint64_t count)
{
	for (int i = 0; i < 2000 && shelf_figures(s).variants > count; i++)
		turn(p);
	assert_int_equal(shelf_figures(s).variants, count);
}

static void
on_failed(void *arg, struct shelf *shelf, const struct err *err)
{
	struct probe *p = arg;

	assert_null(shelf);
	assert_non_null(err);
	loop_stop(p->dir.loop);
}

static void
on_nobody(void *arg, struct shelf *shelf, const struct err *err)
{
	(void)arg;
	(void)shelf;
	(void)err;
	fail_msg("%s", "the opening was cancelled");
}

/* A start that ends before it is over, and a folder that cannot be used. */
static void
test_shelf_is_not_opened(void **state)
{
	struct probe *p = *state;
	struct shelf_conf conf = { .loop = p->dir.loop, .disk = p->dir.disk, .folder = p->path, .size = 10 };
	struct shelf_opening *opening;
	char *below = xasprintf("%s/file/shelf", p->dir.path);
	struct shelf *s = open_shelf(p, 10);

	put_away(p, s, "http://a/1", "one");
	shelf_free(&s);
	opening = shelf_open(&conf, on_nobody, p);
	shelf_open_cancel(&opening);
	assert_null(opening);
	for (int i = 0; i < 10; i++)
		turn(p);
	s = open_shelf(p, 10);
	assert_non_null(shelf_peek(s, "http://a/1"));
	shelf_free(&s);
	conf.folder = below;
	shelf_open(&conf, on_failed, p);
	loop_run(p->dir.loop);
	free(below);
}

/* What is pinned stays, whatever comes, and in the next process, until it is not any more. */
static void
test_shelf_pins(void **state)
{
	struct probe *p = *state;
	struct shelf *s = open_shelf(p, 10);
	struct err err;

	put_away(p, s, "http://a/1", "one");
	put_away(p, s, "HEAD http://a/1", "");
	put_away(p, s, "http://b/1", "others");
	assert_true(shelf_pin(s, "http://a/", &err));
	for (int i = 0; i < 2; i++) {
		put_room_for(p, s, "http://b/2", "other");
		wait_variants(p, s, 3);
		assert_non_null(shelf_peek(s, "http://a/1"));
		assert_non_null(shelf_peek(s, "HEAD http://a/1"));
		assert_null(shelf_peek(s, "http://b/1"));
		assert_string_equal(shelf_pin_at(s, 0), "http://a/");
		assert_null(shelf_pin_at(s, 1));
		shelf_free(&s);
		s = open_shelf(p, 10);
	}
	put_room_for(p, s, "http://a/2", "much too large"); /* where all that is left is pinned */
	wait_variants(p, s, 3);
	assert_int_equal(shelf_figures(s).bytes, 17);
	assert_false(shelf_unpin(s, "http://a", &err));
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_true(shelf_unpin(s, "http://a/", &err));
	assert_true(shelf_figures(s).bytes <= 10);
	shelf_free(&s);
	s = open_shelf(p, 10);
	assert_null(shelf_pin_at(s, 0));
	shelf_free(&s);
}

/* What nobody has used for long goes, and when it was used is known to the next process. */
static void
test_shelf_age(void **state)
{
	struct probe *p = *state;
	struct shelf *s = open_shelf(p, 1000);
	struct http1_head request;
	struct err err;

	request_for(&request);
	put_away(p, s, "http://a/1", "one");
	put_away(p, s, "http://a/2", "two");
	put_away(p, s, "http://a/3", "three"); /* all came in 1970 */
	assert_non_null(shelf_find(s, "http://a/1", &request));
	assert_true(shelf_pin(s, "http://a/3", &err));
	shelf_free(&s);
	s = open_aged(p, 1000, 3600);
	wait_variants(p, s, 2);
	assert_non_null(shelf_peek(s, "http://a/1"));
	assert_null(shelf_peek(s, "http://a/2"));
	assert_int_equal(shelf_figures(s).evicted, 1);
	shelf_free(&s);
}

/* A variant that gets another key takes the place of the one there, for the next process, too. */
static void
test_shelf_rename(void **state)
{
	struct probe *p = *state;
	struct shelf *s = open_shelf(p, 1000);
	struct variant *v;

	put_away(p, s, "http://a/1", "one");
	put_away(p, s, "new http://a/1", "newer");
	shelf_rename(s, "http://a/1", shelf_peek(s, "new http://a/1"));
	for (int i = 0; i < 2; i++) {
		v = shelf_peek(s, "http://a/1");
		assert_non_null(v);
		assert_int_equal(v->size, 5);
		assert_null(shelf_peek(s, "new http://a/1"));
		assert_int_equal(shelf_figures(s).variants, 1);
		assert_int_equal(shelf_figures(s).bytes, 5);
		shelf_free(&s);
		s = open_shelf(p, 1000);
	}
	shelf_free(&s);
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

static struct variant *
find(struct shelf *s, const char *key)
{
	struct http1_head request;

	request_for(&request);
	return shelf_find(s, key, &request);
}

static void
test_what_was_used_longest_ago_gives_way(void **state)
{
	struct probe *p = *state;
	struct shelf *s = open_shelf(p, 10);

	put_away(p, s, "http://a/1", "four");
	put_away(p, s, "http://a/2", "four");
	assert_non_null(find(s, "http://a/1"));
	put_room_for(p, s, "http://a/3", "four");
	assert_non_null(find(s, "http://a/1"));
	assert_null(find(s, "http://a/2"));
	assert_non_null(find(s, "http://a/3"));
	assert_int_equal(shelf_figures(s).evicted, 1);
	shelf_free(&s);
}

/* Replies without a body take no room on the disk to speak of. */
static void
test_heads_give_way_too(void **state)
{
	struct probe *p = *state;
	const struct shelf_conf conf = {
		.loop = p->dir.loop, .disk = p->dir.disk, .folder = p->path, .size = 1000, .memory = 3000
	};
	struct shelf *s = open_by(p, &conf);
	char key[64];

	for (int i = 0; i < 40; i++) {
		snprintf(key, sizeof(key), "http://a/%d", i);
		put_room_for(p, s, key, "");
	}
	assert_in_range(shelf_figures(s).variants, 2, 15);
	assert_int_equal(shelf_figures(s).evicted, 40 - shelf_figures(s).variants);
	assert_non_null(find(s, key));
	assert_null(find(s, "http://a/0"));
	shelf_free(&s);
}

/* One process dies in the midst of a body: the next one has neither the reply nor the file. */
static void
test_what_was_not_whole_is_not_there(void **state)
{
	const struct http_cache_times times = { 1, 2 };
	struct probe *p = *state;
	struct shelf *s = open_shelf(p, 1000);
	struct draft *draft;
	struct variant *v;
	struct err err;
	uint64_t id;

	put_away(p, s, "http://a/whole", "whole");
	draft = shelf_draft(s, 10, &id, &err);
	v = variant_new(id, STR("HTTP/1.1 200 OK\r\n\r\n"), STR(""), &times);
	v->draft = draft;
	shelf_add(s, "http://a/part", v);
	assert_true(draft_append(draft, STR("half"), &err));
	assert_ptr_equal(find(s, "http://a/part"), v); /* who comes now joins */
	variant_unref(&v);
	shelf_free(&s);
	s = open_shelf(p, 1000);
	assert_null(find(s, "http://a/part"));
	assert_non_null(find(s, "http://a/whole"));
	assert_int_equal(shelf_figures(s).variants, 1);
	shelf_free(&s);
}

/* All of a prefix, in slices, of which one ends before an object that is gone when the next begins. */
static void
test_purge(void **state)
{
	struct probe *p = *state;
	struct shelf *s = open_shelf(p, 1000000);
	unsigned dropped = 0, slices = 0;
	char key[64], *cursor = xstrdup("");

	for (int i = 0; i < MANY; i++) {
		snprintf(key, sizeof(key), i % 2 != 0 ? "HEAD http://a/%d" : "http://a/%d", i);
		put_away(p, s, key, "x");
	}
	put_away(p, s, "http://ab/1", "x");
	put_away(p, s, "team/app http://a/9", "x"); /* a link in front of the URL */
	for (; cursor != NULL; slices++) {
		dropped += shelf_purge(s, "http://a/", &cursor);
		if (slices == 0)
			shelf_invalidate(s, cursor);
	}
	assert_true(slices > 2);
	assert_int_equal(dropped, MANY); /* the link's is one of them, and one was dropped between two slices */
	assert_int_equal(shelf_figures(s).variants, 1);
	assert_non_null(find(s, "http://ab/1"));
	shelf_free(&s);
	s = open_shelf(p, 1000000);
	assert_int_equal(shelf_figures(s).variants, 1);
	shelf_free(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_shelf_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_shelf_rename, setup, teardown),
		cmocka_unit_test_setup_teardown(test_shelf_is_not_opened, setup, teardown),
		cmocka_unit_test_setup_teardown(test_shelf_pins, setup, teardown),
		cmocka_unit_test_setup_teardown(test_shelf_age, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_was_used_longest_ago_gives_way, setup, teardown),
		cmocka_unit_test_setup_teardown(test_heads_give_way_too, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_was_not_whole_is_not_there, setup, teardown),
		cmocka_unit_test_setup_teardown(test_purge, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
