/* The engine's multiplexed stream (attach, logs and exec without a terminal): frames of one byte of stream number,
 * three zero bytes, a big-endian 32-bit length, and that many bytes (docs.docker.com/engine/api, "Stream format").
 * Incremental: the input may be cut anywhere, a frame may have any length, nothing is kept but a half header. */
#ifndef DAVIT_PROTO_DOCKER_FRAMES_H
#define DAVIT_PROTO_DOCKER_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/str.h"

enum docker_stream {
	DOCKER_STDIN = 0, /* echoed by some engines; it counts as output */
	DOCKER_STDOUT = 1,
	DOCKER_STDERR = 2,
	DOCKER_ENGINE_ERROR = 3, /* the engine's own words on why the stream ends */
};

/* All zero at the start of a stream. */
struct docker_frames {
	unsigned char head[8];
	size_t head_len;
	enum docker_stream stream;
	uint32_t left; /* bytes of the frame that are still to come */
};

enum docker_frames_next {
	DOCKER_FRAMES_MORE,  /* *in is used up */
	DOCKER_FRAMES_PIECE, /* *piece is of *stream; it points into what *in was */
	DOCKER_FRAMES_BAD,   /* no frame begins like this: the stream is lost */
};

/* Cuts the next piece (never empty) off *in. */
enum docker_frames_next docker_frames_next(
    struct docker_frames *f, struct str *in, enum docker_stream *stream, struct str *piece);
/* Whether the stream may end here; otherwise something was cut off. */
bool docker_frames_at_boundary(const struct docker_frames *f);

#endif
