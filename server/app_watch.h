/* What delivery/watch.h needs to know of secrets: the registry's credentials that a job has which deploys there. */
#ifndef DAVIT_SERVER_APP_WATCH_H
#define DAVIT_SERVER_APP_WATCH_H

#include "server/delivery/watch.h"

struct disk;

struct app_watch_deps {
	struct loop *loop;
	struct disk *disk;
	struct store *store;
};

/* Of struct watch_means; arg: struct app_watch_deps. */
struct watch_login *app_watch_login(void *arg, const struct environment *environment,
    const struct deployment *deployment, watch_login_fn *fn, void *fn_arg);
void app_watch_login_cancel(struct watch_login **login);

#endif
