/* Dates of HTTP (RFC 9110 section 5.6.7), read in all three forms that a recipient must accept: "Sun, 06 Nov 1994
 * 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994". http1_date() writes the first. */
#ifndef DAVIT_PROTO_HTTP_DATE_H
#define DAVIT_PROTO_HTTP_DATE_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/str.h"

/* Seconds since 1970. The day's name is not compared with the date. A year of two digits is within the hundred that end
 * in fifty years from now (seconds since 1970). False for any other text. */
bool http_date_parse(struct str text, int64_t now, int64_t *ret);

#endif
