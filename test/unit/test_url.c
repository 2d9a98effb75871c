#include "test/unit/unit.h"

#include <stdlib.h>

#include "proto/mem.h"
#include "proto/url.h"

/* url_parse on a block of just that size. */
static bool
parse(struct str text, enum url_userinfo userinfo, struct url *ret, struct err *err)
{
	char *copy = xcalloc(1, text.len);
	bool ok;

	memcpy(copy, text.p, text.len);
	ok = url_parse((struct str){ copy, text.len }, userinfo, ret, err);
	free(copy);
	return ok;
}

static void
test_urls(void **state)
{
	static const struct {
		struct str text;
		enum url_scheme scheme;
		const char *host, *path, *authority;
		unsigned port;
	} cases[] = {
		{ STR("http://a"), URL_HTTP, "a", "", "a", 80 },
		{ STR("HTTP://Ci.Example:80/x?y=z"), URL_HTTP, "ci.example", "/x?y=z", "ci.example", 80 },
		{ STR("https://a.b:8443/"), URL_HTTPS, "a.b", "/", "a.b:8443", 8443 },
		{ STR("https://[::1]/x"), URL_HTTPS, "::1", "/x", "[::1]", 443 },
		{ STR("http://[2001:DB8::7]:81"), URL_HTTP, "2001:db8::7", "", "[2001:db8::7]:81", 81 },
		{ STR("tcp://127.0.0.1:2375"), URL_TCP, "127.0.0.1", "", "127.0.0.1:2375", 2375 },
		{ STR("unix:///var/run/docker.sock"), URL_UNIX, NULL, "/var/run/docker.sock", "localhost", 0 },
		{ STR("smtp://mail"), URL_SMTP, "mail", "", "mail", 25 },
		{ STR("smtps://mail"), URL_SMTPS, "mail", "", "mail", 465 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct url url;
		struct err err;
		struct buf b;

		assert_true(parse(cases[i].text, URL_NO_USERINFO, &url, &err));
		assert_int_equal(url.scheme, cases[i].scheme);
		assert_int_equal(url.port, cases[i].port);
		assert_string_equal(url.path, cases[i].path);
		if (cases[i].host != NULL)
			assert_string_equal(url.host, cases[i].host);
		else
			assert_null(url.host);
		assert_null(url.user);
		buf_init(&b, 100);
		assert_true(url_print_host(&b, &url));
		assert_string_equal(b.data, cases[i].authority);
		buf_fini(&b);
		url_fini(&url);
	}
}

static void
test_refused_urls(void **state)
{
	static const struct str cases[] = {
		STR(""),
		STR("http"),
		STR("http:"),
		STR("http:/"),
		STR("http://"),
		STR("http:///x"),
		STR("//a/b"),
		STR("a"),
		STR("ftp://a"),
		STR("file:///etc/passwd"),
		STR("gopher://a"),
		STR("http://a b/"),
		STR("http://a/ b"),
		STR("http://a/\r\nHost: b"),
		STR("http://a\0b/"),
		STR("http://a/\xc3\xa4"),
		STR("http://a/#f"),
		STR("http://a#f"),
		STR("http://a?b"),
		STR("http://u@a"),
		STR("http://u:p@a"),
		STR("http://@a"),
		STR("http://a:0"),
		STR("http://a:"),
		STR("http://a:65536"),
		STR("http://a:8x"),
		STR("http://a:-1"),
		STR("http://a:80:80"),
		STR("http://:80"),
		STR("http://[::1"),
		STR("http://::1/"),
		STR("http://[]/"),
		STR("http://[12]/"),
		STR("http://[::1]x/"),
		STR("http://[::g]/"),
		STR("http://a%2fb/"),
		STR("http://a\\b/"),
		STR("http://a,b/"),
		STR("tcp://a"),
		STR("unix://run/x"),
		STR("unix:///"),
		STR("unix://"),
	};
	struct url url;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		err = ERR_OK;
		if (parse(cases[i], URL_NO_USERINFO, &url, &err))
			fail_msg("case %zu is taken: %.*s", i, (int)cases[i].len, cases[i].p);
		assert_int_equal(err.code, ERR_INPUT);
		assert_true(err.text[0] != '\0');
	}
}

static void
test_userinfo(void **state)
{
	struct url url;
	struct err err;

	(void)state;
	assert_true(parse(STR("smtp://ci%40b:p%3Aw:x@mail:587"), URL_WITH_USERINFO, &url, &err));
	assert_string_equal(url.user, "ci@b");
	assert_string_equal(url.password, "p:w:x");
	assert_string_equal(url.host, "mail");
	assert_int_equal(url.port, 587);
	url_fini(&url);
	assert_true(parse(STR("http://u@a/x@y"), URL_WITH_USERINFO, &url, &err));
	assert_string_equal(url.user, "u");
	assert_null(url.password);
	assert_string_equal(url.path, "/x@y");
	url_fini(&url);
	assert_false(parse(STR("http://u%00x@a"), URL_WITH_USERINFO, &url, &err));
	assert_false(parse(STR("http://u%0d%0a@a"), URL_WITH_USERINFO, &url, &err));
	assert_false(parse(STR("http://u:hunter2%zz@a"), URL_WITH_USERINFO, &url, &err));
	assert_null(strstr(err.text, "hunter2"));
	assert_false(parse(STR("http://a@b@c"), URL_WITH_USERINFO, &url, &err));
}

/* Each prefix is either refused or taken, without a look past its end. */
static void
test_every_cut(void **state)
{
	static const struct str text = STR("https://us%65r:p%40w@[2001:db8::7]:8443/a%2Fb?c=%20&d#e");
	struct url url;
	struct err err;
	size_t taken = 0;

	(void)state;
	for (size_t len = 0; len <= text.len; len++)
		if (parse((struct str){ text.p, len }, URL_WITH_USERINFO, &url, &err)) {
			taken++;
			url_fini(&url);
		}
	/* "u" and "us" as hosts; up to the bracket; each digit of the port; each byte of path and query */
	assert_int_equal(taken, 2 + 1 + strlen("8443") + strlen("/a%2Fb?c=%20&d"));
}

static void
test_encode_and_decode(void **state)
{
	struct buf b, back;

	(void)state;
	buf_init(&b, 1000);
	buf_init(&back, 1000);
	assert_true(url_encode(&b, STR("a b/\xc3\xa4~-._%\0?"), ""));
	assert_string_equal(b.data, "a%20b%2F%C3%A4~-._%25%00%3F");
	assert_true(url_decode(&back, buf_str(&b)));
	assert_true(str_eq(buf_str(&back), STR("a b/\xc3\xa4~-._%\0?")));
	buf_reset(&b);
	assert_true(url_encode(&b, STR("a/b"), "/"));
	assert_string_equal(b.data, "a/b");
	assert_false(url_decode(&b, STR("%")));
	assert_false(url_decode(&b, STR("%2")));
	assert_false(url_decode(&b, STR("%2g")));
	assert_false(url_decode(&b, STR("%%41")));
	buf_fini(&back);
	buf_fini(&b);
}

static void
test_paths(void **state)
{
	static const struct {
		struct str target;
		const char *path; /* NULL: refused */
		const char *query;
	} cases[] = {
		{ STR("/"), "/", "" },
		{ STR("/a/b/"), "/a/b/", "" },
		{ STR("/a%20b/%C3%A4"), "/a b/\xc3\xa4", "" },
		{ STR("/a%252fb"), "/a%2fb", "" }, /* decoded once */
		{ STR("/a?b=/../%00"), "/a", "b=/../%00" },
		{ STR("/a?"), "/a", "" },
		{ STR("/a..b/.c/..."), "/a..b/.c/...", "" },
		{ .target = STR("") },
		{ .target = STR("?a") },
		{ .target = STR("*") },
		{ .target = STR("a/b") },
		{ .target = STR("//a") },
		{ .target = STR("/a//b") },
		{ .target = STR("/a//") },
		{ .target = STR("/.") },
		{ .target = STR("/a/../b") },
		{ .target = STR("/a/..") },
		{ .target = STR("/a/./b") },
		{ .target = STR("/%2e%2e/b") },
		{ .target = STR("/.%2E/b") },
		{ .target = STR("/a%2fb") },
		{ .target = STR("/a%2Fb") },
		{ .target = STR("/%2F%2F..%2F..%2Fetc") },
		{ .target = STR("/a%00b") },
		{ .target = STR("/a\0b") },
		{ .target = STR("/a%0d%0a") },
		{ .target = STR("/a%7f") },
		{ .target = STR("/a\\b") },
		{ .target = STR("/a%5cb") },
		{ .target = STR("/a%") },
		{ .target = STR("/a%4") },
		{ .target = STR("/a%u0041") },
	};
	struct buf path;

	(void)state;
	buf_init(&path, 100);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err err = ERR_OK;
		struct str query;
		bool ok = url_path(cases[i].target, &path, &query, &err);

		if (ok != (cases[i].path != NULL))
			fail_msg("case %zu: %.*s", i, (int)cases[i].target.len, cases[i].target.p);
		if (!ok)
			continue;
		assert_string_equal(path.data, cases[i].path);
		assert_true(str_is(query, cases[i].query));
	}
	buf_fini(&path);
}

static void
test_queries(void **state)
{
	struct str query = STR("a=1&&b=x+y%2B&c&=d&a=2&e=%zz&f=%00"), rest = query;
	struct str name, value;
	struct buf b;
	int count = 0;

	(void)state;
	while (url_query_next(&rest, &name, &value))
		count++;
	assert_int_equal(count, 7);
	buf_init(&b, 100);
	assert_true(url_query_get(query, "a", &b));
	assert_string_equal(b.data, "1");
	assert_true(url_query_get(query, "b", &b));
	assert_string_equal(b.data, "x y+");
	assert_true(url_query_get(query, "c", &b));
	assert_string_equal(b.data, "");
	assert_false(url_query_get(query, "d", &b));
	assert_false(url_query_get(query, "e", &b));
	assert_false(url_query_get(query, "f", &b));
	buf_fini(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_urls),
		cmocka_unit_test(test_refused_urls),
		cmocka_unit_test(test_userinfo),
		cmocka_unit_test(test_every_cut),
		cmocka_unit_test(test_encode_and_decode),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_queries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
