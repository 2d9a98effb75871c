/* One request to an upstream, with any number of clients behind it. The first that wants an object which is not there,
 * or has to be asked about, starts it; others that come before its reply join. The reply's body goes into a draft, from
 * which all are served. A body that breaks off is continued where it ended, when the upstream can be held to the same
 * bytes (Range and If-Range). What nobody stores and nobody reads any more is given up. */
#ifndef DAVIT_MIRROR_TRANSFER_H
#define DAVIT_MIRROR_TRANSFER_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/err.h"
#include "proto/http1.h"
#include "server/mirror/object.h"
#include "server/mirror/target.h"

struct loop;
struct shelf;
struct tokens;
struct transfers;
struct transfer_waiter;

struct transfers_conf {
	struct loop *loop;
	struct shelf *shelf;
	struct upstreams *upstreams;
	struct tokens *tokens;
	uint64_t body_max; /* bytes of one body */
};

struct transfer_figures {
	uint64_t requests; /* sent to upstreams */
	uint64_t joined;
	uint64_t resumed;
	uint64_t bytes;
	unsigned running;
};

struct transfers *transfers_new(const struct transfers_conf *conf);
/* Ends them all; every waiter must have left. Accepts NULL inside. */
void transfers_free(struct transfers **transfers);
struct transfer_figures transfers_figures(const struct transfers *transfers);

enum transfer_result {
	TRANSFER_REPLY,  /* the head of the upstream's reply has come: variant, whose draft grows */
	TRANSFER_SAME,   /* what was stored is still good: variant */
	TRANSFER_STALE,  /* the upstream cannot say, and what was stored may be served: variant */
	TRANSFER_ALONE,  /* the reply is not for this request, or is not to be shared: ask again, alone */
	TRANSFER_FAILED, /* err */
};

/* Once; the waiter is gone by then. variant is lent. */
typedef void transfer_fn(void *arg, enum transfer_result result, struct variant *variant, const struct err *err);

/* Copied by transfer_start, but for stored, which is referenced. */
struct transfer_request {
	const struct target *target;
	struct str text;          /* of the client's request: its whole head */
	struct str body;          /* and body */
	struct variant *stored;   /* to ask about; NULL: nothing */
	enum http1_method method; /* not always the client's */
	bool is_alone;            /* nobody may join, and it joins nobody */
	bool wants_range;         /* the client's Range goes upstream; the reply is not stored */
};

/* Joins a running one, or starts it. fn NULL: nobody waits, and NULL is returned. */
struct transfer_waiter *transfer_start(
    struct transfers *transfers, const struct transfer_request *request, transfer_fn *fn, void *arg);
/* Accepts NULL inside. */
void transfer_leave(struct transfer_waiter **waiter);

#endif
