/* How people read on a terminal what failed tests said. */
#ifndef DAVIT_CLI_TEST_LINES_H
#define DAVIT_CLI_TEST_LINES_H

#include <stdbool.h>

#include "proto/buf.h"

/* At most TEST_LINES_MAX bytes for each test of a report (proto/report.h). */
enum { TEST_LINES_MAX = 8 * 1024 };

/* Its name, and its message line by line. is_error: it broke, rather than failed. */
void test_lines_add(bool is_error, const char *name, const char *message, struct buf *ret);

#endif
