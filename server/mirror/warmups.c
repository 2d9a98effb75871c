#include "server/mirror/warmups.h"

static bool
is_over(const struct warmup *warmup)
{
	struct warmup_status status;

	warmup_status(warmup, &status);
	return status.done == status.total;
}

static size_t
find_place(const struct warmups *ws)
{
	size_t place = WARMUPS_KEPT;

	for (size_t i = 0; i < WARMUPS_KEPT; i++) {
		if (ws->list[i].id == 0)
			return i;
		if (is_over(ws->list[i].warmup) && (place == WARMUPS_KEPT || ws->list[i].id < ws->list[place].id))
			place = i;
	}
	return place;
}

static unsigned
count_running(const struct warmups *ws)
{
	unsigned count = 0;

	for (size_t i = 0; i < WARMUPS_KEPT; i++)
		if (ws->list[i].id != 0 && !is_over(ws->list[i].warmup))
			count++;
	return count;
}

uint64_t
warmups_start(struct warmups *ws, const struct warmup_conf *conf, const struct warmup_request *request, struct err *err)
{
	size_t place = find_place(ws);
	struct warmup *warmup;

	if (count_running(ws) == WARMUPS_RUNNING) {
		err_set(err, ERR_UNAVAILABLE, 0, "%d are running already; try again later", WARMUPS_RUNNING);
		return 0;
	}
	warmup = warmup_start(conf, request, err);
	if (warmup == NULL)
		return 0;
	warmup_free(&ws->list[place].warmup);
	ws->list[place].warmup = warmup;
	ws->list[place].id = ++ws->last;
	return ws->last;
}

const struct warmup *
warmups_find(const struct warmups *ws, uint64_t id)
{
	for (size_t i = 0; id != 0 && i < WARMUPS_KEPT; i++)
		if (ws->list[i].id == id)
			return ws->list[i].warmup;
	return NULL;
}

void
warmups_fini(struct warmups *ws)
{
	for (size_t i = 0; i < WARMUPS_KEPT; i++) {
		warmup_free(&ws->list[i].warmup);
		ws->list[i].id = 0;
	}
}
