/* The lines of a reply are the same, whole and byte by byte. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/buf.h"
#include "proto/docker_lines.h"

static void
must(bool ok)
{
	if (!ok)
		abort();
}

static void
feed_lines(struct docker_lines *lines, struct str in, struct buf *out)
{
	struct str line;

	while (docker_lines_next(lines, &in, &line)) {
		must(line.len > 0 && memchr(line.p, '\n', line.len) == NULL);
		buf_addstr(out, line);
		buf_addc(out, '\n');
	}
	must(in.len == 0 || docker_lines_failed(lines));
}

static void
check_lines(struct str in)
{
	struct docker_lines one, two;
	struct buf whole, bytes;

	docker_lines_init(&one, 64);
	docker_lines_init(&two, 64);
	buf_init(&whole, 1 << 20);
	buf_init(&bytes, 1 << 20);
	feed_lines(&one, in, &whole);
	for (size_t i = 0; i < in.len; i++)
		feed_lines(&two, (struct str){ in.p + i, 1 }, &bytes);
	must(str_eq(buf_str(&whole), buf_str(&bytes)));
	must(docker_lines_failed(&one) == docker_lines_failed(&two));
	buf_fini(&whole);
	buf_fini(&bytes);
	docker_lines_fini(&one);
	docker_lines_fini(&two);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = { (const char *)data, size };

	if (size > 100000)
		return 0;
	check_lines(in);
	return 0;
}
