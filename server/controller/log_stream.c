#include "server/controller/log_stream.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "proto/json.h"
#include "proto/mem.h"
#include "server/controller/log_format.h"
#include "server/core/loop.h"
#include "server/store/store.h"

#define CACHE_MAX (512 * 1024)  /* bytes of events kept for each followed log */
#define HIGH_WATER (128 * 1024) /* of one follower's output */

/* Events that were made for one place. */
struct piece {
	TAILQ_ENTRY(piece) link;
	struct log_place from, to;
	struct sse_block *block;
};

struct follower {
	TAILQ_ENTRY(follower) link;
	struct followed *log;
	struct sse *sse;
	struct log_place place;
};

/* A log with followers. */
struct followed {
	LIST_ENTRY(followed) link;
	struct log_streams *streams;
	struct log_id id;
	char job[JOB_ID_MAX];
	struct log_follower *growth; /* tells when there is more */
	struct store_op *op;         /* asks for the job's state */
	bool asks_again;             /* when it answers: the job changed meanwhile */
	struct sse_block *end;       /* the last event, once the job is over */
	TAILQ_HEAD(pieces, piece) pieces;
	size_t cached;
	TAILQ_HEAD(, follower) followers;
	unsigned count;
	struct deferred *round;
	unsigned round_left; /* followers that have not got what is new */
};

struct log_streams {
	struct loop *loop;
	struct store *store;
	struct log_store *logs;
	struct sse_hub *hub;
	LIST_HEAD(, followed) list;
};

static void on_job(void *arg, struct job *job, const struct err *err);

/* --- events, made once --- */

static void
piece_free(struct followed *log, struct piece *piece)
{
	TAILQ_REMOVE(&log->pieces, piece, link);
	log->cached -= sse_block_len(piece->block);
	sse_block_unref(&piece->block);
	free(piece);
}

static struct piece *
piece_new(struct followed *log, const struct log_place *from)
{
	struct log_place to = *from;
	struct sse_block *block = log_format(log->streams->logs, &log->id, &to, log->end != NULL);
	struct piece *piece;

	if (block == NULL)
		return NULL;
	piece = xcalloc(1, sizeof(*piece));
	*piece = (struct piece){ .from = *from, .to = to, .block = block };
	TAILQ_INSERT_TAIL(&log->pieces, piece, link);
	log->cached += sse_block_len(block);
	while (log->cached > CACHE_MAX && TAILQ_FIRST(&log->pieces) != piece)
		piece_free(log, TAILQ_FIRST(&log->pieces));
	return piece;
}

/* What follows a place; NULL when nothing does yet. The newest pieces are the likeliest. */
static struct piece *
piece_at(struct followed *log, const struct log_place *place)
{
	struct piece *piece;

	TAILQ_FOREACH_REVERSE(piece, &log->pieces, pieces, link)
	if (piece->from.offset == place->offset && piece->from.record == place->record)
		return piece;
	return piece_new(log, place);
}

/* --- followers --- */

static void
followed_free(struct followed *log)
{
	LIST_REMOVE(log, link);
	while (!TAILQ_EMPTY(&log->pieces))
		piece_free(log, TAILQ_FIRST(&log->pieces));
	store_cancel(&log->op);
	log_unfollow(&log->growth);
	deferred_cancel(&log->round);
	sse_block_unref(&log->end);
	free(log);
}

static void
release(struct followed *log)
{
	if (--log->count == 0)
		followed_free(log);
}

static void
follower_free(struct follower *f)
{
	struct followed *log = f->log;

	TAILQ_REMOVE(&log->followers, f, link);
	free(f);
	release(log);
}

static void
on_gone(void *arg)
{
	follower_free(arg);
}

/* One piece, if there is room for it; the drained output asks for the next one. f may be gone afterwards. */
static void
serve(struct follower *f)
{
	struct followed *log = f->log;
	const struct piece *piece;

	if (sse_pending(f->sse) > HIGH_WATER)
		return;
	piece = piece_at(log, &f->place);
	if (piece != NULL) {
		f->place = piece->to;
		sse_send(f->sse, piece->block);
	} else if (log->end != NULL) {
		sse_send(f->sse, log->end);
		sse_end(&f->sse);
		follower_free(f);
	}
}

static void
on_ready(void *arg)
{
	serve(arg);
}

/* Some of the followers each turn, so that thousands of them do not hold the loop. */
static void
on_round(void *arg)
{
	struct followed *log = arg;
	unsigned batch = log->round_left < SSE_BATCH ? log->round_left : SSE_BATCH;

	log->round = NULL;
	log->round_left -= batch;
	if (log->round_left > 0)
		log->round = deferred_call(log->streams->loop, on_round, log);
	log->count++; /* keeps the log until the end of this function */
	for (; batch > 0 && !TAILQ_EMPTY(&log->followers); batch--) {
		struct follower *f = TAILQ_FIRST(&log->followers);

		TAILQ_REMOVE(&log->followers, f, link);
		TAILQ_INSERT_TAIL(&log->followers, f, link);
		serve(f);
	}
	release(log);
}

static void
serve_all(struct followed *log)
{
	log->round_left = log->count;
	if (log->round == NULL)
		log->round = deferred_call(log->streams->loop, on_round, log);
}

/* --- what happens to the log and its job --- */

static void
on_growth(void *arg)
{
	struct followed *log = arg;

	while (log_follow_read(log->growth, NULL).len > 0) /* so that it tells again */
		;
	serve_all(log);
}

static void
ask(struct followed *log)
{
	if (log->end != NULL)
		return;
	if (log->op != NULL)
		log->asks_again = true;
	else
		log->op = store_job_get(log->streams->store, log->job, on_job, log);
}

static struct sse_block *
end_event(const struct job *job)
{
	struct json_writer *w = json_writer_new(65536);
	struct buf text;
	size_t len;
	char *json, *taken;

	json_write_object_open(w);
	json_member_string(w, "id", job->id);
	json_member_string(w, "state", job_state_name(job->state));
	json_member_string(w, "reason", job->reason);
	json_member_int(w, "exit_code", job->exit_code);
	json_member_int(w, "attempt", job->attempt);
	json_write_object_close(w);
	json = json_writer_finish(&w, &len);
	buf_init(&text, 131072);
	buf_addf(&text, "event: end\ndata: %s\n\n", json != NULL ? json : "{}");
	free(json);
	taken = buf_take(&text, &len);
	buf_fini(&text);
	return sse_block_new(taken, len);
}

static bool
is_over(const struct followed *log, const struct job *job)
{
	return job_state_is_final(job->state) || job->attempt > log->id.attempt;
}

static void
on_job(void *arg, struct job *job, const struct err *err)
{
	struct followed *log = arg;
	bool again = log->asks_again;

	(void)err; /* what was missed is said again when the store is up */
	log->op = NULL;
	log->asks_again = false;
	if (job != NULL && is_over(log, job)) {
		log->end = end_event(job);
		serve_all(log);
	}
	job_free(&job);
	if (again)
		ask(log);
}

void
log_streams_job_changed(struct log_streams *streams, const char *job)
{
	struct followed *log;

	LIST_FOREACH(log, &streams->list, link)
	if (job == NULL || strcmp(log->job, job) == 0)
		ask(log);
}

/* --- opening --- */

static struct followed *
find(struct log_streams *streams, const struct log_id *id)
{
	struct followed *log;

	LIST_FOREACH(log, &streams->list, link)
	if (log->id.build == id->build && log->id.job == id->job && log->id.attempt == id->attempt)
		return log;
	return NULL;
}

/* The job is asked for once more, as its end may have been told between the answer and now. */
static struct followed *
followed_new(struct log_streams *streams, const struct job *job, const struct log_id *id)
{
	struct followed *log = xcalloc(1, sizeof(*log));
	struct err err;
	uint64_t size = 0;
	bool finished;

	*log = (struct followed){ .streams = streams, .id = *id };
	snprintf(log->job, sizeof(log->job), "%s", job->id);
	TAILQ_INIT(&log->pieces);
	TAILQ_INIT(&log->followers);
	LIST_INSERT_HEAD(&streams->list, log, link);
	if (is_over(log, job)) {
		log->end = end_event(job);
		return log;
	}
	if (!log_stat(streams->logs, id, &size, &finished, &err))
		size = 0; /* the job has not begun */
	log->growth = log_follow(streams->logs, id, size, on_growth, log);
	ask(log);
	return log;
}

void
log_streams_open(struct log_streams *streams, struct http_reply **reply, const struct job *job, const struct log_id *id,
    uint64_t offset)
{
	struct followed *log;
	struct follower *f = xcalloc(1, sizeof(*f));

	f->sse = sse_open(streams->hub, reply, on_ready, on_gone, f);
	if (f->sse == NULL) {
		free(f);
		return;
	}
	log = find(streams, id);
	if (log == NULL)
		log = followed_new(streams, job, id);
	f->log = log;
	f->place = log_place_at(streams->logs, id, offset);
	TAILQ_INSERT_TAIL(&log->followers, f, link);
	log->count++;
}

struct log_streams *
log_streams_new(struct loop *loop, struct store *store, struct log_store *logs, struct sse_hub *hub)
{
	struct log_streams *streams = xcalloc(1, sizeof(*streams));

	*streams = (struct log_streams){ .loop = loop, .store = store, .logs = logs, .hub = hub };
	return streams;
}

void
log_streams_free(struct log_streams **streams)
{
	struct log_streams *s = *streams;

	if (s == NULL)
		return;
	*streams = NULL;
	assert(LIST_EMPTY(&s->list));
	free(s);
}
