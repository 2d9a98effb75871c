/* One look at a repository: its branches and tags are listed (git ls-remote) and compared with what is known; what
 * still differs some seconds later, with no delivery in between, was missed and becomes a build.
 *
 * At GitHub, with a token, its own record is asked first (redelivery.h): then what it sends again comes by delivery,
 * and branches and tags wait for the next look.
 *
 *   repo -> (redeliver) -> list -> compare -> report                    nearly always
 *           redeliver -> report                                         something is sent again
 *                   compare -> wait -> list -> compare -> (fetch -> read -> recover | settle)* -> report
 *
 * The report says when the repository is looked at next, and why this look failed if it did. Several daemons may look
 * at once: the store lets one of them make the build. */
#ifndef DAVIT_HOOK_LOOK_H
#define DAVIT_HOOK_LOOK_H

#include <stdint.h>

#include "server/core/loop.h"
#include "server/hook/redelivery.h"

struct git;
struct look;
struct store;

#define LOOK_MINE_MS 600000 /* a repository is one daemon's for so long; its look has ended by then */

struct look_means {
	struct loop *loop;
	struct store *store;
	struct git *git;
	int64_t interval_ms; /* until the next look */
	struct redelivery_conf redelivery;
};

/* done is called from the loop when it has ended, however; the look is gone then. means outlives it. */
struct look *look_start(const struct look_means *means, const char *repo, loop_fn *done, void *arg);
/* No callback; the repository is due again when it is nobody's any more. Accepts NULL inside. */
void look_cancel(struct look **look);

#endif
