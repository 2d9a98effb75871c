/* Live logs: the followers of jobs' logs. A follower is a place in its log; what comes next is made once for all who
 * are at the same place, from the log's file, and kept for a while. So a slow follower costs nothing and loses nothing:
 * it goes on where it was when its connection has room.
 *
 * The stream ends with "event: end" and the job's state in JSON when the job has its final state, or another attempt.
 */
#ifndef DAVIT_CONTROLLER_LOG_STREAM_H
#define DAVIT_CONTROLLER_LOG_STREAM_H

#include "server/controller/sse.h"
#include "server/store/log_store.h"
#include "server/store/records.h"

struct log_streams;
struct loop;
struct store;

struct log_streams *log_streams_new(
    struct loop *loop, struct store *store, struct log_store *logs, struct sse_hub *hub);
/* All streams must have ended (sse_hub_end_all). Accepts NULL. */
void log_streams_free(struct log_streams **streams);
/* Answers with the log of that attempt of the job from offset on. */
void log_streams_open(struct log_streams *streams, struct http_reply **reply, const struct job *job,
    const struct log_id *id, uint64_t offset);
/* "job 17.2 passed": its state may be final. NULL: anything may have been missed. */
void log_streams_job_changed(struct log_streams *streams, const char *job);

#endif
