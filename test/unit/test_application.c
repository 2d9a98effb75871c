/* Applications as pipelines describe them: what is read, what is refused and where, and what comes back from JSON. */
#include "test/unit/unit.h"

#include <stdlib.h>

#include "proto/application.h"
#include "proto/json.h"
#include "proto/mem.h"
#include "proto/pipeline.h"

static struct plan *
plan_of(const char *application, struct err *err)
{
	char *text =
	    xasprintf("jobs:\n  live:\n    deploy:\n      environment: live\n      application: %s\n", application);
	struct plan *plan = NULL;

	*err = ERR_OK;
	pipeline_parse(str_of(text), "f", NULL, &plan, err);
	free(text);
	return plan;
}

/* What is refused, behind "f:". */
static void
refuse(const char *application, const char *message)
{
	struct err err;
	struct plan *plan = plan_of(application, &err);

	assert_null(plan);
	assert_true(strlen(err.text) > 2);
	assert_string_equal(err.text + 2, message);
}

static void
accept_as(const char *application, void (*look)(const struct application *application))
{
	struct job_spec again;
	struct err err;
	struct plan *plan = plan_of(application, &err);
	char *json;

	if (plan == NULL)
		fail_msg("%s", err.text);
	json = job_spec_to_json(&plan->jobs[0]);
	assert_true(job_spec_from_json(str_of(json), &again, &err));
	look(plan->jobs[0].deploy->application);
	look(again.deploy->application);
	assert_string_equal(again.deploy->image, plan->jobs[0].deploy->image);
	job_spec_fini(&again);
	plan_free(&plan);
	free(json);
}

static void
look_at_one(const struct application *a)
{
	const struct application_service *s = a->services;

	assert_int_equal(a->service_count, 1);
	assert_string_equal(s->name, "app");
	assert_string_equal(s->image, "acme/boat:1");
	assert_string_equal(s->ports.items[0], "127.0.0.1:8080-8081:80/tcp");
	assert_int_equal(s->replicas, 2);
	assert_int_equal(s->order, APPLICATION_STOP_FIRST);
	assert_int_equal(s->probe_port, 80);
	assert_string_equal(s->probe_path, "/health?x=1");
	assert_int_equal(s->stable_s, 2);
	assert_int_equal(s->gate_s, APPLICATION_GATE_S);
	assert_int_equal(s->memory, 64 << 20);
	assert_int_equal(s->nano_cpus, 500000000);
	assert_string_equal(s->env.vars[0].value, "$HOST:80");
	assert_string_equal(s->command.items[1], "--fast");
	assert_int_equal(s->drain_s, 0);
}

static void
test_one_service(void **state)
{
	(void)state;
	accept_as("{image: acme/boat:1, ports: ['127.0.0.1:8080-8081:80'], replicas: 2, mem_limit: 64m, cpus: 0.5,"
		  " environment: {TO: '$HOST:80'}, command: serve --fast, gate: {http: '80/health?x=1', stable: 2s}}",
	    look_at_one);
}

static void
look_at_ingress(const struct application *a)
{
	const struct application_service *s = a->services;

	assert_string_equal(s->ports.items[0], "8080:80/tcp");
	assert_string_equal(s->ports.items[1], ":53/udp");
	assert_int_equal(s->publish, APPLICATION_PUBLISH_INGRESS);
	assert_true(s->dnsrr);
	assert_int_equal(s->order, APPLICATION_START_FIRST); /* the port is the swarm's, not the container's */
}

static void
look_at_host(const struct application *a)
{
	assert_int_equal(a->services->publish, APPLICATION_PUBLISH_HOST);
	assert_int_equal(a->services->order, APPLICATION_STOP_FIRST);
}

static void
test_ports_of_a_swarm(void **state)
{
	(void)state;
	accept_as(
	    "{image: acme/boat:1, replicas: 3, deploy: {endpoint_mode: dnsrr}, ports: [{target: 80, published: 8080,"
	    " mode: ingress}, {target: 53, protocol: udp, mode: ingress}]}",
	    look_at_ingress);
	accept_as(
	    "{image: acme/boat:1, replicas: 3, ports: [{target: 80, published: 8080, mode: host}]}", look_at_host);
}

static void
look_at_several(const struct application *a)
{
	const struct application_service *db = &a->services[0], *web = &a->services[1];

	assert_int_equal(a->service_count, 2);
	assert_string_equal(db->name, "db");
	assert_int_equal(db->order, APPLICATION_STOP_FIRST); /* whose volume two at a time would spoil */
	assert_string_equal(db->health.items[0], "CMD-SHELL");
	assert_string_equal(db->health.items[1], "pg_isready -U ${USER}");
	assert_int_equal(db->health_interval_s, 5);
	assert_string_equal(web->name, "web");
	assert_int_equal(web->order, APPLICATION_START_FIRST);
	assert_int_equal(web->drain_s, APPLICATION_DRAIN_S);
	assert_int_equal(web->replicas, 3);
	assert_int_equal(web->memory, 1 << 30);
	assert_int_equal(web->stable_s, 7);
	assert_string_equal(web->ports.items[0], ":80/tcp");
	assert_string_equal(web->networks.items[0], "front");
}

static void
test_compose(void **state)
{
	(void)state;
	accept_as("{version: '3.8', volumes: {data: }, networks: {front: {}}, services: {"
		  "web: {image: 'acme/web:1', depends_on: {db: {condition: service_healthy}}, ports: [80],"
		  " labels: {traefik.enable: true}, networks: [front],"
		  " deploy: {replicas: 3, resources: {limits: {memory: 1g}}, update_config: {monitor: 7s}}},"
		  "db: {image: 'postgres:16', volumes: ['data:/var/lib/postgresql/data'],"
		  " healthcheck: {test: 'pg_isready -U ${USER}', interval: 5s}, restart: always}}}",
	    look_at_several);
}

static void
test_refused(void **state)
{
	(void)state;
	refuse("{image: a, port: [80]}", "5:31: unknown key \"port\" in a service; did you mean \"ports\"?");
	refuse("{image: a, privileged: true}",
	    "5:31: unknown key \"privileged\"; here it is not to be had: no job or service is privileged");
	refuse("{ports: ['80']}", "5:20: the service app has no image; write image: NAME, as in image: nginx:1.27");
	refuse("{image: a, ports: ['8080:80'], replicas: 2}",
	    "5:20: ports: each of the 2 replicas needs a port of its own; write \"8080-8081:80\", or in a swarm "
	    "{published: 8080, target: 80, mode: ingress}");
	refuse("{image: a, ports: [{target: 80, mode: host}, '80']}",
	    "5:65: ports: all ports of a service have the same mode");
	refuse("{image: a, ports: [{published: 80}]}", "5:39: ports: there is no target:, the port of the container");
	refuse("{image: a, ports: [{target: 80, mode: hots}]}", "5:58: mode: \"hots\" is none; did you mean \"host\"?");
	refuse("{image: a, ports: ['8080:http']}",
	    "5:39: ports: \"8080:http\" is no port; write 80, \"8080:80\", \"127.0.0.1:8080:80/tcp\", or "
	    "\"8080-8081:80\" for two replicas");
	refuse("{image: a, volumes: ['/etc:/etc']}",
	    "5:40: volumes: \"/etc:/etc\" is a folder of the machine, which no application sees; write NAME:/path");
	refuse("{image: a, ports: ['8080:80'], order: start-first}",
	    "5:20: order: start-first cannot be where ports of the machine are taken: the old container has them");
	refuse("{image: a, command: sh -c 'x'}",
	    "5:40: command: no shell reads it here; write a list of words, as in [sh, -c, \"...\"]");
	refuse("{image: a, restart: allways}", "5:40: restart: \"allways\" is none; did you mean \"always\"?");
	refuse("{services: {Web: {image: a}}}",
	    "5:32: services: \"Web\" is no name; use a-z, 0-9 and - within, at most 40");
	refuse("{services: {a: {image: a, depends_on: b}, b: {image: a, depends_on: [a]}}}",
	    "5:32: depends_on: the service a depends on itself, by way of others");
	refuse("{services: {a: {image: a, depends_on: c}}}", "5:32: depends_on: there is no service \"c\"");
	refuse("{services: {a: {image: a}}, volumes: {d: {external: true}}}",
	    "5:61: volumes: nothing can be said of d; it is the application's own, of the engine's own kind");
	refuse("[a]", "5:20: application wants a mapping with image: and ports:, or with services:, or the path of a "
		      "compose file, "
		      "not a list");
	refuse("compose.yml", "5:20: there is no file compose.yml, which describes the application");
	refuse("{image: a}\n      command: [x]",
	    "6:7: command stands beside application; the server itself deploys an application");
}

#define NAMING                                                         \
	"jobs:\n  a: {deploy: {environment: a, application: c.yml}}\n" \
	"  b: {needs: a, deploy: {environment: b, image: 'acme/boat:2', application: c.yml}}\n"

/* A file of the repository, which is read once for all. */
static void
test_file(void **state)
{
	static char good[] = "services:\n  web: {image: 'acme/web:1', ports: ['80']}\n",
		    bad[] = "services:\n  web: {imagine: x}\n";
	struct pipeline_includes includes;
	struct plan *plan;
	struct err err;

	(void)state;
	assert_true(pipeline_includes(STR(NAMING), "f", &includes, &err));
	assert_int_equal(includes.count, 1);
	assert_true(includes.items[0].is_application);
	assert_string_equal(includes.items[0].name, "c.yml");
	includes.items[0].text = xstrdup(good);
	includes.items[0].len = strlen(good);
	struct pipeline_context context = { .includes = &includes };
	assert_true(pipeline_parse(STR(NAMING), "f", &context, &plan, &err));
	assert_string_equal(plan->jobs[0].deploy->image, "acme/web:1");
	assert_string_equal(plan->jobs[1].deploy->application->services[0].image, "acme/web:1");
	plan_free(&plan);
	free(includes.items[0].text);
	includes.items[0].text = xstrdup(bad);
	includes.items[0].len = strlen(bad);
	assert_false(pipeline_parse(STR(NAMING), "f", &context, &plan, &err));
	assert_string_equal(err.text, "c.yml:2:9: unknown key \"imagine\" in a service; did you mean \"image\"?");
	pipeline_includes_fini(&includes);
	assert_false(pipeline_includes(STR("jobs: {a: {deploy: {application: ../x}}}"), "f", &includes, &err));
}

static void
test_ports(void **state)
{
	static const char *const bad[] = { "", "0", "80:", "x", "1:2:3:x", "70000", "9-8:80", "80/sctp", "a b:1:2",
		"-:80" };
	struct application_port port;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(application_port(bad[i], &port, NULL));
	assert_true(application_port("[::1]:53:5353/udp", &port, NULL));
	assert_string_equal(port.address, "::1");
	assert_int_equal(port.first, 53);
	assert_int_equal(port.port, 5353);
	assert_string_equal(port.protocol, "udp");
}

static void
expands_to(const char *value, const char *expected)
{
	struct env values = { 0 }, known = { 0 }, ret = { 0 };
	struct err err = ERR_OK;

	env_add(&known, "HOST", "h$");
	env_add(&values, "A", "1");
	env_add(&values, "B", value);
	if (application_env(&values, &known, &ret, &err))
		assert_string_equal(ret.vars[1].value, expected);
	else
		assert_string_equal(err.text, expected);
	env_fini(&values);
	env_fini(&known);
	env_fini(&ret);
}

static void
test_variables(void **state)
{
	(void)state;
	expands_to("$HOST:${A}$$HOST$", "h$:1$HOST$");
	expands_to("", "");
	expands_to("${", "${");
	expands_to("$NONE",
	    "the variable B: there is no variable NONE: set it in the environment, or name the secret in secrets:");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_service),
		cmocka_unit_test(test_compose),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_ports_of_a_swarm),
		cmocka_unit_test(test_variables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
