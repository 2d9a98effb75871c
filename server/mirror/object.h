/* One cached object, that is one URL, and its variants: the replies that were stored for it, told apart by what their
 * Vary names. A variant that nobody stores (it is passed on only) has no object. */
#ifndef DAVIT_MIRROR_OBJECT_H
#define DAVIT_MIRROR_OBJECT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "proto/buf.h"
#include "proto/http1.h"
#include "proto/http_cache.h"
#include "server/mirror/draft.h"

struct object;

struct variant {
	LIST_ENTRY(variant) of_object; /* the newest first */
	TAILQ_ENTRY(variant) by_use;   /* of the shelf: the one used longest ago first */
	TAILQ_ENTRY(variant) by_age;   /* of the shelf, in the order of storing */
	struct object *object;         /* NULL: not on the shelf, or no more */
	unsigned refs;
	uint64_t id;           /* names its file */
	const char *selection; /* see proto/http_vary.h; "" without Vary */
	char *head;            /* of the reply, as the text of a head without what is of one connection */
	size_t head_len;
	size_t memory; /* that the shelf has counted for it */
	struct http_cache_times times;
	int64_t used;       /* s since 1970, by a client, the last time */
	int64_t noted;      /* and as the shelf has it on record */
	uint64_t size;      /* of the body, once whole; what it takes on the disk */
	struct draft *open; /* its file, while the shelf keeps it open */
	TAILQ_ENTRY(variant) by_open;
	struct draft *draft; /* while it arrives, and until its file has its name. NULL: it has */
	char text[];         /* head, until it is another, and selection */
};

LIST_HEAD(variant_list, variant);

struct object {
	TAILQ_ENTRY(object) link; /* in the order of coming */
	struct variant_list variants;
	size_t key_len;
	char key[]; /* and a NUL */
};

/* head as made by variant_print_head; strings are copied. One reference is the caller's. */
struct variant *variant_new(uint64_t id, struct str head, struct str selection, const struct http_cache_times *times);
struct variant *variant_ref(struct variant *variant);
/* Accepts NULL inside. */
void variant_unref(struct variant **variant);
/* Reads its head; *ret points into it, until variant_set_head. */
void variant_read_head(const struct variant *variant, struct http1_head *ret);
/* A 304's news: its headers replace those of the same name, but for those that speak of the body. */
void variant_freshen(struct variant *variant, const struct http1_head *news, const struct http_cache_times *times);
/* Whether its file is there: whole, and under its name. */
bool variant_is_filed(const struct variant *variant);

/* The head of a reply as it is stored: the status, and the headers that are not of one connection, nor the
 * length, but for a HEAD's, which there is no body to tell of. */
bool variant_print_head(struct buf *b, const struct http1_head *reply, enum http1_method method);

/* The newest variant that the request's headers select; NULL: none. */
struct variant *object_select(const struct object *object, const struct http1_head *request);

/* As one record of the journal: the key, and all of the variant but its body. */
bool variant_print_record(struct buf *b, const char *key, const struct variant *variant);
/* *key points into the record, which this has printed: its head is not looked at. NULL when it makes no sense. */
struct variant *variant_read_record(struct str record, struct str *key);
/* The key alone. False when it makes no sense. */
bool variant_read_key(struct str record, struct str *key);
/* Its head is one that variant_read_head can read. */
bool variant_is_clean(const struct variant *variant);

#endif
