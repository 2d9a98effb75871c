#include "test/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/mirror/object_table.h"

enum {
	KEYS = 5000,
	STEPS = 60000,
	LARGE = 300000, /* their slots take large pages */
};

static struct str
key_of(unsigned number, char text[32])
{
	snprintf(text, 32, "http://a/%u", number);
	return str_of(text);
}

/* Comings and goings in a fixed disorder, beside a plain array. */
static void
test_objects(void **state)
{
	static struct object *expected[KEYS];
	struct object_table table;
	const struct object *o;
	unsigned disorder = 1;
	size_t count = 0, listed = 0;
	char text[32];

	(void)state;
	object_table_init(&table);
	for (int i = 0; i < STEPS; i++) {
		unsigned number = (disorder = disorder * 1103515245u + 12345u) / 65536 % KEYS;
		struct str key = key_of(number, text);

		assert_ptr_equal(object_table_find(&table, key), expected[number]);
		if (expected[number] == NULL) {
			expected[number] = object_table_get(&table, key);
			assert_string_equal(expected[number]->key, text);
			assert_ptr_equal(object_table_get(&table, key), expected[number]);
			count++;
		} else if (i % 3 != 0) {
			object_table_remove(&table, expected[number]);
			expected[number] = NULL;
			count--;
		}
		assert_int_equal(table.count, count);
	}
	TAILQ_FOREACH(o, &table.all, link)
	listed++;
	assert_int_equal(listed, count);
	for (unsigned number = 0; number < KEYS; number++) {
		assert_ptr_equal(object_table_find(&table, key_of(number, text)), expected[number]);
		if (expected[number] != NULL)
			object_table_remove(&table, expected[number]);
	}
	object_table_fini(&table);
}

static void
test_reserve(void **state)
{
	struct object_table table;
	const struct object_slot *slots;
	char text[32];

	(void)state;
	object_table_init(&table);
	for (unsigned number = 0; number < 10; number++)
		object_table_get(&table, key_of(number, text));
	object_table_reserve(&table, LARGE);
	slots = table.slots;
	for (unsigned number = 10; number < LARGE; number++) {
		object_table_expect(&table, key_of(number, text));
		object_table_get(&table, key_of(number, text));
	}
	assert_ptr_equal(table.slots, slots);
	object_table_reserve(&table, 1);
	assert_ptr_equal(table.slots, slots);
	for (unsigned number = 0; number < LARGE; number++) {
		struct object *o = object_table_find(&table, key_of(number, text));

		assert_non_null(o);
		assert_string_equal(o->key, text);
		object_table_remove(&table, o);
	}
	object_table_fini(&table);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_objects),
		cmocka_unit_test(test_reserve),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
