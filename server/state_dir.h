/* The state folder: made and locked at the start, before the reactor runs (so these calls may block). It holds the two
 * keys that the first start makes: admin-token (what API, web page and CLI ask for) and seal-key (seals secrets). */
#ifndef DAVIT_SERVER_STATE_DIR_H
#define DAVIT_SERVER_STATE_DIR_H

#include <stdbool.h>

#include "proto/crypto.h"
#include "proto/err.h"

struct state_dir {
	char *path;
	int lock; /* the descriptor that keeps a second davitd out */
	char *admin_token;
	unsigned char seal_key[SEAL_KEY_SIZE];
};

/* ERR_CONFLICT when another davitd uses the folder. */
bool state_dir_open(const char *path, struct state_dir *ret, struct err *err) __attribute__((warn_unused_result));
void state_dir_close(struct state_dir *dir);

#endif
