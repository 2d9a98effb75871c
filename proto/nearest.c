#include "proto/nearest.h"

#include <stdio.h>
#include <string.h>

/* Longer words are never near: what is compared stays small. */
#define MAX_LEN 40

static unsigned
least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* Optimal string alignment; three rows of the table are kept. */
static unsigned
distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	unsigned rows[3][MAX_LEN + 1], *last = rows[0], *row = rows[1], *before = rows[2], *spare;

	for (size_t k = 0; k <= b_len; k++)
		last[k] = (unsigned)k;
	for (size_t i = 1; i <= a_len; i++) {
		row[0] = (unsigned)i;
		for (size_t k = 1; k <= b_len; k++) {
			row[k] = least(least(last[k], row[k - 1]) + 1, last[k - 1] + (a[i - 1] != b[k - 1]));
			if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1])
				row[k] = least(row[k], before[k - 2] + 1);
		}
		spare = before;
		before = last;
		last = row;
		row = spare;
	}
	return last[b_len];
}

struct nearest
nearest_to(const char *word)
{
	return (struct nearest){ .word = word };
}

void
nearest_offer(struct nearest *n, const char *known)
{
	size_t len = strlen(n->word), known_len = strlen(known);
	unsigned d;

	if (len > MAX_LEN || known_len > MAX_LEN)
		return;
	d = distance(n->word, len, known, known_len);
	if (d > known_len / 3 + 1 || d >= len || (n->best != NULL && d >= n->distance))
		return;
	n->best = known;
	n->distance = d;
}

const char *
nearest_hint(const struct nearest *n, char buf[100])
{
	buf[0] = '\0';
	if (n->best != NULL)
		snprintf(buf, 100, "; did you mean \"%s\"?", n->best);
	return buf;
}
