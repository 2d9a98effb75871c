/* GitHub's record of the deliveries of a repository's webhook (docs.github.com/rest/repos/webhooks), and which of them
 * are to be sent again: those of pushes and pull requests of which no attempt was answered. An answer of ours that
 * refused it (4xx) is an answer, too; what was tried five times is left. */
#ifndef DAVIT_PROTO_DELIVERIES_H
#define DAVIT_PROTO_DELIVERIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/err.h"
#include "proto/str.h"

#define DELIVERIES_MAX 1000 /* different ones; older ones are not looked at */
#define DELIVERIES_CURSOR_SIZE 128

/* Of the list of webhooks: the id of the one at that address; url "": at any that ends with "/hook/REPO". 0: none. */
bool deliveries_find_hook(struct str json, const char *url, const char *repo, int64_t *ret, struct err *err);

struct delivery_record {
	char guid[64];
	int64_t id; /* of its newest attempt */
	unsigned attempts;
	bool answered;
};

struct deliveries {
	struct delivery_record *items; /* the newest first */
	size_t count;
};

/* Takes in a page of the list; the newest page comes first. *missed: whether the page has any that no attempt, so far,
 * delivered. */
bool deliveries_take(struct deliveries *deliveries, struct str json, bool *missed, struct err *err);
/* Whether it is to be sent again. */
bool delivery_is_missed(const struct delivery_record *record);
void deliveries_fini(struct deliveries *deliveries);

/* From the header Link: what the next page is asked for with; false: there is none. */
bool deliveries_cursor(struct str link, char ret[DELIVERIES_CURSOR_SIZE]);

#endif
