/* No reply of an engine, however odd, gets past the checks of what is put into later requests; image names are the same
 * when they are printed and read again, and those of a registry's notification are names. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/docker_reply.h"
#include "proto/docker_swarm.h"
#include "proto/image.h"
#include "proto/registry_events.h"

static void
must(bool ok)
{
	if (!ok)
		abort();
}

static void
must_be_id(const char *id)
{
	must(id[0] != '\0' && strlen(id) < DOCKER_ID_SIZE);
	for (const char *p = id; *p != '\0'; p++)
		must(strchr("/?#%& \"\\", *p) == NULL && (unsigned char)*p > 0x20 && (unsigned char)*p < 0x7f);
}

static void
must_be_line(const char *text)
{
	for (; *text != '\0'; text++)
		must((unsigned char)*text >= 0x20 && *text != 0x7f);
}

static void
check_replies(struct str in)
{
	struct docker_container container;
	struct docker_progress progress;
	struct docker_image image;
	struct docker_event event;
	struct docker_exec_end exec_end;
	struct docker_exit ended;
	struct docker_list list;
	char text[100];

	if (docker_reply_id(in, container.id, NULL))
		must_be_id(container.id);
	if (docker_reply_container(in, &container, NULL))
		must_be_id(container.id);
	if (docker_reply_image(in, "alpine", &image, NULL))
		must_be_id(image.id);
	if (docker_reply_event(in, &event, NULL) && event.id[0] != '\0') /* an image's name is no id */
		must_be_id(event.id);
	if (docker_reply_exit(in, &ended, NULL))
		must(ended.code >= 0 && ended.code <= 255);
	if (docker_reply_exec(in, &exec_end, NULL) && !exec_end.running)
		must(exec_end.exit_code >= 0 && exec_end.exit_code <= 255);
	if (docker_reply_progress(in, &progress, NULL)) {
		must_be_line(progress.status);
		must_be_line(progress.error);
	}
	docker_reply_message(in, text, sizeof(text));
	must_be_line(text);
	must(text[0] != '\0');
	if (!docker_reply_list(in, &list, NULL))
		return;
	for (size_t i = 0; i < list.count; i++)
		must_be_id(list.items[i].id);
	docker_list_fini(&list);
}

static void
check_swarm(struct str in)
{
	struct docker_services services;
	struct docker_tasks tasks;

	if (docker_reply_services(in, &services, NULL)) {
		for (size_t i = 0; i < services.count; i++) {
			must_be_id(services.items[i].id);
			must_be_line(services.items[i].message);
		}
		docker_services_fini(&services);
	}
	if (!docker_reply_tasks(in, &tasks, NULL))
		return;
	for (size_t i = 0; i < tasks.count; i++) {
		must_be_id(tasks.items[i].id);
		must_be_line(tasks.items[i].why);
		must(tasks.items[i].deployment >= 0);
	}
	docker_tasks_fini(&tasks);
}

static void
check_image(struct str in)
{
	struct image_ref ref, again;
	struct err err;
	char *name;

	if (!image_parse(in, &ref, &err)) {
		must_be_line(err.text);
		return;
	}
	name = image_print(&ref);
	must(image_parse(str_of(name), &again, &err) && memcmp(&ref, &again, sizeof(ref)) == 0);
	free(name);
}

static void
check_events(struct str in)
{
	struct strings names = { 0 };
	struct json *doc;
	struct err err;

	if (!json_parse(in, NULL, &doc, &err))
		return;
	if (registry_events_read(json_root(doc), &names, &err))
		must(names.count <= REGISTRY_EVENTS_MAX);
	for (size_t i = 0; i < names.count; i++)
		must_be_line(names.items[i]);
	strings_fini(&names);
	json_free(&doc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = { (const char *)data, size };

	if (size > 100000)
		return 0;
	check_replies(in);
	check_swarm(in);
	check_image(in);
	check_events(in);
	return 0;
}
