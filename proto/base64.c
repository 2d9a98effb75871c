#include "proto/base64.h"

#include <stdint.h>
#include <string.h>

static const char standard[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void
base64_encode(struct str bytes, enum base64_form form, struct buf *out)
{
	const char *alphabet = form == BASE64_URL ? url : standard;
	const unsigned char *p = (const unsigned char *)bytes.p;

	for (size_t at = 0; at < bytes.len; at += 3) {
		size_t have = bytes.len - at < 3 ? bytes.len - at : 3;
		uint32_t group = (uint32_t)p[at] << 16;
		char four[4];

		if (have > 1)
			group |= (uint32_t)p[at + 1] << 8;
		if (have > 2)
			group |= p[at + 2];
		for (size_t i = 0; i < 4; i++)
			four[i] = i <= have ? alphabet[group >> (18 - 6 * i) & 63] : '=';
		buf_add(out, four, form == BASE64_URL ? have + 1 : 4);
	}
}

/* -1 for a character that is not in the alphabet. */
static int
letter_value(char c, enum base64_form form)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == (form == BASE64_URL ? '-' : '+'))
		return 62;
	return c == (form == BASE64_URL ? '_' : '/') ? 63 : -1;
}

/* Without the padding, when there is exactly what belongs there. */
static bool
cut_padding(struct str *text)
{
	if (text->len % 4 != 0)
		return false;
	for (int i = 0; i < 2 && text->len > 0 && text->p[text->len - 1] == '='; i++)
		text->len--;
	return true;
}

bool
base64_decode(struct str text, enum base64_form form, struct buf *out)
{
	uint32_t bits = 0;
	unsigned count = 0; /* of bits not yet given out */

	if ((form == BASE64_STANDARD && !cut_padding(&text)) || text.len % 4 == 1)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		int value = letter_value(text.p[i], form);

		if (value < 0)
			return false;
		bits = bits << 6 | (uint32_t)value;
		count += 6;
		if (count >= 8) {
			count -= 8;
			if (!buf_addc(out, (char)(bits >> count)))
				return false;
			bits &= (1u << count) - 1;
		}
	}
	return bits == 0;
}
