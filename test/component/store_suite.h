/* What the tests of the store share: one Redis for all tests of a program, and in it for each test nothing but the
 * repository "app" (no limit, no statuses), seen by the store of node "n1". */
#ifndef DAVIT_TEST_STORE_SUITE_H
#define DAVIT_TEST_STORE_SUITE_H

#include "test/component/store_fixture.h"

#define BODY_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define BODY_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

extern struct redis_fixture server;
extern struct store_fixture f;

int suite_start(void **state);
int suite_stop(void **state);
int suite_setup(void **state);
int suite_teardown(void **state);

#define SUITE_TEST(name) cmocka_unit_test_setup_teardown(name, suite_setup, suite_teardown)

/* The state of a build or job as any client of Redis sees it. */
void assert_build(int64_t build, const char *state);
void assert_job(const char *job, const char *state);
/* Claims the next job, which must be this one. */
struct job *claim(const char *id);
/* The claims of the next count jobs, as "1.1 2.1 "; fewer when there are no more. */
const char *claim_order(size_t count);
/* The lease of a job or of a planning runs out. */
void expire(const char *id);

#endif
