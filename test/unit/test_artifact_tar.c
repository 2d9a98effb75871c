#include "test/unit/unit.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/buf.h"
#include "proto/cache_key.h"
#include "proto/mem.h"
#include "proto/tar.h"
#include "server/core/disk.h"
#include "server/core/loop.h"
#include "server/store/artifact_tar.h"
#include "server/store/file_store.h"
#include "server/store/pack.h"

enum { LARGE = 3000000, ROOM = 8 << 20 };

struct probe {
	struct loop *loop;
	struct disk *disk;
	struct file_store *files;
	char dir[64];
	char *path; /* of an artifact */
	struct pack *pack;
	struct artifact_restore *restore;
	struct artifact_file *file;
	struct buf text;
	int64_t size;
	struct err err;
};

static int
setup(void **state)
{
	struct probe *p = xcalloc(1, sizeof(*p));

	strcpy(p->dir, "/tmp/davit-test-files.XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	p->loop = loop_new();
	p->disk = disk_new(p->loop);
	p->files = file_store_new(p->disk, p->dir, &p->err);
	assert_non_null(p->files);
	p->path = xasprintf("%s/artifacts/x", p->dir);
	buf_init(&p->text, ROOM);
	*state = p;
	return 0;
}

static int
teardown(void **state)
{
	struct probe *p = *state;
	char *command = xasprintf("rm -rf %s", p->dir);

	artifact_restore_cancel(&p->restore);
	artifact_file_close(&p->file);
	pack_abort(&p->pack);
	file_store_free(&p->files);
	disk_free(&p->disk);
	loop_free(&p->loop);
	assert_int_equal(system(command), 0);
	buf_fini(&p->text);
	free(command);
	free(p->path);
	free(p);
	return 0;
}

static void
on_packed(void *arg, const struct pack_result *result, const struct err *err)
{
	struct probe *p = arg;

	(void)result;
	if (err != NULL)
		fail_msg("%s", err->text);
	loop_stop(p->loop);
}

static void
on_room(void *arg, const struct err *err)
{
	(void)arg;
	if (err != NULL)
		fail_msg("%s", err->text);
}

/* In one go, so no larger than a pack takes at once. */
static void
make(struct probe *p, const struct buf *tar)
{
	char *temp = file_store_incoming(p->files);

	p->pack = pack_open(p->disk, temp, p->path, PACK_ZSTD, on_room, p);
	for (size_t at = 0; at < tar->len; at += PACK_ROOM) {
		size_t len = tar->len - at < PACK_ROOM ? tar->len - at : PACK_ROOM;

		while (pack_is_full(p->pack))
			event_base_loop(loop_base(p->loop), EVLOOP_ONCE);
		pack_write(p->pack, (struct str){ tar->data + at, len });
	}
	pack_finish(p->pack, on_packed, p);
	loop_run(p->loop);
	pack_abort(&p->pack);
	free(temp);
}

static void
fill(struct buf *tar, const char *large)
{
	const struct tar_entry links[] = {
		{ .kind = TAR_SYMLINK, .name = "d/link", .link = "small" },
		{ .kind = TAR_HARDLINK, .name = "d/same", .link = "d/small" },
	};

	buf_init(tar, ROOM);
	tar_add_dir(tar, "d", 0755, 0);
	tar_add_file(tar, "d/empty", 0644, 0, STR(""));
	tar_add_file(tar, "d/large", 0644, 0, (struct str){ large, LARGE });
	tar_add_entry(tar, &links[0]);
	tar_add_file(tar, "d/small", 0600, 0, STR("hello"));
	tar_add_entry(tar, &links[1]);
	tar_end(tar);
}

static void
on_restored(void *arg, int fd, int64_t size, const struct err *err)
{
	struct probe *p = arg;

	p->restore = NULL;
	p->err = err != NULL ? *err : ERR_OK;
	p->size = size;
	assert_int_equal(fd < 0, err != NULL);
	if (fd >= 0) {
		p->text.len = (size_t)size;
		assert_int_equal(pread(fd, p->text.data, (size_t)size, 0), size);
		close(fd);
	}
	loop_stop(p->loop);
}

static void
restore(struct probe *p)
{
	buf_reset(&p->text);
	for (unsigned i = 0; i < ROOM / 1024; i++) /* makes room for what is read in place */
		buf_add(&p->text, (char[1024]){ 0 }, 1024);
	p->restore = artifact_restore_start(p->files, p->path, "workspace/", on_restored, p);
	loop_run(p->loop);
}

/* The names in it, in words. */
static void
names_of(struct str tar, struct buf *ret)
{
	struct untar u;
	struct tar_entry entry;
	enum untar_next next;
	struct str piece;

	untar_init(&u, 100);
	while ((next = untar_next(&u, &tar, &entry, &piece)) == UNTAR_ENTRY || next == UNTAR_PIECE)
		if (next == UNTAR_ENTRY)
			buf_addf(ret, "%s%s%s ", entry.name, entry.link[0] != '\0' ? ">" : "", entry.link);
	assert_int_equal(next, UNTAR_MORE); /* without an end */
	assert_true(untar_at_boundary(&u));
	untar_fini(&u);
}

static void
test_an_artifact_becomes_a_tar_for_a_workspace(void **state)
{
	struct probe *p = *state;
	char *large = xcalloc(1, LARGE);
	struct buf tar, names;

	random_bytes(large, LARGE);
	fill(&tar, large);
	make(p, &tar);
	restore(p);
	assert_int_equal(p->err.code, ERR_NONE);
	assert_int_equal(p->size % TAR_BLOCK, 0);
	buf_init(&names, 1000);
	names_of(buf_str(&p->text), &names);
	assert_string_equal(names.data, "workspace/d workspace/d/empty workspace/d/large workspace/d/link>small "
					"workspace/d/small workspace/d/same>workspace/d/small ");
	assert_non_null(memmem(p->text.data, p->text.len, large, LARGE));
	buf_fini(&names);
	buf_fini(&tar);
	free(large);
}

static void
test_a_damaged_artifact_is_no_tar(void **state)
{
	struct probe *p = *state;
	struct buf tar;

	restore(p);
	assert_int_equal(p->err.code, ERR_NOT_FOUND);
	buf_init(&tar, ROOM);
	tar_add_file(&tar, "x", 0644, 0, STR("hello"));
	make(p, &tar); /* without an end */
	restore(p);
	assert_int_equal(p->err.code, ERR_PROTO);
	buf_fini(&tar);
}

static void
on_more(void *arg, const struct err *err)
{
	struct probe *p = arg;
	struct str bytes;

	p->err = err != NULL ? *err : ERR_OK;
	while (err == NULL && (bytes = artifact_file_read(p->file)).len > 0)
		buf_addstr(&p->text, bytes);
	if (err == NULL && artifact_file_left(p->file) > 0)
		artifact_file_wait(p->file, on_more, p);
	else
		loop_stop(p->loop);
}

static void
read_file(struct probe *p, const char *name)
{
	buf_reset(&p->text);
	p->file = artifact_file_open(p->files, p->path, name);
	artifact_file_wait(p->file, on_more, p);
	loop_run(p->loop);
	artifact_file_close(&p->file);
}

static void
test_one_file_of_it(void **state)
{
	struct probe *p = *state;
	char *large = xcalloc(1, LARGE);
	struct buf tar;

	random_bytes(large, LARGE);
	fill(&tar, large);
	make(p, &tar);
	read_file(p, "d/large");
	assert_true(str_eq(buf_str(&p->text), (struct str){ large, LARGE }));
	read_file(p, "d/small");
	assert_string_equal(p->text.data, "hello");
	read_file(p, "d/empty");
	assert_int_equal(p->err.code, ERR_NONE);
	assert_int_equal(p->text.len, 0);
	read_file(p, "d/link");
	assert_int_equal(p->err.code, ERR_NOT_FOUND);
	read_file(p, "d");
	assert_int_equal(p->err.code, ERR_NOT_FOUND);
	buf_fini(&tar);
	free(large);
}

static void
test_keys(void **state)
{
	static const struct {
		const char *key, *parts;
	} cases[] = {
		{ "plain", "[plain]" },
		{ "", "" },
		{ "a-${checksum:go.sum}-b", "[a-]<go.sum>[-b]" },
		{ "${checksum:a}${checksum:**/b}", "<a><**/b>" },
		{ "${checksum:a", "[${checksum:a]" },
		{ "${checksum:}", "[${checksum:}]" },
		{ "${other}", "[${other}]" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct str rest = str_of(cases[i].key), text, pattern;
		struct buf b;

		buf_init(&b, 1000);
		while (cache_key_next(&rest, &text, &pattern))
			buf_addf(&b, pattern.len > 0 ? "<%.*s>" : "[%.*s]", (int)(text.len + pattern.len),
			    pattern.len > 0 ? pattern.p : text.p);
		assert_string_equal(b.data, cases[i].parts);
		buf_fini(&b);
	}
}

/* Strangers do not share what they save, also where no pull request tells them apart. */
static void
test_scopes_of_forks_caches(void **state)
{
	struct change one = { .trust = CHANGE_FORK, .pull_number = 7 };
	char scopes[5][CACHE_SCOPE_SIZE];

	(void)state;
	cache_scope(&one, scopes[0]);
	assert_string_equal(scopes[0], "fork-7");
	one.pull_number = 0;
	cache_scope(&one, scopes[0]);
	one.fetch_url = (char[]){ "https://forge.example/eve/app.git" };
	cache_scope(&one, scopes[1]);
	one.fetch_url = (char[]){ "https://forge.example/mallory/app.git" };
	cache_scope(&one, scopes[2]);
	one.ref = (char[]){ "refs/pull/8/head" };
	cache_scope(&one, scopes[3]);
	cache_scope(&one, scopes[4]);
	assert_string_equal(scopes[3], scopes[4]);
	for (size_t i = 0; i < 4; i++)
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(scopes[i], scopes[k]);
}

static void
test_paths_of_caches(void **state)
{
	static const char *const good[] = { "x", "./x/", "/root/.cache", "tmp", "/var/tmp", "proc/x" };
	static const char *const bad[] = { "", ".", "/", "//", "..", "a/../..", "/proc", "/dev/shm", "//davit/x",
		"/tmp/x" };

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(cache_path_is_valid(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(cache_path_is_valid(bad[i]));
}

static void
test_links_that_stay(void **state)
{
	static const struct {
		const char *name, *link;
		bool stays;
	} cases[] = {
		{ "a", "b", true },
		{ "a", "b/../c", true },
		{ "a/b", "../c", true },
		{ "a/b", "./.././c/", true },
		{ "a", "..", false },
		{ "a", "../x", false },
		{ "a/b", "../../x", false },
		{ "a/b", "c/../../../x", false },
		{ "a", "/etc/passwd", false },
		{ "a", "", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(tar_link_is_inside(str_of(cases[i].name), str_of(cases[i].link)), cases[i].stays);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_an_artifact_becomes_a_tar_for_a_workspace, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_damaged_artifact_is_no_tar, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_file_of_it, setup, teardown),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_scopes_of_forks_caches),
		cmocka_unit_test(test_paths_of_caches),
		cmocka_unit_test(test_links_that_stay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
