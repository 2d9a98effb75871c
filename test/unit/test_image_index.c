#include "test/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/crypto.h"
#include "proto/image_index.h"

#define DOCKER(x)                                                                                      \
	"{\"schemaVersion\":2,\"mediaType\":\"application/vnd.docker.distribution.manifest.v2+json\"," \
	"\"config\":{},\"layers\":[" x "]}"
#define OCI "{\"schemaVersion\":2,\"config\":{},\"layers\":[]}"
#define ONE "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define ATTESTED                                                                                             \
	"{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.index.v1+json\",\"manifests\":["     \
	"{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"" ONE "\",\"size\":480," \
	"\"platform\":{\"os\":\"unknown\",\"architecture\":\"unknown\"}},"                                   \
	"{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"" ONE "\",\"size\":481," \
	"\"platform\":{\"os\":\"linux\",\"architecture\":\"arm64\",\"variant\":\"v8\"}}]}"

static struct platform
platform(const char *text)
{
	struct platform ret;

	assert_true(platform_parse(str_of(text), &ret, NULL));
	return ret;
}

static void
add(struct image_index *index, const char *of, const char *manifest)
{
	struct platform wanted = platform(of);
	struct err err = { 0 };

	if (!image_index_add(index, &wanted, str_of(manifest), &err))
		fail_msg("%s: %s", of, err.text);
}

static void
test_of_dockers_kind(void **state)
{
	struct strings labels = { 0 };
	struct image_index_document document;
	struct image_index index = { .count = 0 };
	char hex[SHA256_HEX_SIZE], wanted[1000];

	(void)state;
	add(&index, "linux/amd64", DOCKER(""));
	add(&index, "linux/arm/v7", DOCKER("1"));
	strings_add(&labels, STR("a=b"));
	image_index_print(&index, &labels, &document);
	assert_string_equal(document.media_type, "application/vnd.docker.distribution.manifest.list.v2+json");
	sha256_hex(STR(DOCKER("1")), hex);
	snprintf(wanted, sizeof(wanted),
	    "{\"mediaType\":\"application/vnd.docker.distribution.manifest.v2+json\",\"size\":%zu,\"digest\":"
	    "\"sha256:%s\",\"platform\":{\"architecture\":\"arm\",\"os\":\"linux\",\"variant\":\"v7\"}}]}",
	    strlen(DOCKER("1")), hex);
	assert_string_equal(document.text + document.len - strlen(wanted), wanted);
	assert_true(str_has_prefix(str_of(document.text), "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.docker.d"));
	sha256_hex((struct str){ document.text, document.len }, hex);
	assert_string_equal(document.digest + strlen("sha256:"), hex);
	free(document.text);
	strings_fini(&labels);
}

/* One that is OCI's makes the list OCI's; what BuildKit attests is left out. */
static void
test_of_ocis_kind(void **state)
{
	struct strings labels = { 0 };
	struct image_index_document document;
	struct image_index index = { .count = 0 };

	(void)state;
	add(&index, "linux/386", OCI);
	add(&index, "linux/arm64", ATTESTED);
	add(&index, "linux/amd64", DOCKER(""));
	strings_add(&labels, STR("org.opencontainers.image.version=v1=2"));
	image_index_print(&index, &labels, &document);
	assert_string_equal(document.media_type, "application/vnd.oci.image.index.v1+json");
	assert_non_null(
	    strstr(document.text, "\"size\":481,\"digest\":\"" ONE "\",\"platform\":{\"architecture\":\"arm64\","
				  "\"os\":\"linux\"}}"));
	assert_null(strstr(document.text, "unknown"));
	assert_non_null(strstr(document.text, "],\"annotations\":{\"org.opencontainers.image.version\":\"v1=2\"}}"));
	free(document.text);
	strings_fini(&labels);
}

static void
test_what_is_no_manifest(void **state)
{
	static const struct {
		const char *text;
		enum err_code code;
	} cases[] = {
		{ "<html>", ERR_INPUT },
		{ "{}", ERR_PROTO },
		{ "{\"schemaVersion\":1,\"mediaType\":\"application/"
		  "vnd.docker.distribution.manifest.v1+json\",\"layers\":[]}",
		    ERR_PROTO },
		{ "{\"mediaType\":\"application/vnd.docker.distribution.manifest.v2+json\"}", ERR_PROTO },
		{ ATTESTED, ERR_NOT_FOUND },
		{ "{\"manifests\":[{\"mediaType\":\"application/"
		  "vnd.oci.image.manifest.v1+json\",\"size\":1,\"digest\":\"x\","
		  "\"platform\":{\"os\":\"linux\",\"architecture\":\"amd64\"}}]}",
		    ERR_NOT_FOUND },
	};
	struct platform wanted = platform("linux/amd64");
	struct image_index index = { .count = 0 };
	struct err err = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (image_index_add(&index, &wanted, str_of(cases[i].text), &err) || err.code != cases[i].code)
			fail_msg("%s: %s", cases[i].text, err.text);
	assert_int_equal(index.count, 0);
	while (index.count < PLATFORMS_MAX)
		add(&index, "linux/amd64", OCI);
	assert_false(image_index_add(&index, &wanted, STR(OCI), &err));
	assert_int_equal(err.code, ERR_LIMIT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_of_dockers_kind),
		cmocka_unit_test(test_of_ocis_kind),
		cmocka_unit_test(test_what_is_no_manifest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
