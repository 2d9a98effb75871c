/* The records of what jobs leave behind: artifacts, caches and test reports. The bytes of artifacts and caches lie on
 * the disk of the daemon that made them (artifact_store.h, cache_store.h). The contract is that of store.h; records in
 * callbacks are handed over. */
#ifndef DAVIT_STORE_FILES_H
#define DAVIT_STORE_FILES_H

#include "server/store/store.h"

/* All strings are owned and never NULL. */
struct artifact {
	char *id;  /* "17.2.0": the job's first */
	char *job; /* "17.2" */
	char *repo;
	char *name;
	char *node;         /* on whose disk it is */
	int64_t attempt;    /* of the job */
	int64_t number;     /* in the job's spec, from 0 */
	int64_t size;       /* of the file: a tar, compressed with zstd */
	int64_t content;    /* bytes of the files in it */
	int64_t files;      /* and how many, folders and links included */
	char *sha256;       /* of the file */
	int64_t created_ms; /* kept by the store, like expires_ms */
	int64_t expires_ms;
};

struct artifact_list {
	struct artifact *items;
	size_t count;
};

struct test_report {
	char *job;
	int64_t tests, failures, errors, skipped;
	int64_t time_ms;
	int64_t lines, covered; /* of code; 0: nothing was said of them */
	char *failed;           /* JSON, report_failed_to_json */
};

struct test_report_list {
	struct test_report *items;
	size_t count;
};

struct cache {
	char *id; /* 32 hex digits, its file's name */
	char *node;
	char *repo;
	char *trust; /* who may use it: CACHE_TRUSTED all, another one's own */
	char *key;
	int64_t size;
	int64_t created_ms;
	int64_t used_ms;
};

struct id_list {
	char **items;
	size_t count;
};

#define CACHE_TRUSTED "trusted"

void artifact_list_fini(struct artifact_list *list);
void test_report_list_fini(struct test_report_list *list);
void cache_free(struct cache **cache);
void id_list_fini(struct id_list *list);

/* The file is on this node's disk; number, name, attempt, size, content, files and sha256 are read. ERR_CONFLICT: the
 * token is stale; ERR_LIMIT: the repository's artifacts would take more than repo_max bytes together. In both cases
 * there is no record, and the file may go. */
struct store_op *store_artifact_put(struct store *store, const char *job, const char *token,
    const struct artifact *artifact, int64_t expire_s, int64_t repo_max, store_done_fn *fn, void *arg);
/* Of the job with that number; 0: of all. Not those of earlier attempts. */
typedef void store_artifacts_fn(void *arg, struct artifact_list artifacts, const struct err *err);
struct store_op *store_artifact_list(
    struct store *store, int64_t build, int64_t job, store_artifacts_fn *fn, void *arg);
/* Forgets those of this node whose time is over, at most STORE_LIST_MAX. */
struct store_op *store_artifact_expire(struct store *store, store_artifacts_fn *fn, void *arg);

/* ERR_CONFLICT: the token is stale. */
struct store_op *store_report_put(struct store *store, const char *job, const char *token,
    const struct test_report *report, store_done_fn *fn, void *arg);
typedef void store_reports_fn(void *arg, struct test_report_list reports, const struct err *err);
struct store_op *store_report_list(struct store *store, int64_t build, store_reports_fn *fn, void *arg);

struct cache_query {
	const char *repo;
	const char *trust; /* of who asks: its own caches go before the trusted ones */
	const char *key;
	const char *const *beginnings; /* of keys: the newest that fits, in this order */
	size_t beginning_count;
};

/* On this node; NULL: there is none. */
typedef void store_cache_fn(void *arg, struct cache *cache, const struct err *err);
struct store_op *store_cache_find(struct store *store, const struct cache_query *query, store_cache_fn *fn, void *arg);
/* The file is on this node's disk; id, repo, trust, key and size are read. ERR_CONFLICT: another one was first. */
struct store_op *store_cache_put(struct store *store, const struct cache *cache, store_done_fn *fn, void *arg);
/* Forgets this node's that were not used for max_age_ms, and the longest unused of more than max_bytes; at most
 * STORE_LIST_MAX. Their files may go. */
typedef void store_ids_fn(void *arg, struct id_list ids, const struct err *err);
struct store_op *store_cache_prune(
    struct store *store, int64_t max_bytes, int64_t max_age_ms, store_ids_fn *fn, void *arg);
struct store_op *store_cache_drop(struct store *store, const char *id, store_done_fn *fn, void *arg);
/* Which of these (at most 1,000) are not this node's caches. */
struct store_op *store_cache_unknown(
    struct store *store, const char *const *ids, size_t count, store_ids_fn *fn, void *arg);

#endif
