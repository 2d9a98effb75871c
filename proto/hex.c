#include "proto/hex.h"

void
hex_encode(const void *bytes, size_t size, char *ret)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *p = bytes;

	for (size_t i = 0; i < size; i++) {
		*ret++ = digits[p[i] >> 4];
		*ret++ = digits[p[i] & 15];
	}
	*ret = '\0';
}

/* 0 to 15; -1 for anything but a lower-case digit. */
static int
digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool
hex_is_valid(struct str s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (digit_value(s.p[i]) < 0)
			return false;
	}
	return true;
}

bool
hex_decode(struct str hex, void *ret, size_t size)
{
	unsigned char *p = ret;

	if (hex.len != 2 * size || !hex_is_valid(hex))
		return false;
	for (size_t i = 0; i < size; i++)
		p[i] = (unsigned char)(digit_value(hex.p[2 * i]) << 4 | digit_value(hex.p[2 * i + 1]));
	return true;
}
