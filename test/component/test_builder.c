/* The builder on a real engine: DAVIT_TEST_DOCKER is its URL, and BENCH_IMAGE is there. */
#include "test/component/builder_bench.h"
#include "test/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

static const char *url;

#define COMMANDS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void
test_pass(void **state)
{
	struct bench b;
	struct bench_job j;

	(void)state;
	bench_open(&b, url, NULL);
	bench_wait_up(&b);
	bench_run(&j, &b, BENCH_IMAGE, COMMANDS("echo hello", "echo oops >&2"));
	fprintf(stderr, "[%s] [%s] [%s] [%s] %d %s digest %s started %ld output %ld done %ld\n", j.out.data, j.err.data,
	    j.notices.data, j.segments.data, j.result.state, j.result.reason, j.result.image_digest,
	    (long)(j.started_us - j.began_us), (long)(j.output_us - j.began_us), (long)(j.done_us - j.began_us));
	bench_job_fini(&j);
	bench_close(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pass),
	};

	url = getenv("DAVIT_TEST_DOCKER");
	if (url == NULL)
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
