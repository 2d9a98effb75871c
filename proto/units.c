#include "proto/units.h"

#include <ctype.h>

/* Cuts the digits off the start of *s. */
static bool
cut_number(struct str *s, uint64_t max, uint64_t *ret_number)
{
	size_t len = 0;

	while (len < s->len && isdigit((unsigned char)s->p[len]))
		len++;
	if (!str_to_u64((struct str){ s->p, len }, max, ret_number))
		return false;
	s->p += len;
	s->len -= len;
	return true;
}

bool
units_duration(struct str s, uint64_t max_seconds, uint64_t *ret_seconds)
{
	static const struct {
		char unit;
		uint64_t seconds;
	} units[] = { { 'd', 86400 }, { 'h', 3600 }, { 'm', 60 }, { 's', 1 } };
	size_t unit = 0;
	uint64_t sum = 0, n;

	if (s.len == 0)
		return false;
	while (s.len > 0) {
		if (!cut_number(&s, max_seconds, &n) || s.len == 0)
			return false;
		while (unit < sizeof(units) / sizeof(units[0]) && units[unit].unit != s.p[0])
			unit++;
		if (unit == sizeof(units) / sizeof(units[0]) || n > (max_seconds - sum) / units[unit].seconds)
			return false;
		sum += n * units[unit++].seconds;
		s.p++;
		s.len--;
	}
	*ret_seconds = sum;
	return true;
}

bool
units_size(struct str s, uint64_t max_bytes, uint64_t *ret_bytes)
{
	unsigned shift = 0;
	uint64_t n;

	if (!cut_number(&s, max_bytes, &n) || s.len > 1)
		return false;
	if (s.len == 1) {
		switch (tolower((unsigned char)s.p[0])) {
		case 'k':
			shift = 10;
			break;
		case 'm':
			shift = 20;
			break;
		case 'g':
			shift = 30;
			break;
		case 't':
			shift = 40;
			break;
		default:
			return false;
		}
	}
	if (n > max_bytes >> shift)
		return false;
	*ret_bytes = n << shift;
	return true;
}
