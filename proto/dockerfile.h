/* A Dockerfile, as far as its build is asked for and told about (docs.docker.com/reference/dockerfile): which
 * instruction begins on which line, and what of it only BuildKit understands. Whether it is right is said by who builds
 * it. */
#ifndef DAVIT_PROTO_DOCKERFILE_H
#define DAVIT_PROTO_DOCKERFILE_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/err.h"
#include "proto/str.h"

enum { DOCKERFILE_MAX_BYTES = 1024 * 1024 };

struct dockerfile_step {
	unsigned line;
	char *text; /* "RUN make all": one line, without continuations and comments */
};

struct dockerfile {
	struct dockerfile_step *steps;
	size_t step_count;
	char *wants;         /* what of it wants BuildKit: "RUN --mount", "# syntax="; NULL: nothing */
	unsigned wants_line; /* where that is */
	bool takes_epoch;    /* it has ARG SOURCE_DATE_EPOCH */
};

/* ERR_LIMIT. End it with dockerfile_fini. */
bool dockerfile_parse(struct str text, struct dockerfile *ret, struct err *err);
void dockerfile_fini(struct dockerfile *dockerfile);

/* The line of what an engine says, 0 when that is not known: of the n-th step (from 1), as the classic builder counts
 * them; of
 * "> [2/3] RUN make all:", as BuildKit names the one that failed; of "parse error line 2: ...", of which *rest then
 * begins behind the line. */
unsigned dockerfile_line_of_step(const struct dockerfile *dockerfile, size_t n);
unsigned dockerfile_line_of_vertex(const struct dockerfile *dockerfile, struct str name);
unsigned dockerfile_line_of_error(struct str text, struct str *rest);

#endif
