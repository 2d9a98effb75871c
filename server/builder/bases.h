/* The images that a Dockerfile's build begins from, brought to the engine by way of the mirror before it begins: the
 * engine's own pulls would not go there. What the mirror does not give the engine gets by itself. */
#ifndef DAVIT_BUILDER_BASES_H
#define DAVIT_BUILDER_BASES_H

#include "proto/dockerfile.h"
#include "proto/plan.h"
#include "server/builder/host.h"

struct bases;

/* Everything is lent for the start, but platform until the end. */
struct bases_request {
	const struct dockerfile *dockerfile;
	const struct build_spec *build;
	const char *platform; /* of those that name none; NULL: the engine's own */
	bool always;          /* also what is there already */
};

typedef void bases_notice_fn(void *arg, const char *text);
/* are_fresh: all came by the mirror just now, so that nobody has to ask a registry once more. */
typedef void bases_done_fn(void *arg, bool are_fresh);
/* The async contract of core/loop.h holds. */
struct bases *bases_start(
    struct host *host, const struct bases_request *request, bases_notice_fn *on_notice, bases_done_fn *fn, void *arg);
/* Accepts NULL inside. */
void bases_cancel(struct bases **bases);

#endif
