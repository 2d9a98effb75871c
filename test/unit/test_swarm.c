/* A Docker Swarm's services: their descriptions, what is read of them, and how an application's are replaced and taken
 * back, also by whoever finds them half-way. */
#include "test/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/docker_swarm.h"
#include "proto/json.h"
#include "proto/mem.h"
#include "proto/swarm_rollout.h"

static char web[] = "web", db[] = "db";
static struct application_service services[2];
static struct application application = { services, 2 };

static int
set_up(void **state)
{
	(void)state;
	services[0] = (struct application_service){ .name = web, .replicas = 2, .grace_s = 10, .stable_s = 3 };
	services[1] = (struct application_service){
		.name = db, .replicas = 1, .grace_s = 10, .stable_s = 3, .order = APPLICATION_STOP_FIRST
	};
	return 0;
}

/* --- names --- */

static void
expect_name(const char *repo, const char *environment, const char *name, const char *expected)
{
	char *got = docker_swarm_name(repo, environment, name);

	assert_string_equal(got, expected);
	free(got);
}

static void
test_names(void **state)
{
	static const char odd[][3][60] = { { "a.b", "c", "web" }, { "a_b", "c", "web" }, { "a", "b_c", "web" },
		{ "a/b", "c", "web" }, { "A-b", "c", "web" }, { "-", "-", "-" },
		{ "a-rather-long-name-of-a-repository", "production-of-it", "and-a-service" } };

	(void)state;
	expect_name("boat", "production", "web", "boat_production_web");
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		char *one = docker_swarm_name(odd[i][0], odd[i][1], odd[i][2]);

		assert_true(strlen(one) <= DOCKER_SERVICE_NAME_MAX);
		assert_int_equal(strspn(one, "abcdefghijklmnopqrstuvwxyz0123456789-"), strlen(one));
		assert_true(one[0] != '-' && one[strlen(one) - 1] != '-' && strstr(one, "--") == NULL);
		for (size_t k = 0; k < i; k++) {
			char *other = docker_swarm_name(odd[k][0], odd[k][1], odd[k][2]);

			assert_string_not_equal(one, other);
			free(other);
		}
		free(one);
	}
}

/* --- what is asked --- */

static char *
body_of(struct application_service *service)
{
	static struct env_var var = { .name = (char *)"A", .value = (char *)"1" };
	static const struct env env = { &var, 1 };
	static const struct docker_label label = { DOCKER_DEPLOYMENT_LABEL, "7" };
	const struct docker_service_spec spec = { "boat", "live", 7,
		{ .service = service,
		    .image = "docker.io/library/nginx@sha256:1234",
		    .env = &env,
		    .prefix = "boat.live.",
		    .labels = &label,
		    .label_count = 1 } };

	return docker_service_body(&spec, NULL);
}

static void
expect_part(const char *body, const char *part)
{
	if (strstr(body, part) == NULL)
		fail_msg("%s is not in %s", part, body);
}

static void
test_service_body(void **state)
{
	struct application_service *service = &services[0];
	char *body;

	(void)state;
	strings_add(&service->ports, STR("8080:80/tcp"));
	strings_add(&service->ports, STR(":53/udp"));
	strings_add(&service->volumes, STR("data:/data:ro"));
	strings_add(&service->tmpfs, STR("/run:size=4096"));
	strings_add(&service->labels, STR("team=boats"));
	strings_add(&service->networks, STR("front"));
	strings_add(&service->command, STR("serve"));
	service->memory = 1 << 20;
	service->nano_cpus = 500000000;
	service->drain_s = 5;
	body = body_of(service);
	expect_part(body, "{\"Name\":\"boat_live_web\",\"Labels\":{\"team\":\"boats\",\"davit.deployment\":\"7\"}");
	expect_part(body, "\"ContainerSpec\":{\"Image\":\"docker.io/library/"
			  "nginx@sha256:1234\",\"Args\":[\"serve\"],\"Env\":[\"A=1\"]");
	expect_part(body, "\"StopGracePeriod\":10000000000");
	expect_part(body, "{\"Type\":\"volume\",\"Source\":\"boat.live.data\",\"Target\":\"/data\",\"ReadOnly\":true}");
	expect_part(body, "{\"Type\":\"tmpfs\",\"Target\":\"/run\",\"TmpfsOptions\":{\"SizeBytes\":4096}}");
	expect_part(body, "\"Limits\":{\"MemoryBytes\":1048576,\"NanoCPUs\":500000000}");
	expect_part(body, "\"RestartPolicy\":{\"Condition\":\"any\"}");
	expect_part(body, "\"Networks\":[{\"Target\":\"boat_live_front\",\"Aliases\":[\"web\"]}],\"ForceUpdate\":7");
	expect_part(body, "\"Mode\":{\"Replicated\":{\"Replicas\":2}}");
	expect_part(body, "\"UpdateConfig\":{\"Parallelism\":1,\"Delay\":5000000000,\"Monitor\":3000000000,"
			  "\"FailureAction\":\"pause\","
			  "\"MaxFailureRatio\":0,\"Order\":\"start-first\"}");
	expect_part(
	    body, "\"RollbackConfig\":{\"Parallelism\":1,\"Monitor\":1000000000,\"FailureAction\":\"continue\"");
	expect_part(body,
	    "\"EndpointSpec\":{\"Mode\":\"vip\",\"Ports\":[{\"Protocol\":\"tcp\",\"TargetPort\":80,\"PublishedPort\":"
	    "8080,"
	    "\"PublishMode\":\"ingress\"},{\"Protocol\":\"udp\",\"TargetPort\":53,\"PublishMode\":\"ingress\"}]}");
	free(body);
	service->publish = APPLICATION_PUBLISH_HOST;
	service->dnsrr = true;
	service->restart = (char *)"no";
	body = body_of(service);
	expect_part(body, "\"PublishMode\":\"host\"");
	expect_part(body, "\"Mode\":\"dnsrr\"");
	expect_part(body, "\"Condition\":\"none\"");
	free(body);
	strings_fini(&service->ports);
	strings_fini(&service->volumes);
	strings_fini(&service->tmpfs);
	strings_fini(&service->labels);
	strings_fini(&service->networks);
	strings_fini(&service->command);
}

static void
expect_refusal(struct strings *list, const char *text, const char *words)
{
	struct err err;

	strings_add(list, str_of(text));
	assert_false(docker_service_check(&services[0], &err));
	assert_non_null(strstr(err.text, words));
	strings_fini(list);
}

static void
test_what_a_swarm_cannot_do(void **state)
{
	struct err err;

	(void)state;
	assert_true(docker_service_check(&services[0], &err));
	expect_refusal(&services[0].ports, "127.0.0.1:8080:80/tcp", "web: a swarm publishes a port on all addresses");
	expect_refusal(&services[0].ports, "8080-8081:80/tcp", "{published: 8080, target: 80, mode: ingress}");
	expect_refusal(&services[0].tmpfs, "/run:noexec", "web: tmpfs: /run:noexec cannot be had");
	services[0].probe_port = 80;
	assert_false(docker_service_check(&services[0], &err));
	assert_non_null(strstr(err.text, "use healthcheck:"));
}

static void
test_small_bodies(void **state)
{
	char *back = docker_service_back_body("boat_live_web", NULL), *filter = docker_task_filter("abc");

	(void)state;
	expect_part(back, "{\"Name\":\"boat_live_web\",\"TaskTemplate\":{\"ContainerSpec\":{\"Image\":");
	assert_string_equal(filter, "{\"service\":[\"abc\"]}");
	free(back);
	free(filter);
}

/* --- what is answered --- */

static void
test_services_reply(void **state)
{
	static const char body[] =
	    "[{\"ID\":\"s1\",\"Version\":{\"Index\":65},\"Spec\":{\"Name\":\"a_b_web\",\"Labels\":{\"davit."
	    "deployment\":\"2\"}},"
	    "\"PreviousSpec\":{\"Labels\":{\"davit.deployment\":\"1\"}},\"UpdateStatus\":{\"State\":\"paused\","
	    "\"Message\":\"update paused\"}},"
	    "{\"ID\":\"../"
	    "x\",\"Spec\":{\"Name\":\"bad\"}},{\"ID\":\"s2\",\"Version\":{\"Index\":7},\"Spec\":{\"Name\":\"new\"}},"
	    "{\"ID\":\"s3\",\"UpdateStatus\":{\"State\":\"rollback_completed\"}}]";
	struct docker_services got;
	struct err err;

	(void)state;
	assert_true(docker_reply_services(str_of(body), &got, &err));
	assert_int_equal(got.count, 3);
	assert_string_equal(got.items[0].id, "s1");
	assert_string_equal(got.items[0].name, "a_b_web");
	assert_int_equal(got.items[0].version, 65);
	assert_int_equal(got.items[0].update, DOCKER_UPDATE_PAUSED);
	assert_string_equal(got.items[0].message, "update paused");
	assert_string_equal(docker_label_of(got.items[0].labels, DOCKER_DEPLOYMENT_LABEL), "2");
	assert_string_equal(docker_label_of(got.items[0].previous, DOCKER_DEPLOYMENT_LABEL), "1");
	assert_null(got.items[1].previous);
	assert_string_equal(docker_label_of(got.items[1].labels, DOCKER_DEPLOYMENT_LABEL), "");
	assert_int_equal(got.items[1].update, DOCKER_UPDATE_NONE);
	assert_int_equal(got.items[2].update, DOCKER_UPDATE_BACK);
	docker_services_fini(&got);
	assert_false(docker_reply_services(STR("{}"), &got, &err));
	assert_int_equal(err.code, ERR_PROTO);
}

#define TASK(id, slot, state, desired, deployment)                             \
	"{\"ID\":\"" id "\",\"Slot\":" #slot ",\"Status\":{\"State\":\"" state \
	"\",\"Message\":\"m\",\"Err\":\"\"},\"DesiredState\":\"" desired       \
	"\",\"Spec\":{\"ContainerSpec\":{\"Labels\":{\"davit.deployment\":\"" #deployment "\"}}}}"

static enum swarm_health
judge(const char *body, enum docker_update update, struct swarm_view *view)
{
	const struct docker_service service = { .update = update, .message = "update paused" };
	struct docker_tasks tasks;
	struct err err;
	enum swarm_health health;

	assert_true(docker_reply_tasks(str_of(body), &tasks, &err));
	health = swarm_judge(&service, 2, 7, &tasks, view);
	docker_tasks_fini(&tasks);
	return health;
}

static void
test_judged_by_their_tasks(void **state)
{
	struct swarm_view view;

	(void)state;
	assert_int_equal(judge("[]", DOCKER_UPDATE_NONE, &view), SWARM_COMING);
	assert_int_equal(judge("[" TASK("a", 1, "running", "running", 6) "," TASK("b", 1, "running", "running", 7) "]",
			     DOCKER_UPDATE_RUNS, &view),
	    SWARM_COMING);
	assert_int_equal(view.running, 1);
	assert_int_equal(judge("[" TASK("a", 1, "running", "running", 7) "," TASK("b", 2, "pending", "running", 7) "]",
			     DOCKER_UPDATE_NONE, &view),
	    SWARM_COMING);
	assert_string_equal(view.why, "task 2: m");
	assert_int_equal(judge("[" TASK("a", 1, "running", "running", 7) "," TASK("b", 2, "running", "running", 7) "]",
			     DOCKER_UPDATE_RUNS, &view),
	    SWARM_COMING);
	assert_int_equal(
	    judge("[" TASK("a", 1, "running", "running", 7) "," TASK("b", 2, "running", "running", 7) "," TASK(
		      "c", 2, "running", "shutdown", 6) "," TASK("d", 2, "failed", "shutdown", 6) "]",
		DOCKER_UPDATE_DONE, &view),
	    SWARM_WELL);
	assert_int_equal(view.going, 1);
	assert_int_equal(view.ill, SIZE_MAX);
	assert_int_equal(judge("[" TASK("a", 1, "running", "running", 7) "," TASK("b", 1, "running", "running", 7) "]",
			     DOCKER_UPDATE_DONE, &view),
	    SWARM_COMING);
	assert_int_equal(view.running, 1);
	/* Of a node that is lost, whose place another has taken. */
	assert_int_equal(judge("[" TASK("a", 1, "running", "running", 7) "," TASK(
				   "b", 2, "running", "shutdown", 7) "," TASK("c", 2, "running", "running", 7) "]",
			     DOCKER_UPDATE_DONE, &view),
	    SWARM_WELL);
	assert_int_equal(
	    judge("[" TASK("a", 1, "running", "running", 7) "," TASK("b", 2, "rejected", "shutdown", 7) "]",
		DOCKER_UPDATE_RUNS, &view),
	    SWARM_ILL);
	assert_int_equal(view.ill, 1);
	assert_int_equal(judge("[" TASK("b", 2, "complete", "shutdown", 7) "]", DOCKER_UPDATE_NONE, &view), SWARM_ILL);
	assert_int_equal(judge("[]", DOCKER_UPDATE_PAUSED, &view), SWARM_ILL);
	assert_string_equal(view.why, "update paused");
	assert_int_equal(view.ill, SIZE_MAX);
}

/* --- step by step: a swarm of at most three services that does as it is told --- */

struct world {
	struct rollout rollout;
	struct swarm_service items[4];
	size_t count;
};

static void
add(struct world *w, const char *name, int64_t deployment, int64_t previous)
{
	w->items[w->count++] = (struct swarm_service){ .name = name, .deployment = deployment, .previous = previous };
}

static void
take(struct world *w, const struct swarm_step *step)
{
	struct swarm_service *service = step->there < w->count ? &w->items[step->there] : NULL;
	int64_t before;

	switch (step->action) {
	case SWARM_CREATE:
		add(w, application.services[step->wanted].name, w->rollout.deployment, 0);
		return;
	case SWARM_UPDATE:
		service->previous = service->deployment;
		service->deployment = w->rollout.deployment;
		return;
	case SWARM_WATCH:
		service->is_proved = true;
		return;
	case SWARM_BACK:
		before = service->previous;
		service->previous = service->deployment;
		service->deployment = before;
		service->update = DOCKER_UPDATE_GOES_BACK;
		return;
	case SWARM_AWAIT:
		service->update = DOCKER_UPDATE_BACK;
		return;
	case SWARM_REMOVE:
		*service = w->items[--w->count];
		return;
	case SWARM_COMMIT:
	case SWARM_DONE:
		return;
	}
}

static struct swarm_step
next(struct world *w, enum rollout_way way, char *told, size_t size)
{
	static const char *const names[] = { "create", "update", "watch", "back", "await", "remove", "commit", "done" };
	size_t len = strlen(told);
	struct swarm_step step;

	w->rollout.way = way;
	step = swarm_rollout_next(&w->rollout, w->items, w->count);
	snprintf(told + len, size - len, "%s%s%s%s", len > 0 ? ", " : "", names[step.action],
	    step.there < w->count || step.wanted != SIZE_MAX ? " " : "",
	    step.there < w->count     ? w->items[step.there].name
	    : step.wanted != SIZE_MAX ? application.services[step.wanted].name
				      : "");
	take(w, &step);
	return step;
}

static void
expect(struct world *w, enum rollout_way way, const char *steps)
{
	char told[1000] = "";
	struct swarm_step step;

	do
		step = next(w, way, told, sizeof(told));
	while (step.action != SWARM_COMMIT && step.action != SWARM_DONE && strlen(told) < 900);
	assert_string_equal(told, steps);
}

static void
test_first_deployment_and_its_way_back(void **state)
{
	struct world w = { .rollout = { &application, 1, 0, ROLLOUT_FORWARD } };

	(void)state;
	expect(&w, ROLLOUT_FORWARD, "create web, watch web, create db, watch db, commit");
	expect(&w, ROLLOUT_CLEAN, "done");
	assert_int_equal(swarm_rollout_base(&w.rollout, w.items, w.count), 0);
	expect(&w, ROLLOUT_BACK, "remove db, remove web, done");
}

static void
test_update_and_its_way_back(void **state)
{
	struct world w = { .rollout = { &application, 7, 4, ROLLOUT_FORWARD } };

	(void)state;
	add(&w, "web", 4, 3);
	add(&w, "old", 4, 3);
	expect(&w, ROLLOUT_FORWARD, "update web, watch web, create db, watch db, commit");
	assert_int_equal(swarm_rollout_base(&w.rollout, w.items, w.count), 4);
	expect(&w, ROLLOUT_BACK, "remove db, back web, await web, done");
	expect(&w, ROLLOUT_BACK, "done");
	w.items[0].is_proved = false;
	expect(&w, ROLLOUT_FORWARD, "update web, watch web, create db, watch db, commit");
	expect(&w, ROLLOUT_CLEAN, "remove old, done");
}

/* What somebody else has changed while it was under way is left alone, and so is what does not come back. */
static void
test_what_cannot_go_back(void **state)
{
	struct world w = { .rollout = { &application, 7, 4, ROLLOUT_BACK } };

	(void)state;
	add(&w, "web", 7, 7);
	add(&w, "db", 4, 7);
	w.items[1].update = DOCKER_UPDATE_GOES_BACK;
	w.items[1].is_lost = true;
	expect(&w, ROLLOUT_BACK, "done");
}

/* From any state of the swarm that a kill may leave, forward ends in the new deployment and back in the old one. */
static void
test_from_anywhere(void **state)
{
	(void)state;
	for (unsigned taken = 0; taken < 8; taken++) {
		for (enum rollout_way way = ROLLOUT_FORWARD; way <= ROLLOUT_BACK; way++) {
			struct world w = { .rollout = { &application, 7, 4, ROLLOUT_FORWARD } };
			char told[1000] = "";

			add(&w, "web", 4, 0);
			for (unsigned i = 0; i < taken; i++)
				next(&w, ROLLOUT_FORWARD, told, sizeof(told));
			for (size_t i = 0; i < w.count; i++)
				w.items[i].is_proved = false; /* the next process knows nothing of it */
			for (unsigned i = 0; i < 20; i++)
				next(&w, way, told, sizeof(told));
			assert_int_equal(w.count, way == ROLLOUT_FORWARD ? 2 : 1);
			for (size_t i = 0; i < w.count; i++)
				assert_int_equal(w.items[i].deployment, way == ROLLOUT_FORWARD ? 7 : 4);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_names, set_up),
		cmocka_unit_test_setup(test_service_body, set_up),
		cmocka_unit_test_setup(test_what_a_swarm_cannot_do, set_up),
		cmocka_unit_test_setup(test_small_bodies, set_up),
		cmocka_unit_test_setup(test_services_reply, set_up),
		cmocka_unit_test_setup(test_judged_by_their_tasks, set_up),
		cmocka_unit_test_setup(test_first_deployment_and_its_way_back, set_up),
		cmocka_unit_test_setup(test_update_and_its_way_back, set_up),
		cmocka_unit_test_setup(test_what_cannot_go_back, set_up),
		cmocka_unit_test_setup(test_from_anywhere, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
