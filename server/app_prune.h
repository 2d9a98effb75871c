/* Retention: every ten minutes the finished builds beyond what is kept leave Redis, then their logs leave the disk, one
 * build after the other, and their artifacts. A crash in between leaves files that nobody asks for, never a build
 * without its log. */
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
/* Accepts NULL. */
void app_prune_free(struct app_prune **prune);

#endif
