#include "test/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/buf.h"
#include "proto/mem.h"
#include "server/core/disk.h"
#include "server/core/loop.h"
#include "server/store/pack.h"

enum { LARGE = 5 * 1024 * 1024, STEP = 60000 };

struct probe {
	struct loop *loop;
	struct disk *disk;
	char dir[64];
	char *temp, *path;
	struct pack *pack;
	struct unpack *unpack;
	const char *text; /* what is written */
	size_t len, at;
	unsigned rooms; /* how often it had to wait */
	struct pack_result result;
	struct buf read;
	struct err err;
};

static int
setup(void **state)
{
	struct probe *p = xcalloc(1, sizeof(*p));

	strcpy(p->dir, "/tmp/davit-test-pack.XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	p->temp = xasprintf("%s/temp", p->dir);
	p->path = xasprintf("%s/file", p->dir);
	p->loop = loop_new();
	p->disk = disk_new(p->loop);
	buf_init(&p->read, 2 * LARGE);
	*state = p;
	return 0;
}

static int
teardown(void **state)
{
	struct probe *p = *state;
	char *command = xasprintf("rm -rf %s", p->dir);

	pack_abort(&p->pack);
	unpack_close(&p->unpack);
	disk_free(&p->disk);
	loop_free(&p->loop);
	assert_int_equal(system(command), 0);
	buf_fini(&p->read);
	free(command);
	free(p->temp);
	free(p->path);
	free(p);
	return 0;
}

static void
on_packed(void *arg, const struct pack_result *result, const struct err *err)
{
	struct probe *p = arg;

	if (err != NULL)
		p->err = *err;
	else
		p->result = *result;
	loop_stop(p->loop);
}

static void
write_on(struct probe *p)
{
	while (p->at < p->len && !pack_is_full(p->pack)) {
		size_t len = p->len - p->at < STEP ? p->len - p->at : STEP;

		pack_write(p->pack, (struct str){ p->text + p->at, len });
		p->at += len;
	}
	if (p->at == p->len)
		pack_finish(p->pack, on_packed, p);
}

static void
on_room(void *arg, const struct err *err)
{
	struct probe *p = arg;

	p->rooms++;
	if (err != NULL)
		on_packed(p, NULL, err);
	else
		write_on(p);
}

static void
make(struct probe *p, enum pack_form form, const char *text, size_t len)
{
	p->text = text;
	p->len = len;
	p->pack = pack_open(p->disk, p->temp, p->path, form, on_room, p);
	write_on(p);
	loop_run(p->loop);
	pack_abort(&p->pack);
}

static void
on_part(void *arg, struct str bytes, const struct err *err)
{
	struct probe *p = arg;

	if (err != NULL)
		p->err = *err;
	buf_addstr(&p->read, bytes);
	if (err != NULL || bytes.len == 0)
		loop_stop(p->loop);
	else
		unpack_next(p->unpack, on_part, p);
}

static void
read_back(struct probe *p, enum pack_form form)
{
	p->err = ERR_OK;
	buf_reset(&p->read);
	p->unpack = unpack_open(p->disk, p->path, form);
	unpack_next(p->unpack, on_part, p);
	loop_run(p->loop);
	unpack_close(&p->unpack);
}

/* Half of it repeats itself. */
static char *
large_text(void)
{
	char *text = xcalloc(1, LARGE);

	random_bytes(text, LARGE / 2);
	return text;
}

static void
test_a_file_and_back(void **state)
{
	struct probe *p = *state;
	char *text = large_text(), hex[SHA256_HEX_SIZE];
	struct stat st;

	for (int form = PACK_PLAIN; form <= PACK_ZSTD; form++) {
		p->at = 0;
		make(p, (enum pack_form)form, text, LARGE);
		assert_int_equal(p->err.code, ERR_NONE);
		assert_true(p->rooms > 0);
		assert_int_equal(access(p->temp, F_OK), -1);
		assert_int_equal(stat(p->path, &st), 0);
		assert_int_equal(st.st_size, p->result.size);
		assert_int_equal(st.st_mode & 0777, 0640 & ~022);
		assert_true(form == PACK_PLAIN ? st.st_size == LARGE : st.st_size < LARGE * 6 / 10);
		read_back(p, (enum pack_form)form);
		assert_int_equal(p->err.code, ERR_NONE);
		assert_true(str_eq(buf_str(&p->read), (struct str){ text, LARGE }));
		if (form == PACK_PLAIN) {
			sha256_hex((struct str){ text, LARGE }, hex);
			assert_string_equal(p->result.sha256, hex);
		}
	}
	free(text);
}

static void
test_an_empty_file(void **state)
{
	struct probe *p = *state;

	for (int form = PACK_PLAIN; form <= PACK_ZSTD; form++) {
		make(p, (enum pack_form)form, "", 0);
		assert_int_equal(p->err.code, ERR_NONE);
		read_back(p, (enum pack_form)form);
		assert_int_equal(p->err.code, ERR_NONE);
		assert_int_equal(p->read.len, 0);
	}
}

static void
on_gone(void *arg, const struct err *err)
{
	(void)err;
	loop_stop(((struct probe *)arg)->loop);
}

/* A removal that is begun takes its time on a busy machine. */
static void
wait_for_disk(struct probe *p)
{
	int64_t end = loop_mono_ms() + 20000;

	while (access(p->temp, F_OK) == 0 && loop_mono_ms() < end) {
		disk_sync_dir(p->disk, p->dir, on_gone, p);
		loop_run(p->loop);
	}
}

/* The next file's bytes may stand under the same name by the time the disk would come to remove it. */
static void
test_a_name_given_up_is_left_alone(void **state)
{
	struct probe *p = *state;
	FILE *next;

	p->len = 0;
	p->pack = pack_open(p->disk, p->temp, p->path, PACK_PLAIN, on_room, p);
	write_on(p);
	loop_run(p->loop);
	next = fopen(p->temp, "w");
	assert_non_null(next);
	fclose(next);
	pack_abort(&p->pack);
	for (int i = 0; i < 50; i++) {
		disk_sync_dir(p->disk, p->dir, on_gone, p);
		loop_run(p->loop);
	}
	assert_int_equal(access(p->temp, F_OK), 0);
}

static void
test_given_up_it_leaves_nothing(void **state)
{
	struct probe *p = *state;
	char *text = large_text();

	for (size_t len = 0; len <= 3 * PACK_ROOM; len += PACK_ROOM) {
		p->pack = pack_open(p->disk, p->temp, p->path, PACK_ZSTD, on_room, p);
		for (size_t at = 0; at < len; at += PACK_ROOM)
			pack_write(p->pack, (struct str){ text, PACK_ROOM });
		pack_abort(&p->pack);
		wait_for_disk(p);
		assert_int_equal(access(p->path, F_OK), -1);
		assert_int_equal(access(p->temp, F_OK), -1);
	}
	free(text);
}

static void
test_what_cannot_be_written(void **state)
{
	struct rlimit limit, old;
	struct probe *p = *state;
	char *text = large_text();

	getrlimit(RLIMIT_FSIZE, &old);
	limit = old;
	limit.rlim_cur = LARGE / 2; /* as a full disk: in the middle */
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &limit);
	make(p, PACK_PLAIN, text, LARGE);
	setrlimit(RLIMIT_FSIZE, &old);
	assert_int_equal(p->err.detail, EFBIG);
	wait_for_disk(p);
	assert_int_equal(access(p->temp, F_OK), -1);
	assert_int_equal(access(p->path, F_OK), -1);
	free(p->path);
	p->path = xasprintf("%s/missing/file", p->dir);
	p->at = 0;
	make(p, PACK_PLAIN, text, 100);
	assert_int_equal(p->err.detail, ENOENT);
	wait_for_disk(p);
	assert_int_equal(access(p->temp, F_OK), -1);
	free(text);
}

static void
test_no_link_is_followed(void **state)
{
	struct probe *p = *state;

	assert_int_equal(symlink(p->path, p->temp), 0);
	make(p, PACK_PLAIN, "x", 1);
	assert_int_equal(p->err.detail, EEXIST);
	assert_int_equal(access(p->path, F_OK), -1);
}

static void
test_damaged_files(void **state)
{
	struct probe *p = *state;
	char *text = large_text();
	int fd;

	read_back(p, PACK_ZSTD);
	assert_int_equal(p->err.code, ERR_NOT_FOUND);
	make(p, PACK_ZSTD, text, LARGE);
	assert_int_equal(truncate(p->path, (off_t)p->result.size - 1), 0);
	read_back(p, PACK_ZSTD);
	assert_int_equal(p->err.code, ERR_PROTO);
	fd = open(p->path, O_RDWR);
	assert_int_equal(pwrite(fd, "xxxxxxxx", 8, 1000), 8);
	close(fd);
	read_back(p, PACK_ZSTD);
	assert_int_equal(p->err.code, ERR_PROTO);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_file_and_back, setup, teardown),
		cmocka_unit_test_setup_teardown(test_an_empty_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_name_given_up_is_left_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_given_up_it_leaves_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_cannot_be_written, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_link_is_followed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damaged_files, setup, teardown),
	};

	umask(022);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
