#include "test/unit/unit.h"

#include "proto/package_policy.h"
#include "proto/substitute.h"

#define DIGEST "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static void
test_policies(void **state)
{
	static const struct {
		const char *kind, *path;
		int64_t fresh_s;
		const char *digest;
		bool has_urls;
	} cases[] = {
		{ "apt", "/debian/dists/stable/InRelease", 0, "", false },
		{ "apt", "/debian/dists/stable/main/binary-amd64/Packages.xz", 0, "", false },
		{ "apt", "/d/dists/s/main/binary-amd64/by-hash/SHA256/" DIGEST, PACKAGE_FOREVER, DIGEST, false },
		{ "apt", "/d/dists/s/main/binary-amd64/by-hash/SHA256/" DIGEST "0", PACKAGE_FOREVER, "", false },
		{ "apt", "/d/dists/s/main/binary-amd64/by-hash/MD5Sum/00", PACKAGE_FOREVER, "", false },
		{ "apt", "/debian/pool/main/b/busybox/busybox_1.36_amd64.deb", 86400, "", false },
		{ "apt", "/flat/Packages.gz", 0, "", false },
		{ "rpm", "/r/repodata/repomd.xml", 0, "", false },
		{ "rpm", "/r/repodata/" DIGEST "-primary.xml.gz", PACKAGE_FOREVER, DIGEST, false },
		{ "rpm", "/r/repodata/primary.xml.gz", 60, "", false },
		{ "rpm", "/r/a-1.x86_64.rpm", 86400, "", false },
		{ "apk", "/alpine/v3.20/main/x86_64/APKINDEX.tar.gz", 0, "", false },
		{ "npm", "/@s%2fname", 60, "", true },
		{ "npm", "/name/-/name-1.0.0.tgz", PACKAGE_FOREVER, "", false },
		{ "npm", "/-/v1/search?text=a", PACKAGE_BY_HTTP, "", false },
		{ "pypi", "/simple/flask/", 60, "", true },
		{ "pypi", "/packages/aa/bb/flask-1.whl", PACKAGE_FOREVER, "", false },
		{ "go", "/example.com/m/@v/list", 60, "", false },
		{ "go", "/example.com/m/@v/v1.2.3.zip", PACKAGE_FOREVER, "", false },
		{ "go", "/example.com/m/@v/main.info", 60, "", false },
		{ "go", "/example.com/m/@latest", 60, "", false },
		{ "maven", "/maven2/a/b/1.0/b-1.0.jar", PACKAGE_FOREVER, "", false },
		{ "maven", "/maven2/a/b/maven-metadata.xml.sha1", 60, "", false },
		{ "maven", "/maven2/a/b/1.0-SNAPSHOT/b-1.0-SNAPSHOT.jar", 60, "", false },
		{ "crates", "/de/mo/demo", 60, "", false },
		{ "crates", "/config.json", 60, "", true },
		{ "crates", "/crates/demo/1.0.0/download", PACKAGE_FOREVER, "", false },
		{ "generic", "/crates/demo", PACKAGE_BY_HTTP, "", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum package_kind kind;
		struct package_policy policy;

		assert_true(package_kind_from_name(str_of(cases[i].kind), &kind));
		policy = package_policy_of(kind, str_of(cases[i].path));
		if (policy.fresh_s != cases[i].fresh_s || policy.has_urls != cases[i].has_urls)
			fail_msg("%s", cases[i].path);
		assert_string_equal(policy.digest, cases[i].digest);
	}
}

/* However the text is cut in two or three, the outcome is the same. */
static void
test_substitute(void **state)
{
	static const char text[] =
	    "a https://x.org/ b https://x.or https://y.org/https://x.org/ hhttps://x.org/z https://x.org";
	static const char expected[] = "a /k/x.org/ b https://x.or /Y//k/x.org/ h/k/x.org/z https://x.org";
	size_t len = strlen(text);

	(void)state;
	for (size_t first = 0; first <= len; first++)
		for (size_t second = first; second <= len; second++) {
			struct substitute s;
			struct buf out;

			substitute_init(&s);
			substitute_add(&s, "https://x.org/", "/k/x.org/");
			substitute_add(&s, "https://y.org/", "/Y/");
			buf_init(&out, 1024);
			substitute_feed(&s, (struct str){ text, first }, &out);
			substitute_feed(&s, (struct str){ text + first, second - first }, &out);
			substitute_feed(&s, (struct str){ text + second, len - second }, &out);
			substitute_end(&s, &out);
			assert_string_equal(out.data, expected);
			buf_fini(&out);
			substitute_fini(&s);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_policies),
		cmocka_unit_test(test_substitute),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
