#include "proto/crc32.h"

#include <stdbool.h>
#include <string.h>

/* Of the 16 values of four bits; the polynomial is 0x82f63b78, its bits from the lowest on. */
static const uint32_t table[16] = { 0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362,
	0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75 };

static uint32_t
update(uint32_t crc, struct str bytes)
{
	for (size_t i = 0; i < bytes.len; i++) {
		crc ^= (unsigned char)bytes.p[i];
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	return crc;
}

#ifdef __x86_64__

/* The processor has an instruction for it. */
__attribute__((target("sse4.2"))) static uint32_t
update_fast(uint32_t crc, struct str bytes)
{
	uint64_t word, all = crc;

	for (; bytes.len >= sizeof(word); bytes = (struct str){ bytes.p + sizeof(word), bytes.len - sizeof(word) }) {
		memcpy(&word, bytes.p, sizeof(word));
		all = __builtin_ia32_crc32di(all, word);
	}
	return update((uint32_t)all, bytes);
}

static bool
has_fast(void)
{
	return __builtin_cpu_supports("sse4.2");
}

#else

static uint32_t
update_fast(uint32_t crc, struct str bytes)
{
	return update(crc, bytes);
}

static bool
has_fast(void)
{
	return false;
}

#endif

uint32_t
crc32c(struct str bytes)
{
	return ~(has_fast() ? update_fast(~0u, bytes) : update(~0u, bytes));
}
