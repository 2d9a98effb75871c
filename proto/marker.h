/* Markers: what a job's script prints around its segments, and how they are taken out of the output again. A marker is
 * 0x1e NONCE " begin " NAME "\n" or 0x1e NONCE " end " NAME " " EXIT "\n", NONCE being 32 lower-case hex digits that
 * the job's commands cannot guess. It may begin anywhere, as a command's last line may lack its newline. The scanner
 * works on a stream cut at any byte; bytes that only look like a marker pass unchanged. */
#ifndef DAVIT_PROTO_MARKER_H
#define DAVIT_PROTO_MARKER_H

#include <stdint.h>

#include "proto/buf.h"
#include "proto/str.h"

enum { MARKER_NONCE_LEN = 32, MARKER_NAME_MAX = 64 };
/* The longest marker: what a scanner may hold back. */
#define MARKER_MAX (1 + MARKER_NONCE_LEN + sizeof(" begin ") - 1 + MARKER_NAME_MAX + sizeof(" 255\n") - 1)

/* Names that no segment has; see script.h. */
#define MARKER_JOB ".job"
#define MARKER_HOLD ".hold"

enum marker_kind { MARKER_BEGIN, MARKER_END };

struct marker_event {
	enum marker_kind kind;
	char name[MARKER_NAME_MAX + 1]; /* [A-Za-z0-9_.-]+ */
	unsigned exit_code;             /* of MARKER_END: 0..255 */
	uint64_t offset;                /* how many bytes of output stand before it, from the stream's beginning */
	size_t length;                  /* of the marker itself */
};

typedef void marker_fn(void *arg, const struct marker_event *event);

struct marker {
	char nonce[MARKER_NONCE_LEN + 1];
	marker_fn *fn;
	void *arg;
	uint64_t offset; /* bytes given out so far */
	size_t held_len;
	char held[MARKER_MAX]; /* what may still become a marker */
};

/* fn is called from within marker_feed, for each marker, when all output before it is in out. */
void marker_init(struct marker *m, const char *nonce, marker_fn *fn, void *arg);
/* Appends in without its markers to out, which needs room for in.len + MARKER_MAX bytes more. */
void marker_feed(struct marker *m, struct str in, struct buf *out);
/* At the end of the stream: appends what was held back. */
void marker_finish(struct marker *m, struct buf *out);

#endif
