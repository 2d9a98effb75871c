#include "cli/test_lines.h"

#include <string.h>

void
test_lines_add(bool is_error, const char *name, const char *message, struct buf *ret)
{
	buf_addf(ret, "  %s %s\n", is_error ? "ERROR" : "FAILED", name);
	while (*message != '\0') {
		size_t len = strcspn(message, "\n");

		buf_addf(ret, "    %.*s\n", (int)len, message);
		message += len + (message[len] == '\n');
	}
}
