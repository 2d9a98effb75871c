#include "test/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/clear_registries.h"
#include "proto/docker_frames.h"
#include "proto/docker_lines.h"
#include "proto/docker_reply.h"
#include "proto/docker_spec.h"
#include "proto/json.h"

/* All output of one stream, as pieces come. */
struct output {
	struct buf of[4];
	bool bad;
};

static void
output_init(struct output *o)
{
	for (size_t i = 0; i < 4; i++)
		buf_init(&o->of[i], 1000);
	o->bad = false;
}

static void
output_fini(struct output *o)
{
	for (size_t i = 0; i < 4; i++)
		buf_fini(&o->of[i]);
}

static void
feed(struct docker_frames *f, struct str in, struct output *o)
{
	enum docker_frames_next next;
	enum docker_stream stream;
	struct str piece;

	while ((next = docker_frames_next(f, &in, &stream, &piece)) == DOCKER_FRAMES_PIECE) {
		assert_true(piece.len > 0);
		buf_addstr(&o->of[stream], piece);
	}
	o->bad = o->bad || next == DOCKER_FRAMES_BAD;
}

static const struct str frames = {
	"\1\0\0\0\0\0\0\3out"
	"\2\0\0\0\0\0\0\0"
	"\2\0\0\0\0\0\0\5error"
	"\1\0\0\0\0\0\0\1\n"
	"\3\0\0\0\0\0\0\4gone",
	8 + 3 + 8 + 8 + 5 + 8 + 1 + 8 + 4,
};

static void
test_frames_at_every_cut(void **state)
{
	(void)state;
	for (size_t a = 0; a <= frames.len; a++) {
		for (size_t b = a; b <= frames.len; b++) {
			struct docker_frames f = { .left = 0 };
			struct output o;

			output_init(&o);
			feed(&f, (struct str){ frames.p, a }, &o);
			feed(&f, (struct str){ frames.p + a, b - a }, &o);
			feed(&f, (struct str){ frames.p + b, frames.len - b }, &o);
			assert_false(o.bad);
			assert_true(docker_frames_at_boundary(&f));
			assert_string_equal(o.of[DOCKER_STDOUT].data, "out\n");
			assert_string_equal(o.of[DOCKER_STDERR].data, "error");
			assert_string_equal(o.of[DOCKER_ENGINE_ERROR].data, "gone");
			output_fini(&o);
		}
	}
}

static void
test_a_cut_frame_is_noticed(void **state)
{
	(void)state;
	for (size_t len = 1; len < 8 + 3; len++) {
		struct docker_frames f = { .left = 0 };
		struct output o;

		output_init(&o);
		feed(&f, (struct str){ frames.p, len }, &o);
		assert_false(docker_frames_at_boundary(&f));
		output_fini(&o);
	}
}

static void
test_what_is_no_frame_is_refused(void **state)
{
	static const struct str bad[] = { STR("\4\0\0\0\0\0\0\1x"), STR("\1\1\0\0\0\0\0\1x"), STR("\1\0\0\1\0\0\0\1x"),
		STR("HTTP/1.1"), STR("\1\0\0\0\0\0\0\1x{\"a\": 12}") };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct docker_frames f = { .left = 0 };
		struct output o;

		output_init(&o);
		feed(&f, bad[i], &o);
		assert_true(o.bad);
		output_fini(&o);
	}
}

static void
test_lines_at_every_cut(void **state)
{
	static const struct str text = STR("{\"a\":1}\r\n\n{\"b\":2}\n\r\n{\"c\":3}\nrest");

	(void)state;
	for (size_t cut = 0; cut <= text.len; cut++) {
		struct str parts[] = { { text.p, cut }, { text.p + cut, text.len - cut } };
		struct docker_lines lines;
		struct str line;
		struct buf all;

		buf_init(&all, 100);
		docker_lines_init(&lines, 20);
		for (size_t i = 0; i < 2; i++) {
			while (docker_lines_next(&lines, &parts[i], &line)) {
				buf_addstr(&all, line);
				buf_addc(&all, '|');
			}
			assert_int_equal(parts[i].len, 0);
		}
		assert_false(docker_lines_failed(&lines));
		assert_string_equal(all.data, "{\"a\":1}|{\"b\":2}|{\"c\":3}|");
		docker_lines_fini(&lines);
		buf_fini(&all);
	}
}

static void
test_a_line_has_a_limit(void **state)
{
	struct str one = STR("123456789\n"), half = STR("12345"), line;
	struct docker_lines lines;

	(void)state;
	docker_lines_init(&lines, 8);
	assert_false(docker_lines_next(&lines, &one, &line));
	assert_true(docker_lines_failed(&lines));
	docker_lines_fini(&lines);

	docker_lines_init(&lines, 8);
	assert_false(docker_lines_next(&lines, &half, &line));
	assert_false(docker_lines_failed(&lines));
	half = STR("6789");
	assert_false(docker_lines_next(&lines, &half, &line));
	assert_true(docker_lines_failed(&lines));
	docker_lines_fini(&lines);
}

static void
test_error_messages(void **state)
{
	char text[40];

	(void)state;
	docker_reply_message(STR("{\"message\":\"No such image: x:1\"}\n"), text, sizeof(text));
	assert_string_equal(text, "No such image: x:1");
	docker_reply_message(STR("{\"cause\":\"no space\",\"response\":500}"), text, sizeof(text));
	assert_string_equal(text, "no space");
	docker_reply_message(STR("{\"message\":\"endpoint x (0123456789abcdef0123456789abcdef0123456789abcdef"
				 "0123456789abcdef) has (none)\"}"),
	    text, sizeof(text));
	assert_string_equal(text, "endpoint x has (none)");
	docker_reply_message(STR("{\"message\":\"two\\nlines\"}"), text, sizeof(text));
	assert_string_equal(text, "two lines");
	docker_reply_message(STR("<html>502 Bad Gateway, and a long page behind it</html>"), text, sizeof(text));
	assert_string_equal(text, "<html>502 Bad Gateway, and a long page ");
	docker_reply_message(STR(""), text, sizeof(text));
	assert_string_equal(text, "no reason given");
	docker_reply_message(STR("[]"), text, sizeof(text));
	assert_string_equal(text, "no reason given");
}

static void
test_ids_are_checked(void **state)
{
	static const char *const bad[] = { "{}", "{\"Id\":\"\"}", "{\"Id\":7}", "{\"Id\":\"../x\"}", "{\"Id\":\"a/b\"}",
		"{\"Id\":\"a b\"}", "{\"Id\":\"-x\"}", "{\"Id\":\"a?b\"}", "[]", "", "{\"Id\":\"a\"" };
	char id[DOCKER_ID_SIZE];
	struct err err;
	char long_id[300];

	(void)state;
	assert_true(docker_reply_id(STR("{\"Id\":\"d3dc6dfc\",\"Warnings\":[]}"), id, NULL));
	assert_string_equal(id, "d3dc6dfc");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (docker_reply_id(str_of(bad[i]), id, &err))
			fail_msg("%s was taken", bad[i]);
		assert_int_equal(err.code, ERR_PROTO);
	}
	memset(long_id, 'a', sizeof(long_id));
	memcpy(long_id, "{\"Id\":\"", 7);
	memcpy(long_id + 7 + DOCKER_ID_SIZE, "\"}", 3);
	assert_false(docker_reply_id(str_of(long_id), id, NULL));
	memcpy(long_id + 7 + DOCKER_ID_SIZE - 1, "\"}", 3);
	assert_true(docker_reply_id(str_of(long_id), id, NULL));
}

static void
test_exit_codes(void **state)
{
	struct docker_exit ended;

	(void)state;
	assert_true(docker_reply_exit(STR("{\"Error\":null,\"StatusCode\":3}"), &ended, NULL));
	assert_int_equal(ended.code, 3);
	assert_string_equal(ended.error, "");
	assert_true(docker_reply_exit(STR("{\"Error\":{\"Message\":\"lost\"},\"StatusCode\":255}"), &ended, NULL));
	assert_string_equal(ended.error, "lost");
	assert_false(docker_reply_exit(STR("{\"StatusCode\":256}"), &ended, NULL));
	assert_false(docker_reply_exit(STR("{\"StatusCode\":-1}"), &ended, NULL));
	assert_false(docker_reply_exit(STR("{\"StatusCode\":\"0\"}"), &ended, NULL));
	assert_false(docker_reply_exit(STR("{\"StatusCode\":0"), &ended, NULL));
}

static void
test_container_is_read(void **state)
{
	static const char text[] =
	    "{\"Id\":\"abc\",\"State\":{\"Status\":\"exited\",\"Running\":false,\"OOMKilled\":true,\"ExitCode\":137,"
	    "\"Error\":\"\",\"Health\":{\"Status\":\"healthy\"}},"
	    "\"NetworkSettings\":{\"Networks\":{\"n\":{\"IPAddress\":\"172.18.0.2\"}}}}";
	struct docker_container c;

	(void)state;
	assert_true(docker_reply_container(str_of(text), &c, NULL));
	assert_string_equal(c.id, "abc");
	assert_false(c.running);
	assert_true(c.oom_killed);
	assert_int_equal(c.exit_code, 137);
	assert_string_equal(c.health, "healthy");
	assert_string_equal(c.address, "172.18.0.2");
	assert_true(docker_reply_container(STR("{\"Id\":\"abc\"}"), &c, NULL));
	assert_int_equal(c.exit_code, -1);
	assert_string_equal(c.address, "");
	for (size_t len = 0; len < sizeof(text) - 1; len++)
		assert_false(docker_reply_container((struct str){ text, len }, &c, NULL));
}

static void
test_twins_are_told_from_others(void **state)
{
#define TWIN "{\"Id\":\"abc\",\"State\":{\"Status\":\"%s\"},\"Config\":{\"Labels\":{\"a\":\"1\",\"b\":\"2\"}}}"
	const struct docker_label same[] = { { "a", "1" }, { "b", "2" } };
	const struct docker_label other[] = { { "a", "1" }, { "b", "3" } };
	const struct docker_label more[] = { { "a", "1" }, { "c", "" }, { "d", "4" } };
	char body[200];

	(void)state;
	snprintf(body, sizeof(body), TWIN, "created");
	assert_true(docker_reply_is_twin(str_of(body), same, 2));
	assert_false(docker_reply_is_twin(str_of(body), other, 2));
	assert_false(docker_reply_is_twin(str_of(body), more, 3));
	snprintf(body, sizeof(body), TWIN, "running");
	assert_false(docker_reply_is_twin(str_of(body), same, 2));
	assert_false(docker_reply_is_twin(STR("{}"), same, 2));
	assert_false(docker_reply_is_twin(STR("{"), same, 2));
}

static void
test_image_is_read(void **state)
{
	struct docker_image image;

	(void)state;
	assert_true(docker_reply_image(STR("{\"Id\":\"sha256:ab\",\"RepoDigests\":[\"alpine@sha256:cd\"],"
					   "\"Config\":{\"Healthcheck\":{\"Test\":[\"CMD-SHELL\",\"x\"]}}}"),
	    "docker.io/library/alpine:3", &image, NULL));
	assert_string_equal(image.id, "sha256:ab");
	assert_string_equal(image.digest, "sha256:cd");
	assert_true(image.has_health);
	assert_true(docker_reply_image(
	    STR("{\"Id\":\"sha256:ab\",\"RepoDigests\":null,\"Config\":{\"Healthcheck\":{\"Test\":[\"NONE\"]}}}"),
	    "alpine", &image, NULL));
	assert_string_equal(image.digest, "");
	assert_false(image.has_health);
}

static void
assert_digest(const char *name, const char *digest)
{
	struct docker_image image;

	assert_true(docker_reply_image(
	    STR("{\"Id\":\"sha256:ab\",\"RepoDigests\":[7,\"r.example:5000/app@sha256:01\",\"app@sha256:02\","
		"\"r.example/app@sha256:03\",\"r.example/app/more@sha256:04\"]}"),
	    name, &image, NULL));
	assert_string_equal(image.digest, digest);
}

/* The same image may have another digest in each repository. */
static void
test_an_images_digest_is_that_of_its_repository(void **state)
{
	(void)state;
	assert_digest("r.example:5000/app:one", "sha256:01");
	assert_digest("app", "sha256:02");
	assert_digest("docker.io/library/app:latest", "sha256:02");
	assert_digest("r.example/app:two", "sha256:03");
	assert_digest("r.example/app/more", "sha256:04");
	assert_digest("r.example/ap", "");
	assert_digest("sha256:ab", "");
}

static void
test_lists_are_read(void **state)
{
	struct docker_list list;

	(void)state;
	assert_true(docker_reply_list(
	    STR("[{\"Id\":\"a1\",\"Names\":[\"/davit-n-1\"],\"Labels\":{\"davit.node\":\"n\"}},"
		"{\"Id\":\"../../x\",\"Names\":[\"/y\"]},{\"Id\":\"b2\",\"Name\":\"net\",\"Labels\":null}]"),
	    &list, NULL));
	assert_int_equal(list.count, 2);
	assert_string_equal(list.items[0].name, "davit-n-1");
	assert_string_equal(docker_item_label(&list.items[0], "davit.node"), "n");
	assert_null(docker_item_label(&list.items[0], "davit"));
	assert_string_equal(list.items[1].name, "net");
	assert_null(docker_item_label(&list.items[1], "davit.node"));
	docker_list_fini(&list);
	/* Podman has both, one of them empty: without the right one the sweep would take what runs. */
	assert_true(docker_reply_list(STR("[{\"Id\":\"a1\",\"Names\":[\"/davit-n-1\"],\"Name\":\"\"}]"), &list, NULL));
	assert_string_equal(list.items[0].name, "davit-n-1");
	docker_list_fini(&list);
	assert_true(
	    docker_reply_list(STR("{\"Volumes\":[{\"Name\":\"v1\",\"Labels\":{}}],\"Warnings\":null}"), &list, NULL));
	assert_int_equal(list.count, 1);
	assert_string_equal(list.items[0].id, "v1");
	docker_list_fini(&list);
	assert_true(docker_reply_list(STR("{\"Volumes\":null}"), &list, NULL));
	assert_int_equal(list.count, 0);
	docker_list_fini(&list);
	assert_false(docker_reply_list(STR("[{\"Id\":"), &list, NULL));
}

static void
test_progress_and_events(void **state)
{
	struct docker_progress p;
	struct docker_event e;

	(void)state;
	assert_true(docker_reply_progress(
	    STR("{\"status\":\"Downloading\",\"progressDetail\":{\"current\":10,\"total\":30},\"id\":\"4abc\"}"), &p,
	    NULL));
	assert_string_equal(p.status, "Downloading");
	assert_string_equal(p.layer, "4abc");
	assert_int_equal(p.current, 10);
	assert_int_equal(p.total, 30);
	assert_int_equal(p.again_s, 0);
	assert_string_equal(p.error, "");
	assert_true(docker_reply_progress(STR("{\"status\":\"Retrying in 15 seconds\",\"id\":\"4abc\"}"), &p, NULL));
	assert_int_equal(p.again_s, 15);
	assert_true(docker_reply_progress(STR("{\"status\":\"Retrying in 1 second\",\"id\":\"4abc\"}"), &p, NULL));
	assert_int_equal(p.again_s, 1);
	assert_true(docker_reply_progress(STR("{\"status\":\"Retrying in x\"}"), &p, NULL));
	assert_int_equal(p.again_s, 0);
	assert_true(docker_reply_progress(STR("{\"errorDetail\":{\"message\":\"denied\"},\"error\":\"x\"}"), &p, NULL));
	assert_string_equal(p.error, "denied");
	assert_true(docker_reply_progress(STR("{\"error\":\"x\"}"), &p, NULL));
	assert_string_equal(p.error, "x");
	assert_false(docker_reply_progress(STR("null"), &p, NULL));
	assert_true(docker_reply_event(
	    STR("{\"Type\":\"container\",\"Action\":\"health_status: healthy\",\"Actor\":{\"ID\":\"ab\"}}"), &e, NULL));
	assert_string_equal(e.id, "ab");
	assert_string_equal(e.action, "health_status: healthy");
	assert_true(docker_reply_event(
	    STR("{\"Type\":\"image\",\"Action\":\"tag\",\"Actor\":{\"ID\":\"davit-test/app:1\"}}"), &e, NULL));
	assert_string_equal(e.id, "");
	assert_string_equal(e.action, "tag");
	assert_true(docker_reply_event(
	    STR("{\"Type\":\"image\",\"Action\":\"pull\",\"Actor\":{\"ID\":\"\"}}"), &e, NULL)); /* of Podman */
	assert_string_equal(e.id, "");
	assert_false(docker_reply_event(STR("{\"Action\":\"die\"}"), &e, NULL));
}

/* Every key that a container's body may have: more would be a hole in the isolation. */
static const char *const body_keys[] = { "Image", "Entrypoint", "Cmd", "Env", "User", "WorkingDir", "Hostname", "Tty",
	"OpenStdin", "StdinOnce", "AttachStdin", "Healthcheck", "Labels", "HostConfig", "NetworkingConfig", NULL };
static const char *const host_keys[] = { "Privileged", "CapDrop", "CapAdd", "SecurityOpt", "Memory", "MemorySwap",
	"NanoCpus", "PidsLimit", "Ulimits", "ReadonlyRootfs", "Tmpfs", "Init", "OomScoreAdj", "LogConfig",
	"NetworkMode", NULL };

static void
check_keys(const struct json_value *object, const char *const *allowed)
{
	assert_true(json_count(object) > 0);
	for (size_t i = 0; i < json_count(object); i++) {
		const char *const *key = allowed;

		while (*key != NULL && strcmp(*key, json_key_at(object, i)) != 0)
			key++;
		if (*key == NULL)
			fail_msg("%s is in the body", json_key_at(object, i));
	}
}

static struct json *
container_body(const struct docker_container_spec *spec, bool for_podman)
{
	size_t len;
	char *body = docker_container_body(spec, for_podman, &len);
	struct json *doc;

	assert_non_null(body);
	assert_true(json_parse((struct str){ body, len }, NULL, &doc, NULL));
	free(body);
	check_keys(json_root(doc), body_keys);
	check_keys(json_get(json_root(doc), "HostConfig"), host_keys);
	return doc;
}

static const struct docker_limits some_limits = {
	.memory = 64 << 20, .nano_cpus = 500000000, .pids = 64, .log_bytes = 1
};

static void
test_a_job_is_locked_in(void **state)
{
	const char *const command[] = { "/bin/sh", "-c", "a \"b\"\n", NULL };
	const struct docker_label label = { "davit.node", "n" };
	struct docker_container_spec spec = { .role = DOCKER_JOB,
		.image = "sha256:ab",
		.command = command,
		.open_stdin = true,
		.network = "container:pause",
		.labels = &label,
		.label_count = 1,
		.limits = some_limits };
	struct json *doc = container_body(&spec, false);
	const struct json_value *root = json_root(doc), *host = json_get(root, "HostConfig");

	(void)state;
	assert_string_equal(json_string(json_at(json_get(root, "Entrypoint"), 2), ""), "a \"b\"\n");
	assert_int_equal(json_count(json_get(root, "Cmd")), 0);
	assert_string_equal(json_string(json_get(root, "User"), ""), "0:0");
	assert_true(json_bool(json_get(root, "StdinOnce"), false));
	assert_string_equal(json_string(json_get(json_get(root, "Labels"), "davit.node"), ""), "n");
	assert_string_equal(json_string(json_at(json_path(root, "Healthcheck.Test"), 0), ""), "NONE");
	assert_false(json_bool(json_get(host, "Privileged"), true));
	assert_string_equal(json_string(json_at(json_get(host, "CapDrop"), 0), ""), "ALL");
	assert_int_equal(json_count(json_get(host, "CapAdd")), 7);
	assert_string_equal(json_string(json_at(json_get(host, "SecurityOpt"), 0), ""), "no-new-privileges");
	assert_int_equal(json_int(json_get(host, "Memory"), 0), 64 << 20);
	assert_int_equal(json_int(json_get(host, "MemorySwap"), 0), 64 << 20);
	assert_int_equal(json_int(json_get(host, "PidsLimit"), 0), 64);
	assert_int_equal(json_int(json_get(host, "OomScoreAdj"), 0), 500);
	assert_string_equal(json_string(json_path(host, "LogConfig.Type"), ""), "local");
	assert_string_equal(json_string(json_get(json_path(host, "LogConfig.Config"), "max-size"), ""), "1073741824");
	assert_string_equal(json_string(json_get(json_path(host, "LogConfig.Config"), "max-file"), ""), "1");
	assert_non_null(strstr(json_string(json_get(json_get(host, "Tmpfs"), "/tmp"), ""), "nosuid,nodev,mode=1777"));
	assert_string_equal(json_string(json_get(host, "NetworkMode"), ""), "container:pause");
	json_free(&doc);
}

static void
test_the_engines_copy_is_larger_than_the_budget(void **state)
{
	struct docker_container_spec spec = {
		.role = DOCKER_JOB, .image = "x", .network = "none", .limits = some_limits
	};
	struct json *doc;

	(void)state;
	spec.limits.log_bytes = 3ULL << 30;
	doc = container_body(&spec, false);
	assert_string_equal(
	    json_string(json_get(json_path(json_root(doc), "HostConfig.LogConfig.Config"), "max-size"), ""),
	    "6442450944");
	json_free(&doc);
}

/* Podman has no driver "local" and takes none of its options but the size. */
static void
test_the_engines_copy_with_podman(void **state)
{
	struct docker_container_spec spec = {
		.role = DOCKER_JOB, .image = "x", .network = "none", .limits = some_limits
	};
	struct json *doc = container_body(&spec, true);
	const struct json_value *log = json_path(json_root(doc), "HostConfig.LogConfig");

	(void)state;
	assert_string_equal(json_string(json_get(log, "Type"), ""), "k8s-file");
	assert_int_equal(json_count(json_get(log, "Config")), 1);
	json_free(&doc);
}

static void
test_podman_is_known_by_its_version(void **state)
{
	struct docker_version version;
	struct err err;

	(void)state;
	assert_true(docker_reply_version(STR("{\"Components\":[{\"Name\":\"Podman Engine\"},{\"Name\":\"Conmon\"}],"
					     "\"Version\":\"4.3.1\",\"ApiVersion\":\"1.41\"}"),
	    &version, &err));
	assert_true(version.is_podman);
	assert_true(docker_reply_version(
	    STR("{\"Components\":[{\"Name\":\"Engine\"}],\"ApiVersion\":\"1.41\",\"Os\":\"linux\",\"Arch\":\"arm\"}"),
	    &version, &err));
	assert_string_equal(version.platform.text, "linux/arm/v7");
	assert_false(version.is_podman);
	assert_true(docker_reply_version(STR("{\"ApiVersion\":\"1.41\"}"), &version, &err));
	assert_false(version.is_podman);
}

static void
test_registries_without_tls(void **state)
{
	static const char info[] =
	    "{\"RegistryConfig\":{\"InsecureRegistryCIDRs\":[\"10.20.0.0/16\",\"x/8\",\"127.0.0.0/"
	    "8\"],\"IndexConfigs\":{"
	    "\"docker.io\":{\"Secure\":true},\"r.lan:5000\":{\"Secure\":false},\"a b\":{\"Secure\":false}}}}";
	static const char *const clear[] = { "r.lan:5000", "10.20.3.4", "10.20.255.1:5000", "127.0.0.1:5000",
		"localhost:5000", "localhost", "[::1]:5000" };
	static const char *const not_clear[] = { "docker.io", "r.lan", "r.lan:5001", "10.21.0.1:5000", "a", "b",
		"1.2.3", "10.20.3.4.example", "127.0.0.1.example", "127.example" };
	struct clear_registries registries;

	(void)state;
	assert_true(clear_registries_read(STR(info), &registries, NULL));
	for (size_t i = 0; i < sizeof(clear) / sizeof(clear[0]); i++)
		if (!clear_registries_have(&registries, clear[i]))
			fail_msg("%s", clear[i]);
	for (size_t i = 0; i < sizeof(not_clear) / sizeof(not_clear[0]); i++)
		if (clear_registries_have(&registries, not_clear[i]))
			fail_msg("%s", not_clear[i]);
	assert_true(clear_registries_read(STR("{}"), &registries, NULL)); /* Podman's */
	assert_false(clear_registries_have(&registries, "r.lan:5000"));
	assert_false(clear_registries_read(STR("[]"), &registries, NULL));
}

static void
test_a_network_holder_may_set_routes_only(void **state)
{
	const char *const command[] = { "/bin/busybox", "sh", NULL };
	struct docker_container_spec spec = { .role = DOCKER_NETWORK,
		.image = "davit/pause:1",
		.command = command,
		.network = "davit-n-net-0",
		.alias = "mysql",
		.hostname = "mysql",
		.limits = some_limits };
	struct json *doc = container_body(&spec, false);
	const struct json_value *host = json_get(json_root(doc), "HostConfig");

	(void)state;
	assert_int_equal(json_count(json_get(host, "CapAdd")), 1);
	assert_string_equal(json_string(json_at(json_get(host, "CapAdd"), 0), ""), "NET_ADMIN");
	assert_true(json_bool(json_get(host, "ReadonlyRootfs"), false));
	assert_string_equal(json_string(json_path(host, "LogConfig.Type"), ""), "none");
	assert_string_equal(
	    json_string(json_at(json_get(json_get(json_path(json_root(doc), "NetworkingConfig.EndpointsConfig"),
					     "davit-n-net-0"),
				    "Aliases"),
			    0),
		""),
	    "mysql");
	json_free(&doc);
}

static void
test_a_service_keeps_its_images_command(void **state)
{
	struct env_var var = { (char *)"A", (char *)"1 = \"2\"" };
	struct env env = { .vars = &var, .count = 1 };
	struct docker_container_spec spec = { .role = DOCKER_SERVICE,
		.image = "mysql:5.5",
		.env = &env,
		.network = "container:p",
		.health_often = true,
		.limits = some_limits };
	struct json *doc = container_body(&spec, false);
	const struct json_value *root = json_root(doc);

	(void)state;
	assert_null(json_get(root, "Entrypoint"));
	assert_null(json_get(root, "User"));
	assert_string_equal(json_string(json_at(json_get(root, "Env"), 0), ""), "A=1 = \"2\"");
	assert_int_equal(json_int(json_path(root, "Healthcheck.Interval"), 0), 1000000000);
	assert_null(json_path(root, "Healthcheck.Test"));
	json_free(&doc);
}

static void
test_small_bodies_and_filters(void **state)
{
	const struct docker_label label = { "davit.node", "n" };
	char *text;

	(void)state;
	text = docker_label_filter("davit.node", "n");
	assert_string_equal(text, "{\"label\":[\"davit.node=n\"]}");
	free(text);
	text = docker_label_filter("davit.node", NULL);
	assert_string_equal(text, "{\"label\":[\"davit.node\"]}");
	free(text);
	text = docker_event_filter("ab", "health_status");
	assert_string_equal(text, "{\"container\":[\"ab\"],\"event\":[\"health_status\"]}");
	free(text);
	text = docker_image_event_filter();
	assert_string_equal(text, "{\"type\":[\"image\"]}");
	free(text);
	text = docker_network_body("davit-n-net-0", &label, 1, NULL);
	assert_string_equal(text,
	    "{\"Name\":\"davit-n-net-0\",\"CheckDuplicate\":true,\"Driver\":\"bridge\",\"EnableIPv6\":false,"
	    "\"Labels\":{\"davit.node\":\"n\"}}");
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames_at_every_cut),
		cmocka_unit_test(test_a_cut_frame_is_noticed),
		cmocka_unit_test(test_what_is_no_frame_is_refused),
		cmocka_unit_test(test_lines_at_every_cut),
		cmocka_unit_test(test_a_line_has_a_limit),
		cmocka_unit_test(test_error_messages),
		cmocka_unit_test(test_ids_are_checked),
		cmocka_unit_test(test_exit_codes),
		cmocka_unit_test(test_container_is_read),
		cmocka_unit_test(test_twins_are_told_from_others),
		cmocka_unit_test(test_image_is_read),
		cmocka_unit_test(test_an_images_digest_is_that_of_its_repository),
		cmocka_unit_test(test_lists_are_read),
		cmocka_unit_test(test_progress_and_events),
		cmocka_unit_test(test_a_job_is_locked_in),
		cmocka_unit_test(test_the_engines_copy_is_larger_than_the_budget),
		cmocka_unit_test(test_the_engines_copy_with_podman),
		cmocka_unit_test(test_podman_is_known_by_its_version),
		cmocka_unit_test(test_registries_without_tls),
		cmocka_unit_test(test_a_network_holder_may_set_routes_only),
		cmocka_unit_test(test_a_service_keeps_its_images_command),
		cmocka_unit_test(test_small_bodies_and_filters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
