#include "proto/registry_events.h"

#include <stdlib.h>
#include <string.h>

#include "proto/image.h"
#include "proto/mem.h"

static bool
is_name(const char *name)
{
	char *whole = xasprintf("registry.invalid/%s", name);
	struct image_ref ref;
	bool good = image_parse(str_of(whole), &ref, NULL) && ref.digest[0] == '\0';

	free(whole);
	return good;
}

static void
read_event(const struct json_value *event, struct strings *ret)
{
	const char *tag = json_string(json_path(event, "target.tag"), "");
	const char *repository = json_string(json_path(event, "target.repository"), "");
	char *name;

	if (strcmp(json_string(json_get(event, "action"), ""), "push") != 0 || tag[0] == '\0' || repository[0] == '\0')
		return;
	name = xasprintf("%s:%s", repository, tag);
	if (is_name(name) && !strings_have(ret, name))
		strings_add(ret, str_of(name));
	free(name);
}

bool
registry_events_read(const struct json_value *envelope, struct strings *ret, struct err *err)
{
	const struct json_value *events = json_get(envelope, "events");

	if (json_type(events) != JSON_ARRAY)
		return err_set(err, ERR_INPUT, 0, "events: the list of a registry's notification is wanted");
	for (size_t i = 0; i < json_count(events) && ret->count < REGISTRY_EVENTS_MAX; i++)
		read_event(json_at(events, i), ret);
	return true;
}
