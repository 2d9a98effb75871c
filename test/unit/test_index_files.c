#include "test/unit/unit.h"

#include <string.h>

#include "proto/index_files.h"

#define ONE "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define TWO "00b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

/* As apt's own tools write it, signed; with another list of digests in front, a path twice, and two that lead out. */
static void
test_release(void **state)
{
	static const char text[] = "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n"
				   "Suite: stable\nAcquire-By-Hash: yes\n"
				   "MD5Sum:\n d41d8cd98f00b204e9800998ecf8427e 0 main/binary-all/Packages\n"
				   "SHA256:\n " ONE "        0 main/binary-all/Packages\n"
				   " " TWO "       31 main/binary-all/Packages.gz\n"
				   " " TWO "       31 Twice\n " ONE " 31 Twice\n"
				   " " TWO "       31 Same\n " TWO " 31 Same\n"
				   " " TWO "       31 /etc/passwd\n " TWO " 31 a/../../b\n"
				   "Description: a\n " ONE " 0 folded\n"
				   "-----BEGIN PGP SIGNATURE-----\n\nabc\n-----END PGP SIGNATURE-----\n";
	struct index_files files;
	struct err err;

	(void)state;
	assert_true(index_files_read_release(str_of(text), &files, &err));
	assert_true(files.has_by_hash);
	assert_int_equal(files.count, 3);
	assert_string_equal(index_files_find(&files, STR("main/binary-all/Packages"))->digest, ONE);
	assert_string_equal(index_files_find(&files, STR("main/binary-all/Packages.gz"))->digest, TWO);
	assert_non_null(index_files_find(&files, STR("Same")));
	assert_null(index_files_find(&files, STR("Twice")));
	assert_string_equal(
	    index_files_find_digest(&files, STR("main/binary-all/"), TWO)->path, "main/binary-all/Packages.gz");
	assert_null(index_files_find_digest(&files, STR("main/"), TWO));
	index_files_fini(&files);
}

static void
test_repomd(void **state)
{
	static const char text[] =
	    "<?xml version=\"1.0\"?>\n<repomd xmlns=\"http://linux.duke.edu/metadata/repo\"><revision>1</revision>"
	    "<data type=\"primary\"><checksum type=\"sha256\">\n" ONE "</checksum>"
	    "<open-checksum type=\"sha256\">" TWO "</open-checksum><location href=\"repodata/primary.xml.gz\"/></data>"
	    "<data type=\"old\"><checksum type=\"sha\">d41d8cd98f00b204e980</checksum><location href=\"repodata/o\"/>"
	    "</data><data type=\"out\"><checksum type=\"sha256\">" ONE "</checksum><location href=\"../o\"/></data>"
	    "</repomd>";
	struct index_files files;
	struct err err;

	(void)state;
	assert_true(index_files_read_repomd(str_of(text), &files, &err));
	assert_int_equal(files.count, 1);
	assert_string_equal(index_files_find_role(&files, "primary")->path, "repodata/primary.xml.gz");
	assert_string_equal(index_files_find(&files, STR("repodata/primary.xml.gz"))->digest, ONE);
	index_files_fini(&files);
}

static void
test_what_is_no_root(void **state)
{
	static const char *const texts[] = { "", "<html>please log in</html>", "SHA256", "MD5Sum:\n 0 0 a\n", "<a" };
	struct index_files files;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_false(index_files_read_release(str_of(texts[i]), &files, &err));
		assert_false(index_files_read_repomd(str_of(texts[i]), &files, &err));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_release),
		cmocka_unit_test(test_repomd),
		cmocka_unit_test(test_what_is_no_root),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
