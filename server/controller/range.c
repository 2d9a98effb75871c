#include "server/controller/range.h"

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
