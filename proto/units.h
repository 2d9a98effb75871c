/* Durations and sizes as people write them in configuration and pipelines. */
#ifndef DAVIT_PROTO_UNITS_H
#define DAVIT_PROTO_UNITS_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/str.h"

/* 90s, 20m, 1h30m, 2d: one or more numbers, each with its unit (s, m, h, d), larger units first. */
bool units_duration(struct str s, uint64_t max_seconds, uint64_t *ret_seconds);
/* 4096, 64k, 26M, 2g, 1.5g is none: a number and at most one of k, m, g, t in either case, of 1024 each. */
bool units_size(struct str s, uint64_t max_bytes, uint64_t *ret_bytes);

#endif
