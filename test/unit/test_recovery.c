#include "test/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/recovery.h"

static char *
read_text(const char *name)
{
	const char *folder = getenv("srcdir");
	char path[512];
	char *text = calloc(1, 1 << 20);
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder != NULL ? folder : ".", name);
	file = fopen(path, "r");
	assert_non_null(file);
	assert_true(fread(text, 1, (1 << 20) - 1, file) > 0);
	fclose(file);
	return text;
}

/* ARCHITECTURE.md has each row, in the order in which they are tried. */
static void
test_the_table_is_the_papers(void **state)
{
	char *text = read_text("ARCHITECTURE.md");
	const char *at = strstr(text, "| a job under a claim of this node, and |");
	const struct recovery_row *rows;
	size_t count;

	(void)state;
	rows = recovery_rows(&count);
	assert_non_null(at);
	for (size_t i = 0; i < count; i++) {
		char line[512];

		if (rows[i].action == RECOVERY_ADOPT)
			snprintf(line, sizeof(line), "\n| %s | goes on |\n", rows[i].found);
		else
			snprintf(line, sizeof(line), "\n| %s | again: \"%s\" |\n", rows[i].found, rows[i].reason);
		at = strstr(at, line);
		if (at == NULL)
			fail_msg("ARCHITECTURE.md has not in this place: %s", line + 1);
		at += strlen(line) - 1;
	}
	assert_memory_equal(at, "\n\n", 2);
	free(text);
}

/* Whatever else is known of a job: what forbids to adopt it comes before what allows it. */
static void
test_first_row_that_fits(void **state)
{
	size_t count;

	(void)state;
	recovery_rows(&count);
	for (unsigned facts = 1; facts < 1U << count; facts++) {
		const struct recovery_row *row = recovery_find(facts);
		unsigned against = facts & ~(unsigned)(RECOVERY_RUNNING | RECOVERY_ENDED);

		assert_true((facts & row->fact) != 0);
		assert_int_equal(row->action, against != 0 ? RECOVERY_AGAIN : RECOVERY_ADOPT);
		assert_true((row->reason[0] != '\0') == (against != 0));
	}
	assert_int_equal(1U << (count - 1), RECOVERY_ENDED); /* each fact has its row */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_table_is_the_papers),
		cmocka_unit_test(test_first_row_that_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
