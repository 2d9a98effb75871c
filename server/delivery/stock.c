#include "server/delivery/stock.h"

#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"

static bool
read_number(const struct docker_item *item, const char *label, uint64_t max, uint64_t *ret)
{
	const char *text = docker_item_label(item, label);

	return text != NULL && str_to_u64(str_of(text), max, ret) && *ret > 0;
}

static bool
runs(const char *state)
{
	return strcmp(state, "running") == 0 || strcmp(state, "restarting") == 0 || strcmp(state, "paused") == 0;
}

static void
add(struct stock *stock, const struct docker_item *item)
{
	const char *service = docker_item_label(item, STOCK_SERVICE);
	uint64_t replica, deployment;

	if (service == NULL || !read_number(item, STOCK_REPLICA, APPLICATION_REPLICAS_MAX, &replica) ||
	    !read_number(item, STOCK_DEPLOYMENT, INT64_MAX, &deployment))
		return;
	stock->items[stock->count] = (struct rollout_container){ .service = xstrdup(service),
		.replica = (unsigned)replica,
		.deployment = (int64_t)deployment,
		.runs = runs(item->state) };
	memcpy(stock->ids[stock->count++], item->id, DOCKER_ID_SIZE);
}

static void
keep_known(struct stock *stock, const struct stock *before)
{
	for (size_t i = 0; i < stock->count; i++) {
		for (size_t k = 0; k < before->count; k++) {
			if (strcmp(stock->ids[i], before->ids[k]) != 0)
				continue;
			stock->items[i].is_proved = before->items[k].is_proved;
			stock->items[i].is_drained = before->items[k].is_drained;
			stock->items[i].is_lost = before->items[k].is_lost;
			stock->tries[i] = before->tries[k];
		}
	}
}

void
stock_take(struct stock *stock, const struct docker_list *list)
{
	struct stock now = { 0 };

	now.items = xcalloc(list->count + 1, sizeof(*now.items));
	now.ids = xcalloc(list->count + 1, sizeof(*now.ids));
	now.tries = xcalloc(list->count + 1, sizeof(*now.tries));
	for (size_t i = 0; i < list->count; i++)
		add(&now, &list->items[i]);
	keep_known(&now, stock);
	stock_fini(stock);
	*stock = now;
}

void
stock_fini(struct stock *stock)
{
	for (size_t i = 0; i < stock->count; i++)
		free((char *)stock->items[i].service);
	free(stock->items);
	free(stock->ids);
	free(stock->tries);
	*stock = (struct stock){ 0 };
}
