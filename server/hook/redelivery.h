/* Has GitHub send again what it could not deliver (it never does so by itself): asks for the repository's webhooks, for
 * the deliveries of ours, page by page as long as a page has missed ones, and posts an attempt for each that no attempt
 * delivered (proto/deliveries.h), the oldest first. They arrive as any delivery does. It takes a token that may read
 * and write webhooks. */
#ifndef DAVIT_HOOK_REDELIVERY_H
#define DAVIT_HOOK_REDELIVERY_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/err.h"
#include "server/core/loop.h"
#include "server/store/records.h"

struct redelivery;

struct redelivery_conf {
	const char *url;     /* of this server, as forges know it; "" */
	const char *ca_file; /* of the authorities that may sign the API's; NULL: the system's */
};

/* Whether the repository is one of those. */
bool redelivery_takes(const struct repo *repo);

/* sent: how many deliveries are on their way. err: as httpc's; ERR_AUTH, ERR_NOT_FOUND: the token may not, or no
 * webhook is ours. repo and conf are read before it returns. */
typedef void redelivery_fn(void *arg, size_t sent, const struct err *err);
struct redelivery *redelivery_start(
    struct loop *loop, const struct redelivery_conf *conf, const struct repo *repo, redelivery_fn *fn, void *arg);
/* No callback. Accepts NULL inside. */
void redelivery_cancel(struct redelivery **redelivery);

#endif
