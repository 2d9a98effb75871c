#include "test/unit/unit.h"

#include <stdlib.h>

#include "proto/buf.h"
#include "proto/dockerfile_bases.h"

static struct env args;

/* "image" or "image@platform" each, with blanks between. */
static void
expect(const char *text, const char *target, const char *expected)
{
	struct dockerfile_bases bases;
	struct dockerfile dockerfile;
	struct buf found;
	struct err err;

	assert_true(dockerfile_parse(str_of(text), &dockerfile, &err));
	dockerfile_bases_find(&dockerfile, &args, target, &bases);
	buf_init(&found, 4096);
	for (size_t i = 0; i < bases.count; i++)
		buf_addf(&found, "%s%s%s%s", i > 0 ? " " : "", bases.items[i].image,
		    bases.items[i].platform != NULL ? "@" : "",
		    bases.items[i].platform != NULL ? bases.items[i].platform : "");
	assert_string_equal(found.data, expected);
	buf_fini(&found);
	dockerfile_bases_fini(&bases);
	dockerfile_fini(&dockerfile);
}

static void
test_images_and_stages(void **state)
{
	static const char stages[] = "FROM golang:1.22 AS Build\nRUN go build\nFROM build AS test\nRUN go test\n"
				     "from scratch\nCOPY --from=BUILD /a /a\nCOPY --from=0 /b /b\n"
				     "COPY --chown=1:1 --from=busybox:1.36 /bin/sh /sh\nFROM golang:1.22\nFROM last";

	(void)state;
	expect("FROM alpine\n", NULL, "alpine");
	expect(stages, NULL, "golang:1.22 busybox:1.36 last");
	expect(stages, "build", "golang:1.22");
	expect(stages, "1", "golang:1.22");
	expect(stages, "no-such-stage", "golang:1.22 busybox:1.36 last");
	expect("FROM \\\n  # why\n  ghcr.io/a/b@sha256:00 \\\n as x\n", NULL, "ghcr.io/a/b@sha256:00");
	expect("RUN no from\n", NULL, "");
	expect("FROM\nFROM a AS\n", NULL, "a");
}

static void
test_arguments(void **state)
{
	(void)state;
	env_add(&args, "GO", "1.23");
	env_add(&args, "NOT_DECLARED", "x");
	env_add(&args, "EMPTY", "");
	expect("ARG GO=1.22\nARG BASE=golang:$GO\nFROM ${BASE}-alpine\n", NULL, "golang:1.23-alpine");
	expect("ARG A=\"x\" B='y'\nFROM r/$A:$B\n", NULL, "r/x:y");
	expect("ARG EMPTY=full\nFROM a${EMPTY:-:none}\nFROM a${EMPTY:+:some}${GO:+:no}\n", NULL, "a:none a");
	expect("ARG GO\nFROM a${GO:+:has}${GO:-:no}\n", NULL, "a:has1.23");
	expect("FROM a:$NOT_DECLARED\n", NULL, "a:");
	expect("ARG UNSET\nFROM $UNSET\nFROM ${UNSET:-b}\n", NULL, "b");
	expect("FROM a\nARG LATE=b\nFROM $LATE\n", NULL, "a");
	expect("FROM ${BROKEN\nFROM $\nFROM a$\n", NULL, "");
	env_fini(&args);
}

static void
test_platforms(void **state)
{
	(void)state;
	expect("FROM --platform=linux/arm64 a\nFROM a\nFROM --platform=linux/arm64 a\n", NULL, "a@linux/arm64 a");
	expect("ARG P=linux/amd64\nFROM --platform=$P a\n", NULL, "a@linux/amd64");
	expect("FROM --platform=$BUILDPLATFORM a AS b\nFROM b\n", NULL, "");
}

static void
test_many(void **state)
{
	struct dockerfile_bases bases;
	struct dockerfile dockerfile;
	struct buf text;
	struct err err;

	(void)state;
	buf_init(&text, 65536);
	for (int i = 0; i < 1000; i++)
		buf_addf(&text, "FROM a%d\n", i);
	assert_true(dockerfile_parse(buf_str(&text), &dockerfile, &err));
	dockerfile_bases_find(&dockerfile, &args, NULL, &bases);
	assert_int_equal(bases.count, DOCKERFILE_BASES_MAX);
	dockerfile_bases_fini(&bases);
	dockerfile_fini(&dockerfile);
	buf_fini(&text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_images_and_stages),
		cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_platforms),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
