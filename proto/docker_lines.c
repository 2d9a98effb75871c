#include "proto/docker_lines.h"

#include <string.h>

void
docker_lines_init(struct docker_lines *lines, size_t max)
{
	buf_init(&lines->held, max);
	lines->given = false;
}

void
docker_lines_fini(struct docker_lines *lines)
{
	buf_fini(&lines->held);
}

/* The engine ends lines with CR LF or LF. */
static struct str
without_cr(struct str line)
{
	if (line.len > 0 && line.p[line.len - 1] == '\r')
		line.len--;
	return str_trim(line);
}

/* The next line, blank or not. */
static bool
cut(struct docker_lines *lines, struct str *in, struct str *line)
{
	if (lines->given)
		buf_reset(&lines->held);
	lines->given = false;
	if (in->len == 0 || buf_failed(&lines->held))
		return false;
	if (memchr(in->p, '\n', in->len) == NULL) {
		buf_addstr(&lines->held, *in);
		*in = (struct str){ in->p + in->len, 0 };
		return false;
	}
	*line = str_cut(in, '\n');
	if (lines->held.len == 0 && line->len <= lines->held.max)
		return true;
	buf_addstr(&lines->held, *line);
	*line = buf_str(&lines->held);
	lines->given = !buf_failed(&lines->held);
	return lines->given;
}

bool
docker_lines_next(struct docker_lines *lines, struct str *in, struct str *line)
{
	while (cut(lines, in, line)) {
		*line = without_cr(*line);
		if (line->len > 0)
			return true;
	}
	return false;
}

bool
docker_lines_failed(const struct docker_lines *lines)
{
	return buf_failed(&lines->held);
}
