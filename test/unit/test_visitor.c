#include "test/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "server/mirror/visitor.h"

#define ENGINE_TOKEN "0123456789abcdef"

static bool are_known;

static const char *
name_of(void *arg, struct str token, bool *is_early)
{
	(void)arg;
	*is_early = !are_known;
	return str_is(token, "davit_right") ? "builds" : str_is(token, "the-administrators") ? "admin" : NULL;
}

static struct visit
visit_of(const char *headers)
{
	static const struct visitor_conf conf = { name_of, NULL, ENGINE_TOKEN };
	struct http1_scan scan = { 0 };
	struct http1_head request;
	struct visit visit;
	char text[1024];

	snprintf(text, sizeof(text), "GET /v2/ HTTP/1.1\r\nHost: h\r\n%s\r\n", headers);
	assert_int_equal(http1_parse_request(&scan, str_of(text), NULL, &request), HTTP1_DONE);
	visitor_read(&conf, &request, &visit);
	return visit;
}

static void
test_who_asks(void **state)
{
	static const struct {
		const char *headers, *header, *name;
		enum visitor visitor;
	} cases[] = {
		{ "", NULL, "", VISITOR_SILENT },
		{ "Authorization: Bearer davit_right\r\n", "Authorization", "builds", VISITOR_MEMBER },
		{ "Authorization: bearer  the-administrators\r\n", "Authorization", "admin", VISITOR_MEMBER },
		/* any:davit_right */
		{ "Authorization: Basic YW55OmRhdml0X3JpZ2h0\r\n", "Authorization", "builds", VISITOR_MEMBER },
		{ "Proxy-Authorization: Basic YW55OmRhdml0X3JpZ2h0\r\n", "Proxy-Authorization", "builds",
		    VISITOR_MEMBER },
		/* davit:0123456789abcdef */
		{ "Authorization: Basic ZGF2aXQ6MDEyMzQ1Njc4OWFiY2RlZg==\r\n", "Authorization", "", VISITOR_ENGINE },
		{ "Authorization: Bearer davit_gone\r\n", "Authorization", "", VISITOR_WRONG },
		/* any:other, a login for the upstream; the proxy's is beside it */
		{ "Authorization: Basic YW55Om90aGVy\r\n", NULL, "", VISITOR_UNKNOWN },
		{ "Authorization: Basic YW55Om90aGVy\r\nProxy-Authorization: Bearer davit_right\r\n",
		    "Proxy-Authorization", "builds", VISITOR_MEMBER },
		{ "Authorization: Bearer " VISITOR_NOBODYS_TOKEN "\r\n", NULL, "", VISITOR_UNKNOWN },
		{ "Authorization: Basic\r\n", NULL, "", VISITOR_UNKNOWN },
		{ "Authorization: Basic ???\r\n", NULL, "", VISITOR_UNKNOWN },
		/* davit_right, without a colon */
		{ "Authorization: Basic ZGF2aXRfcmlnaHQ=\r\n", NULL, "", VISITOR_UNKNOWN },
		{ "Authorization: Negotiate davit_right\r\n", NULL, "", VISITOR_UNKNOWN },
	};

	(void)state;
	are_known = true;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct visit visit = visit_of(cases[i].headers);

		if (visit.visitor != cases[i].visitor || strcmp(visit.name, cases[i].name) != 0)
			fail_msg("%s is %d, \"%s\"", cases[i].headers, visit.visitor, visit.name);
		if (cases[i].header == NULL)
			assert_null(visit.header);
		else
			assert_string_equal(visit.header, cases[i].header);
	}
}

/* Before the store has told which tokens there are. */
static void
test_who_asks_early(void **state)
{
	(void)state;
	are_known = false;
	assert_int_equal(visit_of("Authorization: Bearer davit_gone\r\n").visitor, VISITOR_NOT_YET);
	assert_int_equal(visit_of("Authorization: Bearer the-administrators\r\n").visitor, VISITOR_MEMBER);
	assert_int_equal(visit_of("Authorization: Bearer " ENGINE_TOKEN "\r\n").visitor, VISITOR_ENGINE);
	assert_int_equal(visit_of("Authorization: Bearer other\r\n").visitor, VISITOR_UNKNOWN);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_who_asks), cmocka_unit_test(test_who_asks_early) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
