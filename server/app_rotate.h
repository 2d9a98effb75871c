/* A new seal key: it is made and kept, all that the old one has sealed is sealed anew, and the old one is removed. A
 * kill at any moment leaves the folder so that the next start can go on: seal-key is always whole and on disk, and as
 * long as anything may need it, seal-key.old is beside it, and both are tried.
 *
 *   write    seal-key.new is made                keep     seal-key gets the further name seal-key.old
 *   switch   seal-key.new becomes seal-key       reseal   everything in Redis; again after a while when it fails
 *   forget   seal-key.old is removed
 *
 * Other daemons on the same Redis must not run meanwhile: they know the old key alone. */
#ifndef DAVIT_SERVER_APP_ROTATE_H
#define DAVIT_SERVER_APP_ROTATE_H

#include <stdbool.h>

#include "proto/err.h"

struct app_rotate;
struct disk;
struct loop;
struct state_dir;
struct store;

/* The folder's keys are ours from here on. */
struct app_rotate *app_rotate_new(struct loop *loop, struct disk *disk, struct store *store, struct state_dir *dir);
/* Accepts NULL inside. */
void app_rotate_free(struct app_rotate **rotate);
/* Redis is there: goes on with what an earlier process has begun. */
void app_rotate_resume(struct app_rotate *rotate);
/* Whether the folder's keys may change at any moment. */
bool app_rotate_is_active(const struct app_rotate *rotate);
/* false, and ERR_CONFLICT, while one is under way. */
bool app_rotate_begin(struct app_rotate *rotate, struct err *err);

#endif
