#include "test/unit/unit.h"

#include "proto/followed_tag.h"

#define A "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define BOAT "registry.example/boat:stable"
#define DEPLOYED(digest) "docker.io/library/side:1 sha256:00\n" BOAT " registry.example/boat@" digest "\n"

static const struct {
	const char *known, *deployed, *digest;
	bool is_deploying;
	enum followed_tag_verdict verdict;
} cases[] = {
	{ "", "", A, false, FOLLOWED_TAG_RECORD }, /* by a command: nobody knows what is there */
	{ A, "", A, false, FOLLOWED_TAG_SAME },
	{ A, "", B, false, FOLLOWED_TAG_DEPLOY },
	{ A, "", B, true, FOLLOWED_TAG_WAIT },
	{ "", DEPLOYED(A), A, false, FOLLOWED_TAG_RECORD },
	{ "", DEPLOYED(A), B, false, FOLLOWED_TAG_DEPLOY }, /* pushed before the first look */
	{ A, DEPLOYED(A), B, false, FOLLOWED_TAG_DEPLOY },
	{ A, DEPLOYED(A), B, true, FOLLOWED_TAG_WAIT },
	{ A, DEPLOYED(B), B, false, FOLLOWED_TAG_RECORD }, /* a person was faster, or we died before the record */
	{ B, DEPLOYED(A), B, false, FOLLOWED_TAG_SAME },   /* rolled back */
	{ A, "docker.io/library/side:1 sha256:00\n", B, false, FOLLOWED_TAG_DEPLOY },
};

static void
test_what_is_to_be_done(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct followed_tag tag = { .image = BOAT,
			.known = cases[i].known,
			.deployed = cases[i].deployed,
			.is_deploying = cases[i].is_deploying };

		if (followed_tag_judge(&tag, cases[i].digest) != cases[i].verdict)
			fail_msg("case %zu", i);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_what_is_to_be_done) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
