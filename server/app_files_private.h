/* What app_files.c, app_files_in.c and app_files_out.c share: a job's files on their way. */
#ifndef DAVIT_SERVER_APP_FILES_PRIVATE_H
#define DAVIT_SERVER_APP_FILES_PRIVATE_H

#include "proto/buf.h"
#include "proto/cache_key.h"
#include "server/app_files.h"
#include "server/app_take.h"
#include "server/builder/builder.h"
#include "server/builder/reports.h"
#include "server/io/git.h"
#include "server/store/artifact_tar.h"
#include "server/store/file_store.h"
#include "server/store/files.h"

enum {
	APP_FILES_NOTE_MAX = 300,
	APP_FILES_OUT_MS = 30 * 60 * 1000 /* for all that comes out; what goes in is bounded by the job's lease */
};

/* What is known of one of the job's caches. */
struct app_cache {
	struct buf key;  /* without checksums; empty: it has none, and is left alone */
	bool is_exact;   /* it was restored from that key: nothing is to be saved */
	bool is_invalid; /* a path of it is not to be kept */
};

struct app_files {
	const struct app_files_deps *deps;
	struct app_files_job job;
	char trust[CACHE_SCOPE_SIZE];
	unsigned state;   /* of the way that it is on */
	app_files_fn *fn; /* NULL: it is on no way */
	void *arg;

	struct docker_piece *pieces; /* their descriptors are ours */
	size_t piece_count, piece_cap;
	struct app_cache *caches; /* as many as the spec has */

	size_t item; /* of caches, needs, artifacts: where we are */
	struct str key_rest;
	struct cache *found;
	struct artifact_list artifacts; /* of the needed job */
	size_t artifact;
	struct artifact_restore *restore;

	struct builder_run *run; /* NULL: it has none that files could be taken of */
	bool passed;
	struct reports *reports;
	struct report report;
	struct app_take *take;
	uint64_t taken; /* bytes of artifacts */
	struct artifact artifact_record;
	struct cache cache_record;
	char *record_path;

	struct store_op *op;
	struct git_op *git_op;
	struct disk_op *disk_op;
	struct deferred *begin;
	struct timer *timer;
};

/* The one end of a way. files may be gone when it returns. */
void app_files_end(struct app_files *files, const struct err *err);
/* What is in flight is given up. */
void app_files_drop(struct app_files *files);
void app_files_note(struct app_files *files, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Whether a store's error may be gone later. */
bool app_files_is_passing(const struct err *err);

#endif
