#include "test/component/store_suite.h"

#include "test/unit/unit.h"

#include <unistd.h>

struct redis_fixture server;
struct store_fixture f;

int
suite_start(void **state)
{
	(void)state;
	alarm(120); /* a test that waits for ever is a failure */
	redis_fixture_start(&server, NULL);
	return 0;
}

int
suite_stop(void **state)
{
	(void)state;
	redis_fixture_stop(&server);
	return 0;
}

int
suite_setup(void **state)
{
	(void)state;
	redis_fixture_ask(&server, "FLUSHALL");
	store_fixture_start(&f, &server, "n1");
	assert_int_equal(put_repo(&f, "app", 0, false), ERR_NONE);
	return 0;
}

int
suite_teardown(void **state)
{
	(void)state;
	store_fixture_stop(&f);
	return 0;
}

void
assert_build(int64_t build, const char *state)
{
	assert_string_equal(redis_fixture_text(&server, "HGET davit:build:%lld state", (long long)build), state);
}

void
assert_job(const char *job, const char *state)
{
	assert_string_equal(redis_fixture_text(&server, "HGET davit:job:%s state", job), state);
}

struct job *
claim(const char *id)
{
	assert_int_equal(job_claim(&f), ERR_NONE);
	assert_non_null(f.got.job);
	assert_string_equal(f.got.job->id, id);
	return take_job(&f);
}

void
expire(const char *id)
{
	redis_fixture_ask(&server, "ZADD davit:running XX 1 %s", id);
}

const char *
claim_order(size_t count)
{
	static char order[512];

	order[0] = '\0';
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(job_claim(&f), ERR_NONE);
		if (f.got.job != NULL)
			strcat(strcat(order, f.got.job->id), " ");
	}
	return order;
}
