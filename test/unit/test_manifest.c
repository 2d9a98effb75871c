#include "test/unit/unit.h"

#include <string.h>

#include "proto/buf.h"
#include "proto/manifest.h"

#define ONE "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define TWO "sha256:00b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define INDEX                                                                                                   \
	"{\"manifests\":[{\"digest\":\"" ONE "\",\"platform\":{\"os\":\"linux\",\"architecture\":\"amd64\"}},"  \
	"{\"digest\":\"" TWO "\",\"platform\":{\"os\":\"linux\",\"architecture\":\"arm\",\"variant\":\"v7\"}}," \
	"{\"digest\":\"../../x\"}]}"

static void
on_part(void *arg, bool is_manifest, const char *digest)
{
	buf_addf(arg, "%s %.10s\n", is_manifest ? "manifest" : "blob", digest);
}

static void
test_manifests(void **state)
{
	static const struct {
		const char *text, *platform, *parts;
		enum err_code code;
	} cases[] = {
		{ INDEX, "linux/amd64", "manifest sha256:e3b\n", ERR_NONE },
		{ INDEX, "linux/arm", "manifest sha256:00b\n", ERR_NONE },
		{ INDEX, "linux/arm/v7", "manifest sha256:00b\n", ERR_NONE },
		{ INDEX, "linux/arm/v6", "", ERR_NOT_FOUND },
		{ INDEX, NULL, "manifest sha256:e3b\nmanifest sha256:00b\n", ERR_NONE },
		{ "{\"config\":{\"digest\":\"" ONE "\"},\"layers\":[{\"digest\":\"" TWO "\"},{\"digest\":\"" ONE
		  "\",\"urls\":[\"https://a/\"]}]}",
		    "linux/amd64", "blob sha256:e3b\nblob sha256:00b\n", ERR_NONE },
		{ "{\"fsLayers\":[]}", NULL, "", ERR_PROTO },
		{ "<html>", NULL, "", ERR_INPUT },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf parts;
		struct err err = { 0 };

		buf_init(&parts, 1000);
		if (manifest_read(str_of(cases[i].text), &cases[i].platform, cases[i].platform != NULL ? 1 : 0, on_part,
			&parts, &err) != (cases[i].code == ERR_NONE) ||
		    err.code != cases[i].code || !str_is(buf_str(&parts), cases[i].parts))
			fail_msg("%s: %s: %s", cases[i].text, parts.data, err.text);
		buf_fini(&parts);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_manifests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
