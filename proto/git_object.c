#include "proto/git_object.h"

#include <string.h>

#define COMMITTER "committer "
#define TIME_MAX 253402300799 /* the year 9999 */

/* "NAME <EMAIL> TIME ZONE": a name may have anything in it but '<' and '>'. */
static int64_t
read_time(struct str line)
{
	struct str rest = line;
	uint64_t seconds;

	str_cut(&rest, '>');
	rest = str_trim(rest);
	return str_to_u64(str_cut(&rest, ' '), TIME_MAX, &seconds) ? (int64_t)seconds * 1000 : 0;
}

int64_t
git_object_time_ms(struct str commit)
{
	while (commit.len > 0) {
		struct str line = str_cut(&commit, '\n');

		if (line.len == 0)
			break;
		if (str_has_prefix(line, COMMITTER))
			return read_time(line);
	}
	return 0;
}
