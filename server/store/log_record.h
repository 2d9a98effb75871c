/* The index of a log: records of 128 bytes, little-endian, each guarded by a CRC-32C (RFC 3720, appendix B.4);
 * doc/log-format.md has the layout. Pure: bytes in, values out. */
#ifndef DAVIT_STORE_LOG_RECORD_H
#define DAVIT_STORE_LOG_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/store/log_store.h"

enum { LOG_RECORD_SIZE = 128 };

/* crc is that of the bytes before p; 0 at the beginning. */
uint32_t log_crc(uint32_t crc, const void *p, size_t len);
/* p has LOG_RECORD_SIZE bytes. */
void log_record_encode(const struct log_record *record, unsigned char *p);
/* false when the guard does not match, or the values make no sense. */
bool log_record_decode(const unsigned char *p, struct log_record *ret);

#endif
