/* The daemon as a whole: every component built in order, joined by callbacks, torn down in reverse. What one component
 * hands to the next passes here and nowhere else:
 *   store's wake lines -> scheduler, notify, controller;  scheduler's claimed jobs -> app_job -> builder
 *   hook's changes -> store;  builder's free slots -> scheduler */
#ifndef DAVIT_SERVER_APP_H
#define DAVIT_SERVER_APP_H

#include "proto/err.h"

struct app;
struct conf;
struct inherited;

/* How this process was started. */
struct app_start {
	struct inherited *inherited;
	char *program;           /* the path of the file that is run; NULL: not known, so no newer one can be started */
	const char *const *argv; /* NULL-terminated */
};

/* conf and start are lent for the app's life, start->inherited for the call. NULL and *err when the start is refused.
 */
struct app *app_new(const struct conf *conf, const struct app_start *start, struct err *err);
/* Until SIGTERM or SIGINT has ended everything, or SIGUSR2 has given the place to a newer davitd. */
void app_run(struct app *app);
void app_free(struct app **app);

#endif
