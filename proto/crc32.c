#include "proto/crc32.h"

#define POLYNOMIAL 0x82f63b78u /* its bits from the lowest on */

static uint32_t
step(uint32_t crc, unsigned char byte)
{
	crc ^= byte;
	for (int i = 0; i < 8; i++)
		crc = crc & 1 ? crc >> 1 ^ POLYNOMIAL : crc >> 1;
	return crc;
}

uint32_t
crc32c(struct str bytes)
{
	uint32_t crc = ~0u;

	for (size_t i = 0; i < bytes.len; i++)
		crc = step(crc, (unsigned char)bytes.p[i]);
	return ~crc;
}
