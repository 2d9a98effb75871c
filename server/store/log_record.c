#include "server/store/log_record.h"

#include <string.h>

enum {
	AT_OFFSET = 0,
	AT_RAW_STDOUT = 8,
	AT_RAW_STDERR = 16,
	AT_WALL = 24,
	AT_LENGTH = 32,
	AT_CRC = 36,
	AT_KIND = 40,
	AT_SEGMENT = 44,
	AT_SEGMENTS = 48,
	AT_EXIT = 52,
	AT_NAME = 56,
	AT_GUARD = 124,
};

_Static_assert(AT_NAME + LOG_NAME_MAX <= AT_GUARD, "the name ends before the guard");

/* CRC-32C of the 16 values of half a byte. */
static const uint32_t crc_table[16] = {
	0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d, //
	0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75, //
};

static uint32_t
crc_by_table(uint32_t crc, const unsigned char *p, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		crc ^= p[i];
		crc = crc >> 4 ^ crc_table[crc & 15];
		crc = crc >> 4 ^ crc_table[crc & 15];
	}
	return crc;
}

#ifdef __x86_64__
/* The processor's own instruction: thirty times faster, and a job's output passes here byte by byte. */
__attribute__((target("sse4.2"))) static uint32_t
crc_by_processor(uint32_t crc, const unsigned char *p, size_t len)
{
	uint64_t wide = crc;
	uint64_t word;

	for (; len >= sizeof(word); p += sizeof(word), len -= sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		wide = __builtin_ia32_crc32di(wide, word);
	}
	return crc_by_table((uint32_t)wide, p, len);
}

static bool
processor_has_crc(void)
{
	return __builtin_cpu_supports("sse4.2");
}
#else
static uint32_t
crc_by_processor(uint32_t crc, const unsigned char *p, size_t len)
{
	return crc_by_table(crc, p, len);
}

static bool
processor_has_crc(void)
{
	return false;
}
#endif

uint32_t
log_crc(uint32_t crc, const void *p, size_t len)
{
	return ~(processor_has_crc() ? crc_by_processor(~crc, p, len) : crc_by_table(~crc, p, len));
}

static void
put(unsigned char *p, uint64_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		p[i] = (unsigned char)(value >> 8 * i);
}

static uint64_t
get(const unsigned char *p, unsigned bytes)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < bytes; i++)
		value |= (uint64_t)p[i] << 8 * i;
	return value;
}

void
log_record_encode(const struct log_record *record, unsigned char *p)
{
	memset(p, 0, LOG_RECORD_SIZE);
	put(p + AT_OFFSET, record->offset, 8);
	put(p + AT_RAW_STDOUT, record->raw[0], 8);
	put(p + AT_RAW_STDERR, record->raw[1], 8);
	put(p + AT_WALL, (uint64_t)record->wall_ms, 8);
	put(p + AT_LENGTH, record->length, 4);
	put(p + AT_CRC, record->crc, 4);
	put(p + AT_KIND, record->kind, 4);
	put(p + AT_SEGMENT, record->segment, 4);
	put(p + AT_SEGMENTS, record->segments, 4);
	put(p + AT_EXIT, (uint32_t)record->exit_code, 4);
	memcpy(p + AT_NAME, record->name, strnlen(record->name, LOG_NAME_MAX));
	put(p + AT_GUARD, log_crc(0, p, AT_GUARD), 4);
}

bool
log_record_decode(const unsigned char *p, struct log_record *ret)
{
	uint64_t kind = get(p + AT_KIND, 4);

	if (get(p + AT_GUARD, 4) != log_crc(0, p, AT_GUARD) || kind < LOG_STDOUT || kind > LOG_FINISH)
		return false;
	*ret = (struct log_record){
		.kind = (enum log_kind)kind,
		.offset = get(p + AT_OFFSET, 8),
		.length = (uint32_t)get(p + AT_LENGTH, 4),
		.crc = (uint32_t)get(p + AT_CRC, 4),
		.segment = (unsigned)get(p + AT_SEGMENT, 4),
		.segments = (unsigned)get(p + AT_SEGMENTS, 4),
		.wall_ms = (int64_t)get(p + AT_WALL, 8),
		.raw = { get(p + AT_RAW_STDOUT, 8), get(p + AT_RAW_STDERR, 8) },
		.exit_code = (int)(int32_t)get(p + AT_EXIT, 4),
	};
	memcpy(ret->name, p + AT_NAME, LOG_NAME_MAX);
	return ret->offset <= INT64_MAX - UINT32_MAX;
}
