/* What is brought onto the shelf for no client's request: one URL's reply, whose end is told. */
#ifndef DAVIT_MIRROR_FETCH_H
#define DAVIT_MIRROR_FETCH_H

#include <stdint.h>

#include "server/mirror/transfer.h"

struct fetch;

/* As a transfer's results, but TRANSFER_REPLY comes when the body is whole, and TRANSFER_ALONE never. variant is lent;
 * body is the file that has it, NULL where nothing has come: TRANSFER_SAME, TRANSFER_STALE, TRANSFER_FAILED. */
typedef void fetch_fn(
    void *arg, enum transfer_result result, struct variant *variant, struct draft *body, const struct err *err);

/* stored: a variant to ask about, or NULL. Joins a transfer of that key which runs already. Its deadlines are the
 * transfer's. The async contract holds. */
struct fetch *fetch_start(struct loop *loop, struct transfers *transfers, const struct target *target,
    enum http1_method method, struct variant *stored, fetch_fn *fn, void *arg);
/* The transfer goes on, for others. Accepts NULL inside. */
void fetch_cancel(struct fetch **fetch);
/* Bytes of the body so far. */
uint64_t fetch_bytes(const struct fetch *fetch);

#endif
