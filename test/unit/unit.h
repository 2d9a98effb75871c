/* What every cmocka program includes, in the order that cmocka wants. */
#ifndef DAVIT_TEST_UNIT_H
#define DAVIT_TEST_UNIT_H

/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
/* clang-format on */

#endif
