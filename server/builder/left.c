#include "server/builder/left.h"

#include <string.h>

#define BY_HOLDER "container:"

static const struct docker_item *
find(const struct docker_list *containers, const char *id)
{
	for (size_t i = 0; i < containers->count; i++)
		if (strcmp(containers->items[i].id, id) == 0)
			return &containers->items[i];
	return NULL;
}

static enum recovery_fact
fact_of(const char *state)
{
	if (strcmp(state, "created") == 0)
		return RECOVERY_CREATED;
	return strcmp(state, "exited") == 0 || strcmp(state, "dead") == 0 ? RECOVERY_ENDED : RECOVERY_RUNNING;
}

void
left_find(const struct docker_list *containers, const char *id, struct left *ret)
{
	const struct docker_item *own = find(containers, id), *holder = NULL;

	*ret = (struct left){ .fact = RECOVERY_GONE };
	if (own != NULL && strncmp(own->network_mode, BY_HOLDER, strlen(BY_HOLDER)) == 0)
		holder = find(containers, own->network_mode + strlen(BY_HOLDER));
	if (holder == NULL)
		return;
	*ret = (struct left){ .fact = fact_of(own->state),
		.id = own->id,
		.name = own->name,
		.holder_id = holder->id,
		.holder_name = holder->name,
		.network = holder->network_mode };
}
