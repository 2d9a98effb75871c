#include "test/unit/unit.h"

#include "proto/built_image.h"

#define LINES                                                         \
	"docker.io/library/app:1.2 docker.io/library/app@sha256:12\n" \
	"registry:5000/web:latest registry:5000/web@sha256:34\n"

static void
test_add(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, sizeof(LINES) - 1);
	built_image_add(&out, "docker.io/library/app:1.2", "sha256:12", "sha256:ab");
	built_image_add(&out, "registry:5000/web:latest", "sha256:34", "sha256:ab");
	built_image_add(&out, "x:1", "", ""); /* has no room */
	assert_string_equal(out.data, LINES);
	assert_false(buf_failed(&out));
	buf_reset(&out);
	built_image_add(&out, "registry:5000/web", "", "sha256:ab");
	assert_string_equal(out.data, "registry:5000/web sha256:ab\n");
	buf_fini(&out);
}

static void
test_find(void **state)
{
	struct built_image image;

	(void)state;
	assert_true(built_image_find(LINES, "app:1.2", &image));
	assert_true(str_is(image.reference, "docker.io/library/app@sha256:12"));
	assert_true(str_is(built_image_digest(&image), "sha256:12"));
	assert_true(built_image_find(LINES, "registry:5000/web", &image));
	assert_true(str_is(image.name, "registry:5000/web:latest"));
	assert_true(built_image_find(LINES, NULL, &image));
	assert_true(str_is(image.name, "docker.io/library/app:1.2"));
	assert_false(built_image_find(LINES, "app:1.3", &image));
	assert_int_equal(image.reference.len, 0);
	assert_false(built_image_find(LINES, "no name", &image));
	assert_false(built_image_find("", NULL, &image));
	assert_true(built_image_find("app:1 sha256:ab\n", NULL, &image));
	assert_true(str_is(built_image_digest(&image), "sha256:ab"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add),
		cmocka_unit_test(test_find),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
