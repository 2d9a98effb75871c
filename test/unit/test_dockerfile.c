#include "test/unit/unit.h"

#include <string.h>

#include "proto/dockerfile.h"

static struct dockerfile
parse(const char *text)
{
	struct dockerfile d;
	struct err err;

	assert_true(dockerfile_parse(str_of(text), &d, &err));
	return d;
}

static void
test_steps_and_their_lines(void **state)
{
	static const struct {
		unsigned line;
		const char *text;
	} steps[] = { { 3, "ARG V=1" }, { 4, "FROM a:${V} AS one" }, { 6, "RUN make && make install" },
		{ 12, "CMD [\"x\"]" } };
	struct dockerfile d = parse("# escape=\\\n\nARG V=1\r\nFROM a:${V} AS one\n# a comment\n  RUN make && \\\n"
				    "# in between\n\n   # and once more\n\tmake \\\n  install\nCMD [\"x\"]");

	(void)state;
	assert_int_equal(d.step_count, 4);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(d.steps[i].line, steps[i].line);
		assert_int_equal(dockerfile_line_of_step(&d, i + 1), steps[i].line);
		assert_int_equal(dockerfile_line_of_vertex(&d, str_of(steps[i].text)), steps[i].line);
	}
	assert_int_equal(dockerfile_line_of_vertex(&d, STR("> [one 2/3] RUN make &&   make install:")), 6);
	assert_int_equal(dockerfile_line_of_vertex(&d, STR("[one 2/3] RUN made")), 0);
	assert_int_equal(dockerfile_line_of_step(&d, 0), 0);
	assert_int_equal(dockerfile_line_of_step(&d, 5), 0); /* LABEL, which nobody wrote there */
	assert_null(d.wants);
	dockerfile_fini(&d);
}

static void
test_another_escape(void **state)
{
	struct dockerfile d = parse("# escape=`\nFROM a\nRUN dir C:\\\nRUN b `\n c\n");

	(void)state;
	assert_int_equal(d.step_count, 3);
	assert_string_equal(d.steps[1].text, "RUN dir C:\\");
	assert_string_equal(d.steps[2].text, "RUN b  c");
	dockerfile_fini(&d);
}

static const struct {
	const char *text, *wants;
	unsigned line;
} needs[] = {
	{ "FROM a\nRUN x\n", NULL, 0 },
	{ "# syntax=docker/dockerfile:1\nFROM a\n", "# syntax=", 1 },
	{ "#syntax = docker/dockerfile:1\nFROM a\n", "# syntax=", 1 },
	{ "FROM a\n# syntax=docker/dockerfile:1\n", NULL, 0 }, /* too late */
	{ "\n# syntax=docker/dockerfile:1\nFROM a\n", NULL, 0 },
	{ "FROM a\nRUN --mount=type=cache,target=/c \\\n  x\n", "RUN --mount", 2 },
	{ "FROM a\nrun --mount=type=secret,id=x cat\n", "RUN --mount", 2 },
	{ "FROM a\nRUN x --mount=y\n", NULL, 0 },
	{ "FROM a\nCOPY --from=b --link x y\n", "COPY --link", 2 },
	{ "FROM a\nCOPY --chown=1 x y\n", NULL, 0 },
	{ "FROM a\nRUN <<EOF\nRUN not this\nEOF\nRUN x\n", "a here-document", 2 },
	{ "FROM a\nCOPY <<-\"one\" <<'two' /to/\none\nx\ntwo\nRUN x\n", "a here-document", 2 },
	{ "FROM a\nRUN cat <<EOF\n", NULL, 0 }, /* which the shell complains about */
	{ "FROM a\nRUN echo $((1<<2))\n2))\n", NULL, 0 },
	{ "FROM a\nENV X=<<EOF\nEOF\n", NULL, 0 },
};

static void
test_what_wants_buildkit(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++) {
		struct dockerfile d = parse(needs[i].text);

		if ((d.wants == NULL) != (needs[i].wants == NULL) ||
		    (d.wants != NULL && strcmp(d.wants, needs[i].wants) != 0))
			fail_msg("%s: %s", needs[i].text, d.wants);
		assert_int_equal(d.wants_line, needs[i].line);
		dockerfile_fini(&d);
	}
}

/* What stands in a here-document is no instruction. */
static void
test_here_documents_are_one_step(void **state)
{
	struct dockerfile d = parse(needs[10].text);

	(void)state;
	assert_int_equal(d.step_count, 3);
	assert_int_equal(d.steps[2].line, 5);
	dockerfile_fini(&d);
	d = parse("FROM a\nRUN <<EOF\nnever ended\n");
	assert_int_equal(d.step_count, 3);
	dockerfile_fini(&d);
}

static void
test_the_epoch(void **state)
{
	struct dockerfile d = parse("FROM a\nARG SOURCE_DATE_EPOCH\n");

	(void)state;
	assert_true(d.takes_epoch);
	dockerfile_fini(&d);
	d = parse("FROM a\nARG SOURCE_DATE\nENV SOURCE_DATE_EPOCH=1\n");
	assert_false(d.takes_epoch);
	dockerfile_fini(&d);
}

static void
test_errors_say_the_line(void **state)
{
	struct str rest;

	(void)state;
	assert_int_equal(
	    dockerfile_line_of_error(STR("dockerfile parse error line 12: unknown instruction: RUNN"), &rest), 12);
	assert_true(str_is(rest, "unknown instruction: RUNN"));
	assert_int_equal(dockerfile_line_of_error(STR("dockerfile parse error line x: y"), &rest), 0);
	assert_int_equal(dockerfile_line_of_error(STR("COPY failed: no source files"), &rest), 0);
}

static void
test_odd_ones(void **state)
{
	static char large[DOCKERFILE_MAX_BYTES + 1];
	struct dockerfile d = parse("");
	struct err err;

	(void)state;
	assert_int_equal(d.step_count, 0);
	dockerfile_fini(&d);
	d = parse("\xef\xbb\xbf"
		  "FROM a\\");
	assert_int_equal(d.step_count, 1);
	assert_string_equal(d.steps[0].text, "FROM a");
	dockerfile_fini(&d);
	memset(large, 'x', sizeof(large));
	assert_false(dockerfile_parse((struct str){ large, sizeof(large) }, &d, &err));
	assert_int_equal(err.code, ERR_LIMIT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_steps_and_their_lines),
		cmocka_unit_test(test_another_escape),
		cmocka_unit_test(test_what_wants_buildkit),
		cmocka_unit_test(test_here_documents_are_one_step),
		cmocka_unit_test(test_the_epoch),
		cmocka_unit_test(test_errors_say_the_line),
		cmocka_unit_test(test_odd_ones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
