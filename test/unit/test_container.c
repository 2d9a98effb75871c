/* Whatever a plan says: every request that it leads to has only members of the list below, with values of the list.
 * 100,000 plans: random texts that the reader takes, and jobs of random values that no reader would make. */
#include "test/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/docker_spec.h"
#include "proto/json.h"
#include "proto/mem.h"
#include "proto/pipeline.h"
#include "server/builder/container.h"
#include "server/builder/parts.h"

enum { PLANS = 100000 };

#define VOLUME "davit-n1-workspace-17.2-1"
#define HOLDER "container:0123abc"
#define NETWORK "davit-n1-net-1"

static const struct builder_limits most = {
	.memory = 2ULL << 30, .nano_cpus = 3000000000, .pids = 512, .log_bytes = 64 << 20
};
static const struct docker_label labels[] = { { "davit.node", "n1" }, { "davit.job", "17.2" } };

/* --- the list --- */

enum rule_kind {
	ONE_OF,   /* of the texts, numbers or booleans as JSON has them */
	ANY_TEXT, /* what the user may choose */
	TEXTS,    /* a list of any texts */
	EXACTLY,  /* the value is this, as JSON */
	AT_MOST,  /* a number from 1 on */
};

static const struct rule {
	const char *path;
	enum rule_kind kind;
	const char *values; /* apart by | */
	uint64_t most;
} rules[] = {
	{ "Image", ONE_OF, "\"sha256:1\"", 0 },
	{ "Entrypoint", TEXTS, NULL, 0 },
	{ "Cmd", EXACTLY, "[]", 0 },
	{ "Env", TEXTS, NULL, 0 }, /* of a service */
	{ "User", ONE_OF, "\"0:0\"", 0 },
	{ "WorkingDir", ONE_OF, "\"/\"", 0 },
	{ "Hostname", ANY_TEXT, NULL, 0 }, /* of a service's holder */
	{ "Tty", ONE_OF, "false", 0 },
	{ "OpenStdin", ONE_OF, "true|false", 0 },
	{ "StdinOnce", ONE_OF, "true|false", 0 },
	{ "AttachStdin", ONE_OF, "true|false", 0 },
	{ "Healthcheck", ONE_OF, "{\"Test\":[\"NONE\"]}|{\"Interval\":1000000000}", 0 },
	{ "Labels", EXACTLY, "{\"davit.node\":\"n1\",\"davit.job\":\"17.2\"}", 0 },
	{ "HostConfig.Privileged", ONE_OF, "false", 0 },
	{ "HostConfig.CapDrop", EXACTLY, "[\"ALL\"]", 0 },
	{ "HostConfig.CapAdd", ONE_OF,
	    "[\"CHOWN\",\"DAC_OVERRIDE\",\"FOWNER\",\"FSETID\",\"KILL\",\"SETGID\",\"SETUID\"]", 0 },
	{ "HostConfig.SecurityOpt", EXACTLY, "[\"no-new-privileges\"]", 0 },
	{ "HostConfig.Memory", AT_MOST, NULL, 2ULL << 30 },
	{ "HostConfig.MemorySwap", AT_MOST, NULL, 2ULL << 30 },
	{ "HostConfig.NanoCpus", AT_MOST, NULL, 3000000000 },
	{ "HostConfig.PidsLimit", AT_MOST, NULL, 512 },
	{ "HostConfig.Ulimits", EXACTLY,
	    "[{\"Name\":\"nofile\",\"Soft\":4096,\"Hard\":4096},{\"Name\":\"core\",\"Soft\":0,\"Hard\":0},"
	    "{\"Name\":\"memlock\",\"Soft\":65536,\"Hard\":65536}]",
	    0 },
	{ "HostConfig.Tmpfs", ONE_OF,
	    "{\"/tmp\":\"rw,exec,nosuid,nodev,mode=1777,size=512m\"}|"
	    "{\"/tmp\":\"rw,exec,nosuid,nodev,mode=1777,size=512m\","
	    "\"/davit\":\"rw,noexec,nosuid,nodev,mode=0700,size=8m\"}",
	    0 },
	{ "HostConfig.Mounts", EXACTLY, "[{\"Type\":\"volume\",\"Source\":\"" VOLUME "\",\"Target\":\"/workspace\"}]",
	    0 },
	{ "HostConfig.Init", ONE_OF, "true|false", 0 },
	{ "HostConfig.OomScoreAdj", ONE_OF, "500", 0 },
	{ "HostConfig.LogConfig", ONE_OF,
	    "{\"Type\":\"local\",\"Config\":{\"max-size\":\"1073741824\",\"max-file\":\"1\",\"compress\":\"false\"}}|"
	    "{\"Type\":\"k8s-file\",\"Config\":{\"max-size\":\"1073741824\"}}",
	    0 },
	{ "HostConfig.NetworkMode", ONE_OF, "\"" HOLDER "\"", 0 },
};

/* A holder's container is ours, but for its name in the network: these instead of the above. */
static const struct rule holder_rules[] = {
	{ "HostConfig.CapAdd", EXACTLY, "[\"NET_ADMIN\"]", 0 },
	{ "HostConfig.ReadonlyRootfs", ONE_OF, "true", 0 },
	{ "HostConfig.LogConfig", EXACTLY, "{\"Type\":\"none\",\"Config\":{}}", 0 },
	{ "HostConfig.NetworkMode", ONE_OF, "\"" NETWORK "\"", 0 },
	{ "HostConfig.NanoCpus", ONE_OF, "0", 0 },
	{ "NetworkingConfig.EndpointsConfig." NETWORK ".Aliases", TEXTS, NULL, 0 },
};

static const struct rule exec_rules[] = {
	{ "AttachStdin", ONE_OF, "true", 0 },
	{ "AttachStdout", ONE_OF, "true", 0 },
	{ "AttachStderr", ONE_OF, "true", 0 },
	{ "Tty", ONE_OF, "true|false", 0 },
	{ "Privileged", ONE_OF, "false", 0 },
	{ "Cmd", TEXTS, NULL, 0 },
	{ "Env", TEXTS, NULL, 0 },
	{ "WorkingDir", ONE_OF, "\"/\"", 0 },
};

static const struct rule *
find_rule(const struct rule *list, size_t count, const char *path)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(list[i].path, path) == 0)
			return &list[i];
	return NULL;
}

/* The value as JSON without blanks. */
static void
print_value(struct json_writer *w, const struct json_value *v)
{
	switch (json_type(v)) {
	case JSON_NULL:
		json_write_null(w);
		break;
	case JSON_BOOL:
		json_write_bool(w, json_bool(v, false));
		break;
	case JSON_NUMBER:
		json_write_int(w, json_int(v, -1));
		break;
	case JSON_STRING:
		json_write_string(w, json_string(v, ""));
		break;
	case JSON_ARRAY:
		json_write_array_open(w);
		for (size_t i = 0; i < json_count(v); i++)
			print_value(w, json_at(v, i));
		json_write_array_close(w);
		break;
	case JSON_OBJECT:
		json_write_object_open(w);
		for (size_t i = 0; i < json_count(v); i++) {
			json_write_key(w, json_key_at(v, i));
			print_value(w, json_at(v, i));
		}
		json_write_object_close(w);
		break;
	}
}

static bool
is_one_of(const struct json_value *v, const char *values)
{
	struct json_writer *w = json_writer_new(1 << 20);
	struct str rest = str_of(values);
	bool found = false;
	char *text;

	print_value(w, v);
	text = json_writer_finish(&w, NULL);
	while (rest.len > 0 && !found)
		found = str_is(str_cut(&rest, '|'), text);
	free(text);
	return found;
}

static bool
are_texts(const struct json_value *v)
{
	for (size_t i = 0; i < json_count(v); i++)
		if (json_type(json_at(v, i)) != JSON_STRING)
			return false;
	return json_type(v) == JSON_ARRAY;
}

static bool
fits(const struct rule *rule, const struct json_value *v)
{
	switch (rule->kind) {
	case ONE_OF:
	case EXACTLY:
		return is_one_of(v, rule->values);
	case ANY_TEXT:
		return json_type(v) == JSON_STRING;
	case TEXTS:
		return are_texts(v);
	case AT_MOST:
		return json_int(v, 0) >= 1 && (uint64_t)json_int(v, 0) <= rule->most;
	}
	return false;
}

/* Every member is in the list, or is an object whose members are. first goes before second. */
static void
check_object(const struct json_value *v, const char *path, const struct rule *first, size_t first_count,
    const struct rule *second, size_t second_count)
{
	for (size_t i = 0; i < json_count(v); i++) {
		char *below = xasprintf("%s%s%s", path, path[0] != '\0' ? "." : "", json_key_at(v, i));
		const struct rule *rule = find_rule(first, first_count, below);

		if (rule == NULL)
			rule = find_rule(second, second_count, below);
		if (rule == NULL && json_type(json_at(v, i)) == JSON_OBJECT && json_count(json_at(v, i)) > 0)
			check_object(json_at(v, i), below, first, first_count, second, second_count);
		else if (rule == NULL || !fits(rule, json_at(v, i)))
			fail_msg("%s is not in the list, or has another value", below);
		free(below);
	}
}

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static void
check_body(char *body, size_t len, const struct rule *first, size_t first_count, bool is_container)
{
	struct json *doc;
	struct err err;

	if (!json_parse((struct str){ body, len }, NULL, &doc, &err))
		fail_msg("%s", err.text);
	check_object(json_root(doc), "", first, first_count, rules, is_container ? COUNT(rules) : 0);
	if (is_container) { /* what must be there */
		const struct json_value *host = json_get(json_root(doc), "HostConfig");

		assert_int_equal(json_count(json_get(host, "CapDrop")), 1);
		assert_int_equal(json_count(json_get(host, "SecurityOpt")), 1);
		assert_int_equal(json_int(json_get(host, "Memory"), 0), json_int(json_get(host, "MemorySwap"), -1));
		assert_true(json_int(json_get(host, "PidsLimit"), 0) > 0);
	}
	json_free(&doc);
	free(body);
}

static void
check_container(const struct docker_container_spec *spec, bool for_podman, bool is_holder)
{
	size_t len;
	char *body = docker_container_body(spec, for_podman, &len);

	check_body(body, len, holder_rules, is_holder ? COUNT(holder_rules) : 0, true);
}

/* --- what a job leads to --- */

static void
check_parts(const struct job_spec *job, const struct builder_limits *limits, bool for_podman)
{
	const char *const command[] = { "/bin/sh", "-c", "x", NULL };
	struct parts parts;

	parts_init(&parts, job);
	for (size_t i = 0; i < parts.count; i++) {
		struct container_place place = { .image = "sha256:1",
			.network = HOLDER,
			.volume = parts.count > 1 ? VOLUME : NULL,
			.labels = labels,
			.label_count = COUNT(labels) };
		struct docker_container_spec spec = container_of_job(&place, command, i % 2 == 0, limits);

		check_container(&spec, for_podman, false);
	}
	parts_fini(&parts);
}

static void
check_services(const struct job_spec *job, bool for_podman)
{
	const char *const command[] = { "/bin/busybox", "sh", "-c", "x", NULL };
	struct container_place holder = {
		.image = "sha256:1", .network = NETWORK, .labels = labels, .label_count = COUNT(labels)
	};
	struct container_place place = holder;

	place.network = HOLDER;
	for (size_t i = 0; i < job->service_count; i++) {
		struct docker_container_spec spec = container_of_service(&place, &job->services[i], i % 2 == 1, &most);

		check_container(&spec, for_podman, false);
		spec = container_of_holder(&holder, job->services[i].name, command);
		check_container(&spec, for_podman, true);
	}
}

static void
check_job(const struct job_spec *job, bool for_podman)
{
	static const struct rule update_rules[] = { { "Memory", AT_MOST, NULL, 2ULL << 30 },
		{ "MemorySwap", AT_MOST, NULL, 2ULL << 30 }, { "NanoCpus", AT_MOST, NULL, 3000000000 },
		{ "PidsLimit", AT_MOST, NULL, 512 } };
	const char *const command[] = { "/bin/sh", NULL };
	const char *const env[] = { "TERM=xterm", NULL };
	const struct docker_exec_spec exec = { .command = command, .env = env, .workdir = "/", .tty = true };
	struct builder_limits limits;
	struct docker_limits asked;
	struct err err;
	size_t len;
	char *body;

	if (!container_limits(&job->resources, &most, &limits, &err)) {
		assert_int_equal(err.code, ERR_INPUT);
		return;
	}
	check_parts(job, &limits, for_podman);
	check_services(job, for_podman);
	asked = container_docker_limits(&limits);
	body = docker_update_body(&asked, &len);
	check_body(body, len, update_rules, COUNT(update_rules), false);
	body = docker_exec_body(&exec, &len);
	check_body(body, len, exec_rules, COUNT(exec_rules), false);
}

/* --- random plans --- */

static uint64_t seed = 88172645463325252u;

static uint64_t
random_number(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static size_t
random_below(size_t n)
{
	return (size_t)(random_number() % n);
}

/* Words that would weaken the isolation if they came through, and bytes. */
static char *
random_text(void)
{
	static const char *const words[] = { "privileged", "HostConfig", "/var/run/docker.sock:/var/run/docker.sock",
		"\",\"Privileged\":true,\"x\":\"", "host", "SYS_ADMIN", "seccomp=unconfined", "../..", "container:1",
		"db", "alpine:3", "--cap-add=ALL", "/dev/kmsg", "volume", "{\"Binds\":[\"/:/host\"]}" };
	char bytes[24];
	size_t len;

	if (random_below(2) == 0)
		return xstrdup(words[random_below(COUNT(words))]);
	len = random_below(sizeof(bytes));
	for (size_t i = 0; i < len; i++)
		bytes[i] = (char)(1 + random_below(126)); /* the writer takes UTF-8 */
	return xstrndup(bytes, len);
}

static void
random_env(struct env *env)
{
	for (size_t n = random_below(3); n > 0; n--) {
		char *name = random_text(), *value = random_text();

		env_add(env, name, value);
		free(name);
		free(value);
	}
}

static void
random_segments(struct job_spec *job)
{
	job->segment_count = random_below(4);
	job->segments = xcalloc(job->segment_count + 1, sizeof(*job->segments));
	for (size_t i = 0; i < job->segment_count; i++) {
		job->segments[i].name = random_text();
		job->segments[i].image = random_below(2) == 0 ? random_text() : NULL;
		job->segments[i].always = random_below(3) == 0;
		random_env(&job->segments[i].env);
	}
}

static void
check_random_job(void)
{
	static const uint64_t amounts[] = { 0, 1, 1 << 20, 2ULL << 30, (2ULL << 30) + 1, UINT64_MAX, INT64_MAX };
	struct job_spec job = { .name = random_text(), .image = random_text() };

	random_env(&job.env);
	random_segments(&job);
	job.service_count = random_below(3);
	job.services = xcalloc(job.service_count + 1, sizeof(*job.services));
	for (size_t i = 0; i < job.service_count; i++) {
		job.services[i] = (struct service_spec){ .name = random_text(), .image = random_text() };
		job.services[i].ready_port = (unsigned)random_below(70000);
		random_env(&job.services[i].env);
	}
	job.resources.memory = random_below(2) == 0 ? amounts[random_below(COUNT(amounts))] : random_number();
	job.resources.nano_cpus = random_below(2) == 0 ? amounts[random_below(COUNT(amounts))] : random_number();
	check_job(&job, random_below(2) == 0);
	job_spec_fini(&job);
}

/* Lines of a file, some of them such as the language does not have, with a byte changed here and there. */
static unsigned
check_random_text(void)
{
	static const char *const lines[] = { "image: alpine:3\n", "script:\n  - make\n", "services: [mysql, redis]\n",
		"env:\n  - A = \"1\"\n", "privileged: true\n", "volumes: [\"/:/host\"]\n", "network_mode: host\n",
		"resources: {memory: 1g, cpus: 2}\n", "resources: {memory: 64g}\n",
		"jobs:\n  a:\n    image: b:1\n    steps:\n      - {name: x, image: c:2, run: make}\n      - run: "
		"test\n",
		"jobs:\n  a:\n    image: b:1\n    script: make\n    services:\n      - {name: db, image: d:1, env: {A: "
		"b}}\n",
		"after_script:\n  - true\n", "hold_on_failure: 10m\n",
		"services:\n  - {name: db, image: d:1, privileged: true}\n", "cap_add: [SYS_ADMIN]\n",
		"cache: {paths: [/]}\n" };
	struct plan *plan = NULL;
	unsigned parsed = 0;
	struct err err;
	struct buf b;

	buf_init(&b, 8192);
	if (random_below(2) == 0)
		buf_adds(&b, "image: alpine:3\nscript:\n  - make\n");
	for (size_t n = random_below(4); n > 0; n--)
		buf_adds(&b, lines[random_below(COUNT(lines))]);
	if (b.len > 0 && random_below(3) == 0)
		b.data[random_below(b.len)] = (char)random_below(256);
	if (pipeline_parse(buf_str(&b), "f", NULL, &plan, &err)) {
		for (size_t i = 0; i < plan->job_count; i++)
			if (plan->jobs[i].kind == JOB_KIND_SCRIPT)
				check_job(&plan->jobs[i], random_below(2) == 0);
		plan_free(&plan);
		parsed = 1;
	}
	buf_fini(&b);
	return parsed;
}

static void
test_no_plan_weakens_the_isolation(void **state)
{
	unsigned parsed = 0, tried = 0;

	(void)state;
	for (unsigned i = 0; i < PLANS; i++) {
		if (i % 2 == 0) {
			check_random_job();
			continue;
		}
		parsed += check_random_text();
		tried++;
	}
	print_message("%u of %u random texts were pipelines\n", parsed, tried);
	assert_true(parsed > tried / 10);
}

/* The list is no list if it takes everything. */
static void
test_the_list_refuses(void **state)
{
	static const char *const bad[] = { "{\"HostConfig\":{\"Privileged\":true}}", "{\"HostConfig\":{\"Binds\":[]}}",
		"{\"HostConfig\":{\"Mounts\":[{\"Type\":\"bind\",\"Source\":\"/\",\"Target\":\"/host\"}]}}",
		"{\"HostConfig\":{\"PidMode\":\"host\"}}", "{\"HostConfig\":{\"NetworkMode\":\"host\"}}",
		"{\"HostConfig\":{\"CapAdd\":[\"SYS_ADMIN\"]}}", "{\"HostConfig\":{\"Devices\":[]}}",
		"{\"HostConfig\":{\"Memory\":2147483649}}", "{\"Volumes\":{\"/x\":{}}}", "{\"User\":\"0\"}" };

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct json *doc;
		const struct json_value *v;
		const struct rule *rule;
		char path[100];

		assert_true(json_parse(str_of(bad[i]), NULL, &doc, NULL));
		v = json_root(doc);
		snprintf(path, sizeof(path), "%s", json_key_at(v, 0));
		v = json_at(v, 0);
		if (strcmp(path, "HostConfig") == 0) {
			snprintf(path, sizeof(path), "HostConfig.%s", json_key_at(v, 0));
			v = json_at(v, 0);
		}
		rule = find_rule(rules, COUNT(rules), path);
		if (rule != NULL && fits(rule, v))
			fail_msg("the list takes %s", bad[i]);
		json_free(&doc);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_list_refuses),
		cmocka_unit_test(test_no_plan_weakens_the_isolation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
