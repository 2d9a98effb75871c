#include "proto/change.h"

#include <stdlib.h>
#include <string.h>

static const char *const event_names[] = {
	[CHANGE_PUSH] = "push",
	[CHANGE_TAG] = "tag",
	[CHANGE_PULL_REQUEST] = "pull_request",
	[CHANGE_MANUAL] = "manual",
	[CHANGE_CRON] = "cron",
	[CHANGE_API] = "api",
};

void
change_fini(struct change *change)
{
	free(change->ref);
	free(change->branch);
	free(change->commit);
	free(change->before);
	free(change->title);
	free(change->message);
	free(change->author_name);
	free(change->author_email);
	free(change->sender);
	free(change->web_url);
	free(change->fetch_url);
	free(change->params);
	*change = (struct change){ 0 };
}

const char *
change_event_name(enum change_event event)
{
	return event_names[event];
}

bool
change_event_from_name(const char *name, enum change_event *ret)
{
	for (size_t i = 0; i < sizeof(event_names) / sizeof(event_names[0]); i++) {
		if (strcmp(event_names[i], name) == 0) {
			*ret = (enum change_event)i;
			return true;
		}
	}
	return false;
}
