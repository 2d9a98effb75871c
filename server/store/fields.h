/* What a record's fields are called in Redis, private to store/: one table per record, by which hashes are read and
 * written. doc/redis-keys.md has the same names. */
#ifndef DAVIT_STORE_FIELDS_H
#define DAVIT_STORE_FIELDS_H

#include <stddef.h>

#include "proto/arena.h"
#include "proto/str.h"
#include "server/store/records.h"

struct redis_reply;

enum field_kind { FIELD_TEXT, FIELD_INT, FIELD_BOOL, FIELD_BUILD_STATE, FIELD_JOB_STATE, FIELD_EVENT, FIELD_TRUST };

struct field {
	const char *name;
	enum field_kind kind;
	size_t offset;
};

struct record {
	const struct field *fields;
	size_t count;
};

extern const struct record repo_record;
/* What its owner sets, the id aside. */
extern const struct record repo_settings_record;
extern const struct record job_record;
extern const struct record build_record;
extern const struct record schedule_record;
/* What its owner sets. */
extern const struct record schedule_settings_record;
extern const struct record notice_record;
extern const struct record secret_record;
extern const struct record access_token_record;
/* What its maker sets. */
extern const struct record access_token_settings_record;
extern const struct record environment_record;
/* What its owner sets. */
extern const struct record environment_settings_record;
extern const struct record deployment_record;
/* Its texts are NULL when there is none, unlike the others'. */
extern const struct record change_record;

/* Arguments of a script: numbers are printed, texts are borrowed until args_fini. */
struct args {
	struct str *items;
	size_t count, cap;
	struct arena arena;
};

void args_str(struct args *args, struct str s);
void args_text(struct args *args, const char *text); /* NULL: "" */
/* A copy of it, which lives as long as args. */
void args_copy(struct args *args, struct str s);
void args_int(struct args *args, int64_t n);
/* Replaces an argument: a count that is known afterwards. */
void args_set_int(struct args *args, size_t i, int64_t n);
/* Name and value of each field; the empty ones (NULL, "", 0) too when they are to replace older ones. */
void args_record(struct args *args, const struct record *record, const void *of, bool empty_too);
void args_fini(struct args *args);

/* Fills a zeroed record from HGETALL's list of names and values; what it does not know it leaves. */
void record_read(const struct record *record, const struct redis_reply *list, void *ret);
/* Texts that are NULL become "". */
void record_no_nulls(const struct record *record, void *of);
/* Frees the texts. */
void record_fini(const struct record *record, void *of);
/* of was copied as a struct: gives it texts of its own. */
void record_own_texts(const struct record *record, void *of);

/* _init fills a zeroed record, _read makes one; to be freed as records.h says. change may be NULL. */
void repo_init(struct repo *ret, const struct redis_reply *list);
void build_init(struct build *ret, const struct redis_reply *list);
struct job *job_read(const struct redis_reply *list);
struct build *build_read(const struct redis_reply *list, const struct redis_reply *change);
struct notice *notice_read(const struct redis_reply *list);
/* The elements of reply from index first on. */
struct job_list job_list_read(const struct redis_reply *reply, size_t first);
struct schedule_list schedule_list_read(const struct redis_reply *reply, size_t first);
struct deployment_list deployment_list_read(const struct redis_reply *reply, size_t first);
/* Of a hash; of an empty one all is "" and 0. */
void environment_init(struct environment *ret, const struct redis_reply *list);
/* From the element `at` on two hashes for each: its own, and that of the deployment that it has. */
void environments_read(const struct redis_reply *reply, size_t at, struct environment_list *environments,
    struct deployment_list *deployments);
void deployment_init(struct deployment *ret, const struct redis_reply *list);

#endif
