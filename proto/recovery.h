/* What becomes of a job that an earlier process of this node had claimed: whoever takes its place either adopts the
 * container, which goes on, or gives the job another attempt. Pure: facts in, a row of one table out. ARCHITECTURE.md
 * shows the table, and a test compares the two. */
#ifndef DAVIT_PROTO_RECOVERY_H
#define DAVIT_PROTO_RECOVERY_H

#include <stddef.h>

/* What is known of it; as much as there is. */
enum recovery_fact {
	RECOVERY_UNSTARTED = 1 << 0,      /* no container is on record */
	RECOVERY_IMAGE_BUILD = 1 << 1,    /* it builds an image */
	RECOVERY_SECRET_CHANGED = 1 << 2, /* a secret of it has another value than the job was given */
	RECOVERY_NO_ENGINE = 1 << 3,      /* its engine is not among ours any more, or does not come back */
	RECOVERY_GONE = 1 << 4,           /* the engine does not have its container, or not in a network of ours */
	RECOVERY_CREATED = 1 << 5,        /* the container was never started */
	RECOVERY_SERVICE_GONE = 1 << 6,   /* the container of a service, or that one's network holder, likewise */
	RECOVERY_NOT_WHOLE = 1 << 7,      /* it ended before any of the job's segments, as its input was cut off */
	RECOVERY_CUT_OFF = 1 << 8,        /* it ended, and its script did not say that the segment had */
	RECOVERY_RUNNING = 1 << 9,
	RECOVERY_ENDED = 1 << 10,
};

enum recovery_action { RECOVERY_ADOPT, RECOVERY_AGAIN };

struct recovery_row {
	enum recovery_fact fact;
	const char *found; /* in words, as ARCHITECTURE.md has it */
	enum recovery_action action;
	const char *reason; /* of the next attempt; "" when it is adopted */
};

/* The first row whose fact is among facts (of which there must be one). */
const struct recovery_row *recovery_find(unsigned facts);
/* For the test. */
const struct recovery_row *recovery_rows(size_t *count);

#endif
