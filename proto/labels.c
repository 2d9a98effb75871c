#include "proto/labels.h"

#include <stdlib.h>
#include <string.h>

#include "proto/buf.h"
#include "proto/mem.h"

#define TEXT_MAX 65536

static int
compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

char *
labels_text(const struct strings *labels)
{
	const char **sorted = xcalloc(labels->count + 1, sizeof(*sorted));
	struct buf text;
	char *copy;

	for (size_t i = 0; i < labels->count; i++)
		sorted[i] = labels->items[i];
	qsort(sorted, labels->count, sizeof(*sorted), compare);
	buf_init(&text, TEXT_MAX);
	for (size_t i = 0; i < labels->count; i++) {
		if (i > 0 && strcmp(sorted[i], sorted[i - 1]) == 0)
			continue;
		if (text.len > 0)
			buf_adds(&text, ",");
		for (const char *p = sorted[i]; *p != '\0'; p++)
			buf_add(&text, *p == ',' ? "-" : p, 1);
	}
	copy = str_dup(buf_str(&text));
	buf_fini(&text);
	free(sorted);
	return copy;
}

bool
labels_fit(const char *wanted, const char *offered)
{
	struct str rest = str_of(wanted);

	while (rest.len > 0) {
		struct str label = str_cut(&rest, ','), others = str_of(offered);
		bool found = false;

		while (others.len > 0 && !found)
			found = str_eq(str_cut(&others, ','), label);
		if (!found)
			return false;
	}
	return true;
}

bool
labels_have(const char *text, const char *beginning)
{
	struct str rest = str_of(text);

	while (rest.len > 0)
		if (str_has_prefix(str_cut(&rest, ','), beginning))
			return true;
	return false;
}

unsigned
labels_count(const char *text)
{
	unsigned count = text[0] != '\0';

	for (; *text != '\0'; text++)
		count += *text == ',';
	return count;
}
