/* The last warm-ups, by number, so that their progress can be asked for. */
#ifndef DAVIT_MIRROR_WARMUPS_H
#define DAVIT_MIRROR_WARMUPS_H

#include "server/mirror/warmup.h"

enum { WARMUPS_KEPT = 16, WARMUPS_RUNNING = 4 };

struct warmups {
	struct {
		uint64_t id; /* 0: none */
		struct warmup *warmup;
	} list[WARMUPS_KEPT];
	uint64_t last;
};

/* 0 with *err: as warmup_start, and ERR_UNAVAILABLE when WARMUPS_RUNNING of them are not over. The oldest one that is
 * over makes room. */
uint64_t warmups_start(
    struct warmups *warmups, const struct warmup_conf *conf, const struct warmup_request *request, struct err *err);
/* NULL: there is none of that number any more. */
const struct warmup *warmups_find(const struct warmups *warmups, uint64_t id);
/* All are given up. */
void warmups_fini(struct warmups *warmups);

#endif
