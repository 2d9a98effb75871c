/* What time makes of files: artifacts expire, caches make room for newer ones, and what is no cache any more (a daemon
 * was killed between its file and its record) is removed after the start. The files go with the records, in the
 * background. */
#ifndef DAVIT_SERVER_APP_SWEEP_H
#define DAVIT_SERVER_APP_SWEEP_H

#include <stdint.h>

struct app_sweep;
struct file_store;
struct loop;
struct store;

/* Rests until app_sweep_soon, as Redis may not be there yet. */
struct app_sweep *app_sweep_new(
    struct loop *loop, struct store *store, struct file_store *files, uint64_t cache_bytes, unsigned cache_age_s);
/* Accepts NULL inside. */
void app_sweep_free(struct app_sweep **sweep);
/* Redis is there, or there is more than there was: now rather than in ten minutes. */
void app_sweep_soon(struct app_sweep *sweep);

#endif
