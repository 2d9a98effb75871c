/* A body that arrives: a file that grows, and readers who are told when it has. It is read by its descriptor with
 * sendfile, whatever becomes of its name. A whole file is a draft that has ended. References are counted; one thread.
 */
#ifndef DAVIT_MIRROR_DRAFT_H
#define DAVIT_MIRROR_DRAFT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "proto/err.h"
#include "proto/str.h"

#define DRAFT_UNKNOWN UINT64_MAX

struct draft;

/* fn is called after each growth and at the end; it may do no more than note it (arm an event, say). */
struct draft_reader {
	LIST_ENTRY(draft_reader) link;
	struct draft *draft;
	uint64_t at; /* where it is; see draft_advance */
	void (*fn)(void *arg);
	void *arg;
};

/* A new file at path; NULL and *err when it cannot be made. total: bytes that will come, or DRAFT_UNKNOWN. */
struct draft *draft_new(const char *path, uint64_t total, struct err *err);
/* Where the disk takes no more: what comes from now on goes through memory, DRAFT_WINDOW bytes at most beyond the
 * slowest reader, and is gone when all have read it. on_room is called when there is room again (see draft_has_room),
 * or a reader has left; it may not end the draft. False when there is no memory either. A draft of this kind has no
 * name to be kept under. */
#define DRAFT_WINDOW (4 * 1024 * 1024)
bool draft_pass_on(struct draft *draft, void (*on_room)(void *arg), void *arg);
bool draft_has_room(const struct draft *draft);
/* A whole file; fd becomes the draft's. One of DRAFT_SMALL bytes at most is read at once. */
#define DRAFT_SMALL (16 * 1024)
struct draft *draft_of_file(int fd, uint64_t size);
/* One that grows on, behind size bytes of total; fd becomes the draft's. */
struct draft *draft_of_part(int fd, uint64_t size, uint64_t total);
struct draft *draft_ref(struct draft *draft);
/* Accepts NULL inside. */
void draft_unref(struct draft **draft);
unsigned draft_refs(const struct draft *draft);

/* ERR_IO when the disk takes no more, ERR_LIMIT beyond total. */
bool draft_append(struct draft *draft, struct str bytes, struct err *err);
/* From now on readers are told of all but the last len bytes, until draft_end: of the total, where it is known, so that
 * the first bytes wait for no others. */
void draft_hold_back(struct draft *draft, uint64_t len);
void draft_end(struct draft *draft);
/* No more will come, and what came is not whole. */
void draft_fail(struct draft *draft);

void draft_watch(struct draft *draft, struct draft_reader *reader);
void draft_unwatch(struct draft_reader *reader);

int draft_fd(const struct draft *draft);
/* The descriptor that has the bytes from at on, at the same offsets, up to *end at most. */
int draft_fd_at(const struct draft *draft, uint64_t at, uint64_t *end);
/* All the bytes, where they are in memory; NULL: they are not. */
const char *draft_text(const struct draft *draft);
/* The reader has all in front of at. */
void draft_advance(struct draft_reader *reader, uint64_t at);
uint64_t draft_size(const struct draft *draft);    /* for readers, so far */
uint64_t draft_written(const struct draft *draft); /* with what is held back */
uint64_t draft_total(const struct draft *draft);
bool draft_is_whole(const struct draft *draft);
bool draft_has_failed(const struct draft *draft);

#endif
