#include "server/builder/left.h"

#include <stdlib.h>
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

static bool
is_service_in(const struct docker_list *containers, const struct docker_item *item, const struct left *left,
    struct left_service *ret)
{
	const struct docker_item *holder = NULL;

	if (strncmp(item->network_mode, BY_HOLDER, strlen(BY_HOLDER)) == 0)
		holder = find(containers, item->network_mode + strlen(BY_HOLDER));
	if (holder == NULL || strcmp(holder->id, left->holder_id) == 0 ||
	    strcmp(holder->network_mode, left->network) != 0)
		return false;
	*ret = (struct left_service){ .id = item->id,
		.name = item->name,
		.is_running = fact_of(item->state) == RECOVERY_RUNNING,
		.holder_id = holder->id,
		.holder_name = holder->name,
		.address = holder->address };
	return true;
}

/* Their names end with numbers that rise. */
static int
compare(const void *a, const void *b)
{
	const char *one = strrchr(((const struct left_service *)a)->name, '-');
	const char *two = strrchr(((const struct left_service *)b)->name, '-');
	unsigned long x = one != NULL ? strtoul(one + 1, NULL, 10) : 0;
	unsigned long y = two != NULL ? strtoul(two + 1, NULL, 10) : 0;

	return x < y ? -1 : x > y;
}

size_t
left_services(const struct docker_list *containers, const struct left *left, struct left_service *ret, size_t max)
{
	size_t count = 0;

	for (size_t i = 0; i < containers->count && count < max; i++)
		count += is_service_in(containers, &containers->items[i], left, &ret[count]);
	qsort(ret, count, sizeof(*ret), compare);
	return count;
}
