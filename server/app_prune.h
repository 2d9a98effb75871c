/* Retention: every ten minutes the finished builds beyond what is kept leave Redis; then what is on this disk of builds
 * that Redis does not know leaves it, one build after the other, artifacts first. So it does not matter which daemon
 * forgot a build, and when one was killed. */
#ifndef DAVIT_SERVER_APP_PRUNE_H
#define DAVIT_SERVER_APP_PRUNE_H

struct app_prune;
struct file_store;
struct log_store;
struct loop;
struct store;

/* keep: finished builds of each repository. */
struct app_prune *app_prune_new(
    struct loop *loop, struct store *store, struct log_store *logs, struct file_store *files, unsigned keep);
/* Redis is there: the first time is now. */
void app_prune_start(struct app_prune *prune);
/* Accepts NULL. */
void app_prune_free(struct app_prune **prune);

#endif
