/* One claimed notice on its way: its build and repository are looked up, it is sent (or, being an event, turned into
 * notices for real targets), and the store is told what became of it. A part of notify; nobody else includes this. */
#ifndef DAVIT_NOTIFY_DELIVERY_H
#define DAVIT_NOTIFY_DELIVERY_H

#include "server/notify/forges.h"
#include "server/notify/mailer.h"
#include "server/store/log_store.h"
#include "server/store/store.h"

/* What all deliveries share. */
struct delivery_means {
	struct store *store;
	struct log_store *logs; /* NULL: mails without the end of a log */
	struct forges *forges;
	struct mailer *mailer; /* NULL: no mail */
	char *url;             /* "": no links */
	int64_t delay_ms;
	int64_t delay_max_ms;
	int64_t age_max_ms;
};

struct delivery;

/* The notice is handed over. done is called once, from the loop, when the delivery is gone. */
struct delivery *delivery_start(const struct delivery_means *means, struct notice *notice, loop_fn *done, void *arg);
/* Left as it is: the notice is claimed again when its lease is over. Accepts NULL inside. */
void delivery_cancel(struct delivery **delivery);

#endif
