#include "test/unit/unit.h"

#include "proto/ref.h"

static void
test_good_refs(void **state)
{
	static const char *const refs[] = { "refs/heads/main", "refs/heads/feature/a-b_c.d", "refs/tags/v1.0",
		"refs/pull/7/head", "refs/heads/\xe4\xb8\xbb", "refs/heads/a@b", "refs/heads/@", "refs/heads/$(id)",
		"refs/heads/;id", "refs/heads/a{b}" };

	(void)state;
	for (size_t i = 0; i < sizeof(refs) / sizeof(refs[0]); i++) {
		if (!ref_is_valid(str_of(refs[i])))
			fail_msg("refused: %s", refs[i]);
	}
}

static void
test_bad_refs(void **state)
{
	static const char *const refs[] = { "", "main", "refs/", "heads/main", "/refs/heads/main", "refs/heads/",
		"refs//heads/x", "refs/heads//x", "refs/heads/x/", "refs/heads/.x", "refs/heads/x/.y",
		"refs/heads/x.lock", "refs/heads/x.lock/y", "refs/heads/a..b", "refs/heads/../../etc", "refs/heads/x.",
		"refs/heads/a b", "refs/heads/a\tb", "refs/heads/a\nb", "refs/heads/a\x1b[2J", "refs/heads/a\x7f",
		"refs/heads/a~1", "refs/heads/a^", "refs/heads/a:b", "refs/heads/a?", "refs/heads/a*",
		"refs/heads/a[b]", "refs/heads/a\\b", "refs/heads/a@{1}", "refs/heads/-x", "refs/heads/x/--help",
		"refs/heads/\x80", "refs/heads/\xc0\xaf", "refs/heads/\xc2\x9b[2J", "refs/heads/a\r", "-refs/heads/x" };
	char longest[REF_SIZE_MAX + 2];

	(void)state;
	for (size_t i = 0; i < sizeof(refs) / sizeof(refs[0]); i++) {
		if (ref_is_valid(str_of(refs[i])))
			fail_msg("accepted: %s", refs[i]);
	}
	assert_false(ref_is_valid((struct str){ "refs/heads/a\0b", 14 }));
	memset(longest, 'x', sizeof(longest));
	memcpy(longest, "refs/heads/", 11);
	assert_true(ref_is_valid((struct str){ longest, REF_SIZE_MAX }));
	assert_false(ref_is_valid((struct str){ longest, REF_SIZE_MAX + 1 }));
}

static void
test_commits(void **state)
{
	char id[66];

	(void)state;
	memset(id, 'a', sizeof(id));
	assert_true(commit_is_valid((struct str){ id, 40 }));
	assert_true(commit_is_valid((struct str){ id, 64 }));
	assert_false(commit_is_valid((struct str){ id, 39 }));
	assert_false(commit_is_valid((struct str){ id, 41 }));
	assert_false(commit_is_valid((struct str){ id, 65 }));
	assert_false(commit_is_zero((struct str){ id, 40 }));
	id[7] = 'A';
	assert_false(commit_is_valid((struct str){ id, 40 }));
	id[7] = 'g';
	assert_false(commit_is_valid((struct str){ id, 40 }));
	memset(id, '0', sizeof(id));
	assert_false(commit_is_valid((struct str){ id, 40 }));
	assert_true(commit_is_zero((struct str){ id, 40 }));
	assert_true(commit_is_zero((struct str){ id, 64 }));
	assert_false(commit_is_zero((struct str){ id, 0 }));
	assert_false(commit_is_zero((struct str){ id, 1 }));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_refs),
		cmocka_unit_test(test_bad_refs),
		cmocka_unit_test(test_commits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
