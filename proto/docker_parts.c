#include "proto/docker_parts.h"

#include <stdlib.h>
#include <string.h>

#include "proto/json.h"
#include "proto/mem.h"

#define NS_PER_S ((int64_t)1000000000)

void
docker_write_list(struct json_writer *w, const char *key, const struct strings *list)
{
	if (list->count == 0)
		return;
	json_write_key(w, key);
	json_write_array_open(w);
	for (size_t i = 0; i < list->count; i++)
		json_write_string(w, list->items[i]);
	json_write_array_close(w);
}

void
docker_write_text(struct json_writer *w, const char *key, const char *text)
{
	if (text != NULL)
		json_member_string(w, key, text);
}

void
docker_write_env(struct json_writer *w, const struct env *env)
{
	json_write_key(w, "Env");
	json_write_array_open(w);
	for (size_t i = 0; i < env->count; i++) {
		char *text = xasprintf("%s=%s", env->vars[i].name, env->vars[i].value);

		json_write_string(w, text);
		explicit_bzero(text, strlen(text));
		free(text);
	}
	json_write_array_close(w);
}

/* A name comes once: the engine takes the last of two, but not every reader of ours would. */
static bool
is_ours(const struct docker_application_spec *spec, struct str name)
{
	for (size_t i = 0; i < spec->label_count; i++)
		if (str_is(name, spec->labels[i].name))
			return true;
	return false;
}

void
docker_write_labels(struct json_writer *w, const struct docker_application_spec *spec)
{
	const struct strings *labels = &spec->service->labels;

	json_write_key(w, "Labels");
	json_write_object_open(w);
	for (size_t i = 0; i < labels->count; i++) {
		struct str value = str_of(labels->items[i]), name = str_cut(&value, '=');
		char *copy = str_dup(name);

		if (!is_ours(spec, name))
			json_member_string(w, copy, value.p);
		free(copy);
	}
	for (size_t i = 0; i < spec->label_count; i++)
		json_member_string(w, spec->labels[i].name, spec->labels[i].value);
	json_write_object_close(w);
}

void
docker_write_seconds(struct json_writer *w, const char *key, unsigned seconds)
{
	if (seconds != 0)
		json_member_int(w, key, seconds * NS_PER_S);
}

/* What is not said is the image's own. */
void
docker_write_health(struct json_writer *w, const struct application_service *service)
{
	json_write_key(w, "Healthcheck");
	json_write_object_open(w);
	docker_write_list(w, "Test", &service->health);
	docker_write_seconds(w, "Interval", service->health_interval_s);
	docker_write_seconds(w, "Timeout", service->health_timeout_s);
	docker_write_seconds(w, "StartPeriod", service->health_start_s);
	if (service->health_retries != 0)
		json_member_int(w, "Retries", service->health_retries);
	json_write_object_close(w);
}

void
docker_write_mount(struct json_writer *w, const char *prefix, const char *volume)
{
	struct str rest = str_of(volume), name = str_cut(&rest, ':'), path = str_cut(&rest, ':');
	char *source = xasprintf("%s%.*s", prefix, (int)name.len, name.p), *target = str_dup(path);

	json_write_object_open(w);
	json_member_string(w, "Type", "volume");
	json_member_string(w, "Source", source);
	json_member_string(w, "Target", target);
	json_member_bool(w, "ReadOnly", str_is(rest, "ro"));
	json_write_object_close(w);
	free(source);
	free(target);
}
