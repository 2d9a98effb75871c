#include "test/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "proto/tar.h"

/* Reads an archive with the system's tar: what "tar tv" and the files' bytes come to. */
static void
read_back(const struct buf *archive, const char *options, char *ret, size_t size)
{
	char path[] = "/tmp/davit-test-tar.XXXXXX";
	int fd = mkstemp(path);
	char command[200];
	size_t len;
	FILE *out;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, archive->data, archive->len), archive->len);
	close(fd);
	snprintf(command, sizeof(command), "TZ=UTC tar -f %s %s 2>&1", path, options);
	out = popen(command, "r");
	assert_non_null(out);
	len = fread(ret, 1, size - 1, out);
	ret[len] = '\0';
	assert_int_equal(pclose(out), 0);
	unlink(path);
}

static void
add_members(struct buf *b)
{
	char long_name[101];

	memset(long_name, 'n', 100);
	long_name[100] = '\0';
	assert_true(tar_add_dir(b, "davit", 0700, 0));
	assert_true(tar_add_file(b, "davit/script", 0600, 1700000000, STR("#!/bin/sh\necho hi\n")));
	assert_true(tar_add_file(b, long_name, 0644, 0, STR("")));
}

static void
test_tar_reads_what_we_write(void **state)
{
	struct buf b;
	char text[1000];

	(void)state;
	buf_init(&b, 100000);
	add_members(&b);
	assert_true(tar_end(&b));
	assert_int_equal(b.len % TAR_BLOCK, 0);
	read_back(&b, "-tv", text, sizeof(text));
	assert_non_null(strstr(text, "drwx------ root/root         0 1970-01-01 00:00 davit"));
	assert_non_null(strstr(text, "-rw------- root/root        18 2023-11-14 22:13 davit/script"));
	assert_non_null(strstr(text, "-rw-r--r-- root/root         0 1970-01-01 00:00 nnnn"));
	read_back(&b, "-xO davit/script", text, sizeof(text));
	assert_string_equal(text, "#!/bin/sh\necho hi\n");
	buf_fini(&b);
}

static void
test_an_archive_may_follow_one_without_end(void **state)
{
	struct buf b;
	char text[1000];

	(void)state;
	buf_init(&b, 100000);
	add_members(&b);
	assert_true(tar_add_dir(&b, "workspace", 0755, 0));
	assert_true(tar_add_file(&b, "workspace/x", 0644, 0, STR("inner")));
	assert_true(tar_end(&b));
	read_back(&b, "-xO workspace/x", text, sizeof(text));
	assert_string_equal(text, "inner");
	buf_fini(&b);
}

static void
test_block_edges(void **state)
{
	static const size_t sizes[] = { 0, 1, TAR_BLOCK - 1, TAR_BLOCK, TAR_BLOCK + 1 };
	char content[TAR_BLOCK + 1];

	(void)state;
	memset(content, 'x', sizeof(content));
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t blocks = (sizes[i] + TAR_BLOCK - 1) / TAR_BLOCK;
		struct buf b;

		buf_init(&b, 100000);
		assert_true(tar_add_file(&b, "x", 0644, 0, (struct str){ content, sizes[i] }));
		assert_int_equal(b.len, TAR_BLOCK * (1 + blocks));
		buf_fini(&b);
	}
}

static void
test_the_limit_holds(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, TAR_BLOCK + 10);
	assert_false(tar_add_file(&b, "x", 0644, 0, STR("a content of more than ten bytes")));
	assert_true(buf_failed(&b));
	buf_fini(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tar_reads_what_we_write),
		cmocka_unit_test(test_an_archive_may_follow_one_without_end),
		cmocka_unit_test(test_block_edges),
		cmocka_unit_test(test_the_limit_holds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
