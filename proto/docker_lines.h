/* Cuts a reply of unknown length that is one JSON text per line (pull, import, events) into its lines. */
#ifndef DAVIT_PROTO_DOCKER_LINES_H
#define DAVIT_PROTO_DOCKER_LINES_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/buf.h"
#include "proto/str.h"

struct docker_lines {
	struct buf held; /* the beginning of a line whose end has not come */
	bool given;      /* held is what was given last */
};

/* max: bytes of the longest line. */
void docker_lines_init(struct docker_lines *lines, size_t max);
void docker_lines_fini(struct docker_lines *lines);
/* Cuts the next whole line that is not blank off *in; it is good until the next call. False when *in is used up, or a
 * line was longer than max, which docker_lines_failed tells. */
bool docker_lines_next(struct docker_lines *lines, struct str *in, struct str *line);
bool docker_lines_failed(const struct docker_lines *lines);

#endif
