/* Credentials out of a docker config.json. */
#include "test/unit/unit.h"

#include <stdlib.h>

#include "proto/base64.h"
#include "proto/mem.h"
#include "proto/registry_login.h"

static void
expect(const char *config, const char *image, const char *expected)
{
	struct env env = { .count = 0 };
	struct buf json;
	char *login;

	if (config != NULL)
		env_add(&env, "DOCKER_AUTH_CONFIG", config);
	login = registry_login(&env, image);
	env_fini(&env);
	if (expected == NULL) {
		assert_null(login);
		return;
	}
	assert_non_null(login);
	assert_int_equal(strlen(login) % 4, 0); /* so it needs no padding */
	buf_init(&json, 4096);
	assert_true(base64_decode(str_of(login), BASE64_URL, &json));
	while (json.len > 0 && json.data[json.len - 1] == ' ')
		json.data[--json.len] = '\0';
	assert_string_equal(json.data, expected);
	buf_fini(&json);
	free(login);
}

static void
expect_basic(const char *config, const char *image, const char *expected)
{
	struct env env = { .count = 0 };
	char *login;

	env_add(&env, "DOCKER_AUTH_CONFIG", config);
	login = registry_login_basic(&env, image);
	env_fini(&env);
	if (expected == NULL)
		assert_null(login);
	else
		assert_string_equal(login, expected);
	free(login);
}

static void
test_logins(void **state)
{
	static const char config[] = "{\"auths\":{\"https://index.docker.io/v1/\":{\"auth\":\"YWRhOnA6dw==\"},"
				     "\"registry.example:5000\":{\"username\":\"bob\",\"password\":\"s\"},"
				     "\"broken.example\":{\"auth\":\"YWRh\"},\"none.example\":{}}}";

	(void)state;
	expect(config, "docker.io/library/app:1",
	    "{\"username\":\"ada\",\"password\":\"p:w\",\"serveraddress\":\"docker.io\"}");
	expect(config, "registry.example:5000/app:1",
	    "{\"username\":\"bob\",\"password\":\"s\",\"serveraddress\":\"registry.example:5000\"}");
	expect(config, "other.example/app:1", NULL);
	expect(config, "broken.example/app:1", NULL);
	expect(config, "none.example/app:1", NULL);
	expect("{", "docker.io/library/app:1", NULL);
	expect("[]", "docker.io/library/app:1", NULL);
	expect(NULL, "docker.io/library/app:1", NULL);
	assert_null(registry_login(NULL, "docker.io/library/app:1"));
	expect_basic(config, "docker.io/library/app:1", "Basic YWRhOnA6dw==");
	expect_basic(config, "registry.example:5000/app:1", "Basic Ym9iOnM=");
	expect_basic(config, "other.example/app:1", NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_logins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
