#include "proto/utf8.h"

#include <string.h>

/* How many bytes the lead byte announces; 0: it is none. */
static size_t
announced(unsigned char lead)
{
	if (lead < 0x80)
		return 1;
	if (lead < 0xc2)
		return 0; /* a continuation byte, or the lead of an overlong pair */
	if (lead < 0xe0)
		return 2;
	if (lead < 0xf0)
		return 3;
	return lead < 0xf5 ? 4 : 0;
}

uint32_t
utf8_decode(struct str s, size_t *len)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char *p = (const unsigned char *)s.p;
	size_t want = announced(p[0]);
	uint32_t c;

	*len = 1;
	if (want == 1)
		return p[0];
	if (want == 0 || want > s.len)
		return UTF8_BAD;
	c = p[0] & (0x7fu >> want);
	for (size_t i = 1; i < want; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return UTF8_BAD;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least[want] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return UTF8_BAD;
	*len = want;
	return c;
}

bool
utf8_valid(struct str s, size_t *bad)
{
	size_t len;

	for (size_t at = 0; at < s.len; at += len) {
		if (utf8_decode((struct str){ s.p + at, s.len - at }, &len) == UTF8_BAD) {
			if (bad != NULL)
				*bad = at;
			return false;
		}
	}
	return true;
}

uint32_t
utf8_take(const char **s)
{
	size_t len;
	uint32_t c = utf8_decode((struct str){ *s, strnlen(*s, 4) }, &len);

	if (c == UTF8_BAD)
		c = 0x110000 + (unsigned char)**s;
	*s += len;
	return c;
}
