/* The chunked transfer coding (RFC 9112 section 7.1), decoded as the bytes come. Sizes that overflow, bare CR or LF,
 * and control bytes are refused. Extensions are skipped and trailers dropped, both only up to a bound. */
#ifndef DAVIT_PROTO_CHUNKED_H
#define DAVIT_PROTO_CHUNKED_H

#include <stddef.h>
#include <stdint.h>

#include "proto/str.h"

#define CHUNKED_EXTENSIONS_MAX 4096 /* bytes of all chunk extensions of one body */
#define CHUNKED_TRAILERS_MAX 8192   /* bytes of all trailer lines */
#define CHUNKED_SIZE_LINE 19        /* the longest size line: 16 digits, CR, LF, NUL */

enum chunked_verdict {
	CHUNKED_NEED_MORE, /* all of *in was taken */
	CHUNKED_DATA,      /* *ret is the next run of body bytes, cut from the front of *in; call again */
	CHUNKED_DONE,      /* the body is whole; *in is what follows it */
	CHUNKED_REFUSED,   /* the bytes are not a chunked body; chunked_why() */
};

/* All zero is the beginning of a body. */
struct chunked {
	int state;
	uint64_t left; /* of the chunk at hand */
	unsigned digits;
	size_t extensions;
	size_t trailers;
	const char *why;
};

/* After CHUNKED_DONE or CHUNKED_REFUSED it says the same again and takes nothing. */
enum chunked_verdict chunked_next(struct chunked *c, struct str *in, struct str *ret);
const char *chunked_why(const struct chunked *c);

/* The line in front of a chunk of len bytes (len > 0); behind the bytes comes CRLF, behind the last chunk CHUNKED_END.
 * Returns the line's length. */
size_t chunked_print_size(char ret[CHUNKED_SIZE_LINE], size_t len);
#define CHUNKED_END "0\r\n\r\n"

#endif
