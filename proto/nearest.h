/* The known word that somebody probably meant: offered one after the other, the one with the least edit distance
 * (inserted, dropped, changed and swapped letters) wins, if it is near enough to be named in a message. */
#ifndef DAVIT_PROTO_NEAREST_H
#define DAVIT_PROTO_NEAREST_H

struct nearest {
	const char *word; /* as written */
	const char *best; /* NULL: nothing near */
	unsigned distance;
};

struct nearest nearest_to(const char *word);
/* Both words must outlive n. */
void nearest_offer(struct nearest *n, const char *known);
/* "; did you mean \"services\"?", or "" when nothing is near. buf holds at least 100 bytes. */
const char *nearest_hint(const struct nearest *n, char buf[100]);

#endif
