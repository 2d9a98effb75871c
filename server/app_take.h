/* Takes files out of a job's container into one file on disk, as a tar: an artifact (what fits below the workspace,
 * compressed, owned by root) or a cache (folders as they are). Memory is bounded by the pack's, whatever the job made;
 * the engine waits while the disk is slow. */
#ifndef DAVIT_SERVER_APP_TAKE_H
#define DAVIT_SERVER_APP_TAKE_H

#include <stdint.h>

#include "proto/crypto.h"
#include "proto/err.h"
#include "proto/plan.h"

struct app_take;
struct file_store;
struct builder_run;

enum app_take_kind { APP_TAKE_ARTIFACT, APP_TAKE_CACHE };

enum { APP_TAKE_FILES_MAX = 100000 };

struct app_take_spec {
	enum app_take_kind kind;
	const struct strings *patterns;
	const char *path;     /* of the file; its folder is made */
	uint64_t content_max; /* bytes of the files together */
};

struct app_take_result {
	uint64_t size; /* of the file; 0: nothing was there to take, and there is no file */
	char sha256[SHA256_HEX_SIZE];
	uint64_t content;  /* bytes of files in it */
	uint64_t files;    /* members */
	uint64_t left_out; /* links that lead out of the workspace */
};

/* ERR_LIMIT: there is too much. No file is left after an error. */
typedef void app_take_fn(void *arg, const struct app_take_result *result, const struct err *err);

/* Between the run's ended and builder_leave. spec is read before it returns, its patterns are lent. */
struct app_take *app_take_start(
    struct file_store *files, struct builder_run *run, const struct app_take_spec *spec, app_take_fn *fn, void *arg);
/* Accepts NULL inside. */
void app_take_cancel(struct app_take **take);

#endif
