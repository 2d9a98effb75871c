/* A job's log as server-sent events. A place in the log is an offset of bytes and a number of index records; from each
 * place on the same events follow, so that they can be made once for all followers that are there.
 *
 *   event: log      id: offset behind the text   data: JSON string, invalid UTF-8 as U+FFFD
 *   event: segment  id: its offset               data: {"name", "offset", "exit_code" (null: it begins), "time_ms"}
 */
#ifndef DAVIT_CONTROLLER_LOG_FORMAT_H
#define DAVIT_CONTROLLER_LOG_FORMAT_H

#include "server/controller/sse.h"
#include "server/store/log_store.h"

struct log_place {
	uint64_t offset;
	uint64_t record;
};

/* The place of offset: records that stand there come (again). */
struct log_place log_place_at(struct log_store *logs, const struct log_id *id, uint64_t offset);
/* The next events, of at most LOG_READ_MAX bytes of log, and in *place what follows them. NULL: there are none yet.
 * A character of which the end is missing is kept back unless the log is complete. */
struct sse_block *log_format(
    struct log_store *logs, const struct log_id *id, struct log_place *place, bool is_complete);

#endif
