#include "test/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "proto/buf.h"
#include "server/conf.h"

static struct conf *
parse(const char *text)
{
	struct conf *conf = NULL;
	struct err err = ERR_OK;

	if (!conf_parse(str_of(text), "t.yml", &conf, &err))
		fail_msg("%s", err.text);
	return conf;
}

/* The text is refused with that message, or one that begins with it. */
static void
refuse(const char *text, const char *message)
{
	struct conf *conf = NULL;
	struct err err = ERR_OK;

	assert_false(conf_parse(str_of(text), "t.yml", &conf, &err));
	assert_null(conf);
	if (strncmp(err.text, message, strlen(message)) != 0)
		fail_msg("\"%s\" instead of \"%s\"", err.text, message);
}

static void
assert_defaults(const struct conf *c)
{
	char host[256] = "";

	gethostname(host, sizeof(host) - 1);
	assert_int_equal(c->listen.count, 1);
	assert_string_equal(c->listen.items[0], "127.0.0.1:8080");
	assert_int_equal(c->trusted_proxies.count, 2);
	assert_string_equal(c->trusted_proxies.items[1], "::1");
	assert_null(c->trusted_proxies.items[2]);
	assert_int_equal(c->builder.blocked.count, 0);
	assert_string_equal(c->forge.ca, "");
	assert_string_equal(c->url, "");
	assert_string_equal(c->state_dir, "/var/lib/davit");
	assert_string_equal(c->node, host);
	assert_int_equal(c->log_level, CONF_LOG_INFO);
	assert_string_equal(c->redis.url, "");
	assert_string_equal(c->redis.password_file, "");
	assert_false(c->redis.allow_weak_persistence);
	assert_string_equal(c->redis.private_binary, "redis-server");
	assert_int_equal(c->engine_count, 1);
	assert_string_equal(c->engines[0].url, "unix:///var/run/docker.sock");
	assert_string_equal(c->engines[0].name, "engine1");
	assert_int_equal(c->engines[0].slots, 2);
	assert_string_equal(c->engines[0].tls.ca, "");
	assert_int_equal(c->builder.warm_images, 2);
	assert_int_equal(c->builder.warm_per_image, 1);
	assert_int_equal(c->builder.timeout_s, 3600);
	assert_int_equal(c->builder.log_limit, 64 << 20);
	assert_int_equal(c->builder.memory, 2ull << 30);
	assert_int_equal(c->builder.cpu_milli, 0);
	assert_int_equal(c->builder.pids, 512);
	assert_int_equal(c->builder.pull, CONF_PULL_MISSING);
	assert_string_equal(c->smtp.url, "");
	assert_int_equal(c->smtp.starttls, CONF_STARTTLS_AUTO);
	assert_int_equal(c->image_aliases.count, 9);
	assert_string_equal(c->image_aliases.pairs[0].name, "daocloud/ci-golang:*");
	assert_string_equal(c->image_aliases.pairs[8].value, "python:2.7");
	assert_int_equal(c->keep.builds, 1000);
	assert_false(c->git.full);
	assert_false(c->git.allow_local);
	assert_int_equal(c->git.timeout_s, 300);
	assert_int_equal(c->hook.max_body, 26 << 20);
	assert_int_equal(c->hook.poll_s, 300);
}

static void
test_an_empty_file_gives_the_defaults(void **state)
{
	struct conf *conf = parse("# nothing\n");

	(void)state;
	assert_defaults(conf);
	conf_free(&conf);
	assert_null(conf);
	conf = parse("redis:\nbuilder: {}\n");
	assert_defaults(conf);
	conf_free(&conf);
}

/* The sample with each "#option" line uncommented. */
static char *
uncommented(const char *path)
{
	FILE *file = fopen(path, "r");
	char line[512];
	struct buf b;

	assert_non_null(file);
	buf_init(&b, 65536);
	while (fgets(line, sizeof(line), file) != NULL) {
		size_t indent = strspn(line, " ");

		buf_add(&b, line, indent);
		if (line[indent] == '#' && line[indent + 1] != ' ')
			buf_adds(&b, line + indent + 1);
		else
			buf_adds(&b, line + indent);
	}
	fclose(file);
	assert_false(buf_failed(&b));
	return b.data;
}

static void
test_the_sample_says_the_defaults(void **state)
{
	const char *srcdir = getenv("srcdir");
	char path[1024];
	struct conf *conf;
	struct err err;
	char *text;

	(void)state;
	snprintf(path, sizeof(path), "%s/conf/davit.yml", srcdir != NULL ? srcdir : ".");
	assert_true(conf_load(path, &conf, &err));
	assert_defaults(conf);
	conf_free(&conf);
	text = uncommented(path);
	assert_non_null(strstr(text, "\n  private_binary: redis-server\n"));
	conf = parse(text);
	assert_defaults(conf);
	conf_free(&conf);
	free(text);
}

static void
test_every_option_can_be_set(void **state)
{
	struct conf *c =
	    parse("listen: [\"[::1]:0\", unix:/run/d.sock]\n"
		  "trusted_proxies: [10.0.0.2, 'FD00:0::2']\n"
		  "url: https://ci.example.org/davit/\n"
		  "state_dir: /srv/davit\n"
		  "node: n-1\n"
		  "log_level: debug\n"
		  "redis: {url: 'redis://127.0.0.1:6379/0', password_file: /p, allow_weak_persistence: yes,\n"
		  "  private_binary: /usr/bin/redis-server}\n"
		  "engines:\n"
		  "  - url: tcp://build2:2376\n"
		  "    slots: 16\n"
		  "    tls: {ca: /ca.pem, cert: /c.pem, key: /k.pem}\n"
		  "  - {url: 'unix:///var/run/docker.sock', name: here}\n"
		  "builder: {warm_images: 0, warm_per_image: 3, timeout: 1h30m, log_limit: 1m, memory: 0,\n"
		  "  cpus: 1.5, pids: 100, pull: always, blocked: [10.0.0.0/8, 192.0.2.7]}\n"
		  "forge: {ca: /forge.pem}\n"
		  "smtp: {url: 'smtp://mx:587', user: u, password_file: /q, from: ci@example.org,\n"
		  "  starttls: required, ca: /mx.pem}\n"
		  "image_aliases: {'a/*': 'b/*'}\n"
		  "keep: {builds: 10}\n"
		  "git: {full: true, allow_local: yes, timeout: 30s}\n"
		  "hook: {max_body: 1M, poll: 0s}\n");

	(void)state;
	assert_int_equal(c->listen.count, 2);
	assert_string_equal(c->listen.items[1], "unix:/run/d.sock");
	assert_int_equal(c->trusted_proxies.count, 2);
	assert_string_equal(c->trusted_proxies.items[1], "fd00::2"); /* as connections are named */
	assert_int_equal(c->builder.blocked.count, 2);
	assert_string_equal(c->builder.blocked.items[0], "10.0.0.0/8");
	assert_string_equal(c->forge.ca, "/forge.pem");
	assert_string_equal(c->url, "https://ci.example.org/davit");
	assert_string_equal(c->state_dir, "/srv/davit");
	assert_string_equal(c->node, "n-1");
	assert_int_equal(c->log_level, CONF_LOG_DEBUG);
	assert_string_equal(c->redis.url, "redis://127.0.0.1:6379/0");
	assert_string_equal(c->redis.password_file, "/p");
	assert_true(c->redis.allow_weak_persistence);
	assert_string_equal(c->redis.private_binary, "/usr/bin/redis-server");
	assert_int_equal(c->engine_count, 2);
	assert_string_equal(c->engines[0].url, "tcp://build2:2376");
	assert_int_equal(c->engines[0].slots, 16);
	assert_string_equal(c->engines[0].name, "engine1");
	assert_string_equal(c->engines[0].tls.ca, "/ca.pem");
	assert_string_equal(c->engines[0].tls.cert, "/c.pem");
	assert_string_equal(c->engines[0].tls.key, "/k.pem");
	assert_string_equal(c->engines[1].name, "here");
	assert_int_equal(c->engines[1].slots, 2);
	assert_int_equal(c->builder.warm_images, 0);
	assert_int_equal(c->builder.warm_per_image, 3);
	assert_int_equal(c->builder.timeout_s, 5400);
	assert_int_equal(c->builder.log_limit, 1 << 20);
	assert_int_equal(c->builder.memory, 0);
	assert_int_equal(c->builder.cpu_milli, 1500);
	assert_int_equal(c->builder.pids, 100);
	assert_int_equal(c->builder.pull, CONF_PULL_ALWAYS);
	assert_string_equal(c->smtp.url, "smtp://mx:587");
	assert_string_equal(c->smtp.user, "u");
	assert_string_equal(c->smtp.password_file, "/q");
	assert_string_equal(c->smtp.from, "ci@example.org");
	assert_int_equal(c->smtp.starttls, CONF_STARTTLS_REQUIRED);
	assert_string_equal(c->smtp.ca, "/mx.pem");
	assert_int_equal(c->image_aliases.count, 1);
	assert_int_equal(c->keep.builds, 10);
	assert_true(c->git.full);
	assert_true(c->git.allow_local);
	assert_int_equal(c->git.timeout_s, 30);
	assert_int_equal(c->hook.max_body, 1 << 20);
	assert_int_equal(c->hook.poll_s, 0);
	conf_free(&c);
}

static void
test_nonsense_is_refused_with_its_place(void **state)
{
	(void)state;
	refuse("- a\n", "t.yml:1:1: file: wants a mapping of options, not a list");
	refuse("listn: x\n", "t.yml:1:1: unknown option \"listn\"; did you mean \"listen\"?");
	refuse("redis:\n  ulr: x\n", "t.yml:2:3: unknown option \"redis.ulr\"; did you mean \"url\"?");
	refuse("redis.url: unix:///x\n", "t.yml:1:1: unknown option \"redis.url\"");
	refuse("zzzzzz: 1\n", "t.yml:1:1: unknown option \"zzzzzz\"");
	refuse("redis: here\n", "t.yml:1:8: redis: wants a mapping of options, not a text");
	refuse("listen: {a: b}\n", "t.yml:1:9: listen: wants a list of addresses, not a mapping");
	refuse("listen: []\n", "t.yml:1:9: listen: wants a list of addresses, not a list");
	refuse("listen: [8080]\n", "t.yml:1:10: listen: \"8080\" is not an address such as");
	refuse("listen: ['h:65536']\n", "t.yml:1:10: listen: \"h:65536\" is not");
	refuse("listen: ['::1:80']\n", "t.yml:1:10: listen: \"::1:80\" is not");
	refuse("listen: ['unix:x']\n", "t.yml:1:10: listen: \"unix:x\" is not");
	refuse("trusted_proxies: [proxy]\n", "t.yml:1:19: trusted_proxies: \"proxy\" is not an IP address such as");
	refuse("trusted_proxies: [10.0.0.0/8]\n", "t.yml:1:19: trusted_proxies: \"10.0.0.0/8\" is not");
	refuse("builder: {blocked: [10.0.0.0/33]}\n", "t.yml:1:21: builder.blocked: \"10.0.0.0/33\" is not");
	refuse("builder: {blocked: [10.0.0.1/8]}\n", "t.yml:1:21: builder.blocked: \"10.0.0.1/8\" is not");
	refuse("builder: {blocked: [0.0.0.0/0]}\n", "t.yml:1:21: builder.blocked: \"0.0.0.0/0\" is not");
	refuse("builder: {blocked: ['fd00::1']}\n", "t.yml:1:21: builder.blocked: \"fd00::1\" is not");
	refuse("url: ftp://x\n", "t.yml:1:6: url: \"ftp://x\" is not an address that begins with http:// or https://");
	refuse("url: http://\n", "t.yml:1:6: url: \"http://\" is not");
	refuse("url: 'http://a b'\n", "t.yml:1:6: url: \"http://a b\" is not");
	refuse("state_dir: davit\n", "t.yml:1:12: state_dir: must be an absolute path");
	refuse("state_dir: [x]\n", "t.yml:1:12: state_dir: wants a text, not a list");
	refuse("node: a/b\n", "t.yml:1:7: node: \"a/b\" is no name");
	refuse("log_level: loud\n", "t.yml:1:12: log_level: \"loud\" is not one of error, warn, info, debug (");
	refuse("redis: {allow_weak_persistence: 1}\n",
	    "t.yml:1:33: redis.allow_weak_persistence: \"1\" is not true or false");
	refuse("redis: {url: 'unix://x'}\n", "t.yml:1:14: redis.url: \"unix://x\" is not");
	refuse("keep: {builds: 0}\n", "t.yml:1:16: keep.builds: 0 is less than 1 (");
	refuse("keep: {builds: -1}\n", "t.yml:1:16: keep.builds: \"-1\" is not a whole number");
	refuse("keep: {builds: 1000001}\n", "t.yml:1:16: keep.builds: 1000001 is more than 1000000 (");
	refuse("keep: {builds: 99999999999999999999}\n",
	    "t.yml:1:16: keep.builds: \"99999999999999999999\" is not a whole number");
	refuse("keep: {builds: }\n", "t.yml:1:16: keep.builds: wants a whole number, not nothing");
	refuse("builder: {timeout: 60}\n", "t.yml:1:20: builder.timeout: \"60\" is not a duration");
	refuse("builder: {timeout: 8d}\n", "t.yml:1:20: builder.timeout: 8d is more than 604800 seconds");
	refuse("builder: {memory: lots}\n", "t.yml:1:19: builder.memory: \"lots\" is not a size");
	refuse("builder: {log_limit: 1}\n", "t.yml:1:22: builder.log_limit: 1 is less than 1024 bytes");
	refuse("image_aliases: {a: [b]}\n", "t.yml:1:20: image_aliases: wants a text, not a list");
	refuse("builder: {cpus: 1.5.2}\n", "t.yml:1:17: builder.cpus: \"1.5.2\" is not a number");
	refuse("builder: {cpus: 1025}\n", "t.yml:1:17: builder.cpus: 1025 is more than 1024000/1000");
	refuse("builder: {cpus: 1.}\n", "t.yml:1:17: builder.cpus: \"1.\" is not a number");
	refuse("engines: x\n", "t.yml:1:10: engines: \"x\" is not a list");
	refuse("engines: []\n", "t.yml:1:10: engines: at least one is needed");
	refuse("engines: [x]\n", "t.yml:1:11: engines: an item is a mapping, not a text");
	refuse("engines: [{slots: 2}]\n", "t.yml:1:11: engines: this item lacks url");
	refuse("engines: [{url: ''}]\n", "t.yml:1:17: engines.url: \"\" is not an address");
	refuse("engines: [{url: 'unix:///a', slot: 2}]\n",
	    "t.yml:1:30: unknown option \"engines.slot\"; did you mean \"slots\"?");
	refuse("engines: [{url: 'unix:///a', tls: {cert: /c}}]\n",
	    "t.yml:1:11: engines: tls.cert and tls.key go together");
	refuse("engines: [{url: 'unix:///a', name: n}, {url: 'unix:///b', name: n}]\n",
	    "t.yml:1:40: engines: two have the name \"n\"");
	refuse("mirror: {access_log: log}\n", "t.yml:1:22: mirror.access_log: must be an absolute path");
	refuse("mirror: {upstreams: [{host: h, user: u}]}\n",
	    "t.yml:1:22: mirror.upstreams: user and password_file go together, or there is a token_file");
	refuse("mirror: {upstreams: [{host: h, user: u, password_file: /p, token_file: /t}]}\n",
	    "t.yml:1:22: mirror.upstreams: user and password_file go together, or there is a token_file");
	refuse("mirror: {upstreams: [{host: '*.h', token_file: /t}]}\n",
	    "t.yml:1:22: mirror.upstreams: a login or token is for one host, not for *.h");
	refuse("mirror: {upstreams: [{host: h, jobs: true}]}\n",
	    "t.yml:1:22: mirror.upstreams: realm and jobs want user and password_file, or a token_file");
	refuse("smtp: {url: 'smtp://h'}\n", "t.yml:1:7: smtp: url is set, so from must be an address");
	refuse("smtp: {user: u}\n", "t.yml:1:7: smtp: user and password_file go together");
	refuse("keep: {builds: 1}\nkeep: {builds: 2}\n", "t.yml:2:1: duplicate key \"keep\"");
}

static void
test_a_missing_file_is_named(void **state)
{
	struct conf *conf = NULL;
	struct err err;

	(void)state;
	assert_false(conf_load("/nonexistent/davit.yml", &conf, &err));
	assert_int_equal(err.code, ERR_IO);
	assert_string_equal(err.text, "configuration /nonexistent/davit.yml: No such file or directory");
	assert_false(conf_load("/", &conf, &err));
	assert_string_equal(err.text, "configuration /: Is a directory");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_empty_file_gives_the_defaults),
		cmocka_unit_test(test_the_sample_says_the_defaults),
		cmocka_unit_test(test_every_option_can_be_set),
		cmocka_unit_test(test_nonsense_is_refused_with_its_place),
		cmocka_unit_test(test_a_missing_file_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
