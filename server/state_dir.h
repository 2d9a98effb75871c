/* The state folder: made and locked at the start, before the reactor runs (so these calls may block). It holds the two
 * keys that the first start makes: admin-token (what API, web page and CLI ask for) and seal-key (seals secrets), and
 * while that is changed, the older one. */
#ifndef DAVIT_SERVER_STATE_DIR_H
#define DAVIT_SERVER_STATE_DIR_H

#include <stdbool.h>

#include "proto/crypto.h"
#include "proto/err.h"

#define STATE_DIR_SEAL_KEY "seal-key"
#define STATE_DIR_OLD_SEAL_KEY "seal-key.old"

struct inherited;

struct state_dir {
	char *path;
	int lock; /* the descriptor that keeps a second davitd out */
	char *admin_token;
	unsigned char seal_key[SEAL_KEY_SIZE];
	bool has_old_seal_key; /* a change of keys (app_rotate.h) has not come to its end */
	unsigned char old_seal_key[SEAL_KEY_SIZE];
};

#define STATE_DIR_LOCK "lock" /* the file, and its descriptor's name among the inherited ones */

/* ERR_CONFLICT when another davitd uses the folder, unless that has handed us its lock. */
bool state_dir_open(const char *path, struct inherited *inherited, struct state_dir *ret, struct err *err)
    __attribute__((warn_unused_result));
void state_dir_close(struct state_dir *dir);

#endif
