/* A swarm's services and tasks, as it lists them. */
#include <stdlib.h>
#include <string.h>

#include "proto/docker_reply_private.h"
#include "proto/docker_swarm.h"
#include "proto/mem.h"

struct word {
	const char *word;
	int meaning;
};

static int
meaning_of(const struct word *words, size_t count, const char *word, int otherwise)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(words[i].word, word) == 0)
			return words[i].meaning;
	return otherwise;
}

#define MEANING(words, word, otherwise) meaning_of(words, sizeof(words) / sizeof((words)[0]), word, otherwise)

/* --- services --- */

static enum docker_update
update_of(const struct json_value *service)
{
	static const struct word words[] = {
		{ "updating", DOCKER_UPDATE_RUNS },
		{ "paused", DOCKER_UPDATE_PAUSED },
		{ "completed", DOCKER_UPDATE_DONE },
		{ "rollback_started", DOCKER_UPDATE_GOES_BACK },
		{ "rollback_paused", DOCKER_UPDATE_BACK },
		{ "rollback_completed", DOCKER_UPDATE_BACK },
	};

	return (enum docker_update)MEANING(
	    words, json_string(json_path(service, "UpdateStatus.State"), ""), DOCKER_UPDATE_NONE);
}

static bool
fill_service(struct docker_service *ret, const struct json_value *service)
{
	docker_copy_member(ret->name, sizeof(ret->name), service, "Spec.Name");
	ret->version = json_int(json_path(service, "Version.Index"), 0);
	ret->update = update_of(service);
	docker_copy_member(ret->message, sizeof(ret->message), service, "UpdateStatus.Message");
	ret->labels = json_path(service, "Spec.Labels");
	ret->previous = json_path(service, "PreviousSpec.Labels");
	return docker_copy_id(ret->id, json_string(json_get(service, "ID"), NULL));
}

bool
docker_reply_services(struct str body, struct docker_services *ret, struct err *err)
{
	struct docker_services services = { .count = 0 };
	const struct json_value *root;

	if (!docker_reply_parse(body, "list of services", JSON_ARRAY, &services.doc, err))
		return false;
	root = json_root(services.doc);
	services.items = xcalloc(json_count(root) + 1, sizeof(*services.items));
	for (size_t i = 0; i < json_count(root); i++)
		if (fill_service(&services.items[services.count], json_at(root, i)))
			services.count++;
	*ret = services;
	return true;
}

void
docker_services_fini(struct docker_services *services)
{
	json_free(&services->doc);
	free(services->items);
	*services = (struct docker_services){ .count = 0 };
}

const char *
docker_label_of(const struct json_value *labels, const char *name)
{
	return json_string(json_get(labels, name), "");
}

/* --- tasks --- */

/* What has ended by itself is to go, too. */
static enum docker_task_state
task_state_of(const struct json_value *task)
{
	static const struct word words[] = {
		{ "running", DOCKER_TASK_RUNS },
		{ "complete", DOCKER_TASK_ENDED },
		{ "failed", DOCKER_TASK_ENDED },
		{ "rejected", DOCKER_TASK_ENDED },
		{ "shutdown", DOCKER_TASK_GONE },
		{ "remove", DOCKER_TASK_GONE },
		{ "orphaned", DOCKER_TASK_GONE },
	};
	enum docker_task_state state = (enum docker_task_state)MEANING(
	    words, json_string(json_path(task, "Status.State"), ""), DOCKER_TASK_COMING);
	const char *desired = json_string(json_get(task, "DesiredState"), "");

	if (state == DOCKER_TASK_ENDED || (strcmp(desired, "shutdown") != 0 && strcmp(desired, "remove") != 0))
		return state;
	return state == DOCKER_TASK_RUNS ? DOCKER_TASK_GOES : DOCKER_TASK_GONE;
}

static int64_t
deployment_of(const struct json_value *task)
{
	const struct json_value *labels = json_path(task, "Spec.ContainerSpec.Labels");
	uint64_t n;

	return str_to_u64(str_of(docker_label_of(labels, DOCKER_DEPLOYMENT_LABEL)), INT64_MAX, &n) ? (int64_t)n : 0;
}

static bool
fill_task(struct docker_task *ret, const struct json_value *task)
{
	ret->slot = (unsigned)json_int(json_get(task, "Slot"), 0);
	ret->deployment = deployment_of(task);
	ret->state = task_state_of(task);
	docker_copy_member(ret->why, sizeof(ret->why), task, "Status.Err");
	if (ret->why[0] == '\0')
		docker_copy_member(ret->why, sizeof(ret->why), task, "Status.Message");
	return docker_copy_id(ret->id, json_string(json_get(task, "ID"), NULL));
}

bool
docker_reply_tasks(struct str body, struct docker_tasks *ret, struct err *err)
{
	struct docker_tasks tasks = { .count = 0 };
	const struct json_value *root;
	struct json *doc;

	if (!docker_reply_parse(body, "list of tasks", JSON_ARRAY, &doc, err))
		return false;
	root = json_root(doc);
	tasks.items = xcalloc(json_count(root) + 1, sizeof(*tasks.items));
	for (size_t i = 0; i < json_count(root); i++)
		if (fill_task(&tasks.items[tasks.count], json_at(root, i)))
			tasks.count++;
	json_free(&doc);
	*ret = tasks;
	return true;
}

void
docker_tasks_fini(struct docker_tasks *tasks)
{
	free(tasks->items);
	*tasks = (struct docker_tasks){ .count = 0 };
}
