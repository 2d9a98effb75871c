/* The header Range (RFC 9110 section 14), of one range of bytes. */
#ifndef DAVIT_CONTROLLER_RANGE_H
#define DAVIT_CONTROLLER_RANGE_H

#include <stdint.h>

#include "proto/str.h"

/* bytes=A-B, bytes=A-, bytes=-N; anything else is as if it were not there. 1: one, from *start to before *end; 0: none;
 * -1: it is not in size bytes. */
int range_parse(struct str text, uint64_t size, uint64_t *start, uint64_t *end);

#endif
