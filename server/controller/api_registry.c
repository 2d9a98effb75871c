/* POST /api/v1/registry/events: a registry says that something was pushed there. The environments that follow such a
 * tag are asked about at once. Where the tag is, the registry is asked itself: nothing that the notification says is
 * taken for true. */
#include "proto/registry_events.h"
#include "server/controller/controller_private.h"

void
api_registry_events(void *arg, struct http_reply *reply)
{
	struct api_call *call = api_call_new(arg, reply);
	struct strings names = { 0 };
	struct err err;

	if (!api_call_parse(&call))
		return;
	if (registry_events_read(json_root(call->body), &names, &err))
		call->op = store_watch_told(call->store, &names, api_call_done, call);
	else
		api_call_failed(&call, &err);
	strings_fini(&names);
}
