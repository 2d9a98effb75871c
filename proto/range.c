#include "proto/range.h"

#include <string.h>

int
range_parse(struct str text, uint64_t size, uint64_t *start, uint64_t *end)
{
	struct str rest = text, first, unit = str_cut(&rest, '=');
	uint64_t a = 0, b = UINT64_MAX;

	if (!str_is(unit, "bytes") || memchr(rest.p, '-', rest.len) == NULL || memchr(rest.p, ',', rest.len) != NULL)
		return 0;
	first = str_cut(&rest, '-');
	if ((first.len > 0 && !str_to_u64(first, INT64_MAX, &a)) ||
	    (rest.len > 0 && !str_to_u64(rest, INT64_MAX, &b)) || (first.len == 0 && rest.len == 0) || a > b)
		return 0;
	if (first.len == 0) { /* the last b bytes */
		*start = b < size ? size - b : 0;
		*end = size;
		return b > 0 && size > 0 ? 1 : -1;
	}
	*start = a;
	*end = b < size ? b + 1 : size;
	return a < size ? 1 : -1;
}

bool
range_parse_content(struct str text, uint64_t *start, uint64_t *end, uint64_t *size)
{
	struct str unit = str_cut(&text, ' '), range = str_cut(&text, '/'), first = str_cut(&range, '-');
	uint64_t last;

	if (!str_is_nocase(unit, "bytes") || !str_to_u64(first, INT64_MAX, start) ||
	    !str_to_u64(range, INT64_MAX, &last) || !str_to_u64(text, INT64_MAX, size) || *start > last ||
	    last >= *size)
		return false;
	*end = last + 1;
	return true;
}
