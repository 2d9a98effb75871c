/* Brings URLs and images onto the shelf before anybody asks for them, as a client of the mirror's own listener: so
 * whatever holds for clients holds for what is fetched ahead, and one that asks meanwhile joins it. */
#ifndef DAVIT_MIRROR_WARMUP_H
#define DAVIT_MIRROR_WARMUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/err.h"

struct loop;
struct warmup;

enum {
	WARMUP_NAMES_MAX = 10000,
	WARMUP_PARTS_MAX = 50000, /* manifests and blobs of its images included */
	WARMUP_PLATFORMS_MAX = 16,
	WARMUP_AT_ONCE = 8,
	WARMUP_ERRORS = 20, /* are kept */
	WARMUP_ERROR_SIZE = 400,
};

struct warmup_request {
	/* Each a URL of an upstream ("https://host/path"), the path of one of the mirror's own ("/npm/host/path"), or
	 * an image ("alpine:3.20", "ghcr.io/owner/image"). */
	const char *const *names;
	size_t count;
	const char *const *platforms; /* of images; see proto/manifest.h */
	size_t platform_count;
};

struct warmup_conf {
	struct loop *loop;
	const char *mirror;        /* its address, as struct listening has it */
	const char *authorization; /* of the requests for images; NULL: none */
};

/* Copies all. ERR_INPUT: a name is malformed. */
struct warmup *warmup_start(const struct warmup_conf *conf, const struct warmup_request *request, struct err *err);
/* What has begun is given up; what was fetched stays. Accepts NULL inside. */
void warmup_free(struct warmup **warmup);

struct warmup_status {
	size_t total; /* parts that are known by now */
	size_t done;  /* of these, also those that failed: */
	size_t failed;
	uint64_t bytes;
	size_t error_count; /* at most WARMUP_ERRORS */
};
void warmup_status(const struct warmup *warmup, struct warmup_status *ret);
/* "alpine:3.20: 404 Not Found". */
const char *warmup_error(const struct warmup *warmup, size_t index);

#endif
