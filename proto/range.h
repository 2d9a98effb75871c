/* Range and Content-Range (RFC 9110 section 14), of one range of bytes. */
#ifndef DAVIT_PROTO_RANGE_H
#define DAVIT_PROTO_RANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/str.h"

/* bytes=A-B, bytes=A-, bytes=-N; anything else is as if it were not there. 1: one, from *start to before *end; 0: none;
 * -1: it is not in size bytes. */
int range_parse(struct str text, uint64_t size, uint64_t *start, uint64_t *end);

/* A reply's Content-Range: "bytes A-B/SIZE", from *start to before *end. False for any other, also of unknown size. */
bool range_parse_content(struct str text, uint64_t *start, uint64_t *end, uint64_t *size);

#endif
