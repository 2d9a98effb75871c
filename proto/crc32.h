/* CRC-32C (Castagnoli), as RFC 3720 appendix B.4 defines it: against torn and rotten records, not against people. */
#ifndef DAVIT_PROTO_CRC32_H
#define DAVIT_PROTO_CRC32_H

#include <stdint.h>

#include "proto/str.h"

uint32_t crc32c(struct str bytes);

#endif
