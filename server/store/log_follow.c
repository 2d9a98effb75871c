#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/mem.h"
#include "server/core/loop.h"
#include "server/store/log_store_impl.h"

enum {
	BLOCK_SIZE = 16384,
	TAIL_BLOCKS = 8,  /* of a log's end are kept for its followers */
	WAKE_BATCH = 500, /* followers called in one turn of the loop */
};

struct log_follower {
	TAILQ_ENTRY(log_follower) link; /* in log->waiting or log->called */
	struct log *log;
	uint64_t offset;
	bool waiting;
	char *failed; /* why the files cannot be read; NULL: they can */
	log_follow_fn *fn;
	void *arg;
};

/* --- the shared end of a log --- */

static struct log_block *
block_new(uint64_t offset)
{
	struct log_block *block = xcalloc(1, sizeof(*block));

	block->refs = 1;
	block->offset = offset;
	block->bytes = xcalloc(1, BLOCK_SIZE);
	return block;
}

struct log_block *
log_block_ref(struct log_block *block)
{
	block->refs++;
	return block;
}

void
log_block_unref(struct log_block **block)
{
	struct log_block *b = *block;

	*block = NULL;
	if (b == NULL || --b->refs > 0)
		return;
	free(b->bytes);
	free(b);
}

static void
tail_shift(struct log *log)
{
	struct log_block *first = TAILQ_FIRST(&log->tail);

	TAILQ_REMOVE(&log->tail, first, link);
	log->tail_count--;
	log_block_unref(&first);
}

void
log_tail_drop(struct log *log)
{
	while (!TAILQ_EMPTY(&log->tail))
		tail_shift(log);
}

/* The block that takes the next bytes, which stand at offset. */
static struct log_block *
tail_room(struct log *log, uint64_t offset)
{
	struct log_block *last = TAILQ_LAST(&log->tail, log_block_list);

	if (last != NULL && last->len < BLOCK_SIZE)
		return last;
	last = block_new(offset);
	TAILQ_INSERT_TAIL(&log->tail, last, link);
	if (++log->tail_count > TAIL_BLOCKS)
		tail_shift(log);
	return last;
}

static void
tail_add(struct log *log, struct str text)
{
	uint64_t offset = log->size;

	while (text.len > 0) {
		struct log_block *block = tail_room(log, offset);
		size_t part = BLOCK_SIZE - block->len < text.len ? BLOCK_SIZE - block->len : text.len;

		memcpy(block->bytes + block->len, text.p, part);
		block->len += part;
		offset += part;
		text.p += part;
		text.len -= part;
	}
}

static struct log_block *
tail_find(const struct log *log, uint64_t offset)
{
	struct log_block *block;

	TAILQ_FOREACH(block, &log->tail, link)
	if (offset >= block->offset && offset < block->offset + block->len)
		return block;
	return NULL;
}

/* --- waking --- */

static bool
has_something(const struct log_follower *follower)
{
	return follower->offset < follower->log->size || follower->log->finished;
}

/* All that wait now are looked at in the next turn of the loop; not at once, so that what is appended in one turn
 * comes in one call. */
static void
wake_all(struct log *log)
{
	struct log_store *store = log->store;

	if (log->due == 0 && log->waiting_count > 0)
		TAILQ_INSERT_TAIL(&store->wake, log, wake_link);
	log->due = log->waiting_count;
	if (log->due > 0 && !timer_is_running(store->wake_timer))
		timer_start(store->wake_timer, 0);
}

void
log_grew(struct log *log, struct str text)
{
	if (log->follower_count > 0)
		tail_add(log, text);
	log->size += text.len;
	if (text.len > 0)
		wake_all(log);
}

void
log_ended(struct log *log)
{
	log->finished = true;
	wake_all(log);
}

static void
due_done(struct log *log)
{
	if (--log->due == 0)
		TAILQ_REMOVE(&log->store->wake, log, wake_link);
}

static void
wait_again(struct log_follower *follower)
{
	TAILQ_INSERT_TAIL(&follower->log->waiting, follower, link);
	follower->log->waiting_count++;
	follower->waiting = true;
}

static void
stop_waiting(struct log_follower *follower)
{
	struct log *log = follower->log;

	TAILQ_REMOVE(&log->waiting, follower, link);
	log->waiting_count--;
	follower->waiting = false;
	while (log->due > log->waiting_count)
		due_done(log);
}

/* The callback may end any follower and with the last one the log: nothing is touched after it. */
static void
wake_one(struct log *log)
{
	struct log_follower *follower = TAILQ_FIRST(&log->waiting);

	due_done(log);
	stop_waiting(follower);
	if (!has_something(follower)) {
		wait_again(follower);
		return;
	}
	TAILQ_INSERT_TAIL(&log->called, follower, link);
	follower->fn(follower->arg);
}

void
log_on_wake(void *arg)
{
	struct log_store *store = arg;
	struct log *log;

	for (unsigned i = 0; i < WAKE_BATCH && (log = TAILQ_FIRST(&store->wake)) != NULL; i++)
		wake_one(log);
	if (!TAILQ_EMPTY(&store->wake))
		timer_start(store->wake_timer, 0);
}

/* --- followers --- */

struct log_follower *
log_follow(struct log_store *store, const struct log_id *id, uint64_t offset, log_follow_fn *fn, void *arg)
{
	struct log_follower *follower = xcalloc(1, sizeof(*follower));
	struct log *log = log_get(store, id);

	*follower = (struct log_follower){ .log = log, .offset = offset, .fn = fn, .arg = arg };
	log->follower_count++;
	store->followers++;
	wait_again(follower);
	if (has_something(follower))
		wake_all(log);
	return follower;
}

void
log_unfollow(struct log_follower **follower)
{
	struct log_follower *f = *follower;
	struct log *log;

	*follower = NULL;
	if (f == NULL)
		return;
	log = f->log;
	if (f->waiting)
		stop_waiting(f);
	else
		TAILQ_REMOVE(&log->called, f, link);
	log->store->followers--;
	if (--log->follower_count == 0)
		log_tail_drop(log);
	free(f->failed);
	free(f);
	log_put(log);
}

/* From the file, into the store's scratch bytes. */
static struct str
read_behind(struct log_follower *follower)
{
	struct log_store *store = follower->log->store;
	size_t want = follower->log->size - follower->offset < LOG_READ_MAX
			  ? (size_t)(follower->log->size - follower->offset)
			  : LOG_READ_MAX;
	struct err err;
	size_t got;

	if (!log_read(store, &follower->log->id, follower->offset, store->scratch, want, &got, &err))
		follower->failed = xstrdup(err.text);
	else if (got == 0)
		follower->failed = xasprintf("the log was cut off behind byte %" PRIu64, follower->offset);
	return (struct str){ store->scratch, got };
}

struct str
log_follow_read(struct log_follower *follower, struct log_block **block)
{
	struct log *log = follower->log;
	struct log_block *shared = tail_find(log, follower->offset);
	struct str text = { "", 0 };

	if (shared != NULL)
		text = (struct str){ shared->bytes + (follower->offset - shared->offset),
			(size_t)(shared->offset + shared->len - follower->offset) };
	else if (follower->offset < log->size && follower->failed == NULL)
		text = read_behind(follower);
	if (block != NULL)
		*block = shared;
	follower->offset += text.len;
	if (text.len == 0 && !follower->waiting && !log_follow_is_ended(follower)) {
		TAILQ_REMOVE(&log->called, follower, link);
		wait_again(follower);
	}
	return text;
}

uint64_t
log_follow_offset(const struct log_follower *follower)
{
	return follower->offset;
}

bool
log_follow_is_ended(const struct log_follower *follower)
{
	return follower->failed != NULL || (follower->log->finished && follower->offset >= follower->log->size);
}

const char *
log_follow_error(const struct log_follower *follower)
{
	return follower->failed;
}

unsigned
log_followers(const struct log_store *store)
{
	return store->followers;
}
