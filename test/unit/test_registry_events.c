#include "test/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"
#include "proto/registry_events.h"

/* The names, with a blank behind each; NULL: it is no envelope. */
static const char *
read_names(const char *text, char ret[4096])
{
	struct strings names = { 0 };
	struct json *doc;
	struct err err;
	bool good;

	ret[0] = '\0';
	assert_true(json_parse(str_of(text), NULL, &doc, &err));
	good = registry_events_read(json_root(doc), &names, &err);
	for (size_t i = 0; i < names.count; i++)
		snprintf(ret + strlen(ret), 4096 - strlen(ret), "%s ", names.items[i]);
	strings_fini(&names);
	json_free(&doc);
	return good ? ret : NULL;
}

#define EVENT(action, repository, tag)                                                                                 \
	"{\"id\":\"1\",\"action\":\"" action                                                                           \
	"\",\"target\":{\"mediaType\":\"m\",\"digest\":\"sha256:ab\",\"repository\":\"" repository "\",\"tag\":\"" tag \
	"\"},\"request\":{\"host\":\"registry.example\"}}"

static void
test_pushed_tags(void **state)
{
	char names[4096];

	(void)state;
	assert_string_equal(read_names("{\"events\":[" EVENT("push", "team/boat", "stable") "," EVENT(
					   "push", "boat", "1.2") "," EVENT("push", "team/boat", "stable") "]}",
				names),
	    "team/boat:stable boat:1.2 ");
}

static void
test_what_is_no_push_of_a_tag(void **state)
{
	char names[4096];

	(void)state;
	assert_string_equal(
	    read_names("{\"events\":[" EVENT("pull", "boat", "a") "," EVENT("delete", "boat", "a") "," EVENT(
			   "push", "boat", "") "," EVENT("push", "", "a") "," EVENT("push", "Boat",
			   "a") "," EVENT("push", "boat", "a b") "," EVENT("push", "boat\\n",
			   "a") ",7,null,{},"
				"{\"action\":\"push\",\"target\":{\"repository\":7,\"tag\":[]}}," EVENT(
				    "push", "boat", "b") "]}",
		names),
	    "boat:b ");
	assert_string_equal(read_names("{\"events\":[]}", names), "");
	assert_null(read_names("{}", names));
	assert_null(read_names("{\"events\":{}}", names));
}

static void
test_many(void **state)
{
	char *text = xstrdup("{\"events\":["), *more, names[4096];
	size_t count = 0;

	(void)state;
	for (int i = 0; i < 2 * REGISTRY_EVENTS_MAX; i++) {
		more = xasprintf("%s%s" EVENT("push", "boat", "%d"), text, i > 0 ? "," : "", i);
		free(text);
		text = more;
	}
	more = xasprintf("%s]}", text);
	read_names(more, names);
	for (const char *c = names; *c != '\0'; c++)
		count += *c == ' ';
	assert_int_equal(count, REGISTRY_EVENTS_MAX);
	free(more);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pushed_tags),
		cmocka_unit_test(test_what_is_no_push_of_a_tag),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
