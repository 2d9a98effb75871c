#include "server/notify/notify.h"

#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"
#include "server/core/crash.h"
#include "server/core/log.h"
#include "server/notify/delivery.h"

#define PARALLEL 16
#define STATUS_MS 10000
#define MAIL_MS 20000
#define DELAY_MS 1000
#define DELAY_MAX_MS 30000
#define HOLD_MS 50 /* an event comes with a job that begins or ends, which has the first use of Redis's disk */
#define AGE_MAX_MS (24 * 3600 * INT64_C(1000))

struct place {
	struct notify *notify;
	struct delivery *delivery; /* NULL: free */
};

struct notify {
	struct loop *loop;
	struct delivery_means means;
	struct store_op *claim;
	bool heard;        /* something was said while the claim was under way: its "none" may be old */
	struct timer *due; /* when the next notice is */
	struct timer *hold;
	struct place places[FORGES_OPS_MAX];
	unsigned parallel;
};

static int64_t
or_default(int64_t value, int64_t fallback)
{
	return value > 0 ? value : fallback;
}

static bool
make_means(struct notify *n, const struct notify_conf *conf, struct err *err)
{
	struct delivery_means *means = &n->means;

	means->url = xstrdup(conf->url != NULL ? conf->url : "");
	means->delay_ms = or_default(conf->delay_ms, DELAY_MS);
	means->delay_max_ms = or_default(conf->delay_max_ms, DELAY_MAX_MS);
	means->age_max_ms = or_default(conf->age_max_ms, AGE_MAX_MS);
	means->forges = forges_new(n->loop, conf->forge_ca, or_default(conf->timeout_ms, STATUS_MS), err);
	if (means->forges == NULL)
		return false;
	if (conf->smtp == NULL)
		return true;
	means->mailer = mailer_new(n->loop, conf->smtp, conf->mail_from, or_default(conf->timeout_ms, MAIL_MS), err);
	return means->mailer != NULL;
}

static void on_due(void *arg);

struct notify *
notify_new(
    struct loop *loop, struct store *store, struct log_store *logs, const struct notify_conf *conf, struct err *err)
{
	struct notify *n = xcalloc(1, sizeof(*n));
	unsigned parallel = conf->parallel > 0 ? conf->parallel : PARALLEL;

	*n = (struct notify){
		.loop = loop,
		.means = { .store = store, .logs = logs },
		.parallel = parallel < FORGES_OPS_MAX ? parallel : FORGES_OPS_MAX,
		.due = timer_new(loop, on_due, n),
		.hold = timer_new(loop, on_due, n),
	};
	if (!make_means(n, conf, err))
		notify_free(&n);
	return n;
}

void
notify_free(struct notify **notify)
{
	struct notify *n = *notify;

	if (n == NULL)
		return;
	*notify = NULL;
	store_cancel(&n->claim);
	timer_free(&n->due);
	timer_free(&n->hold);
	for (unsigned i = 0; i < n->parallel; i++)
		delivery_cancel(&n->places[i].delivery);
	forges_free(&n->means.forges);
	mailer_free(&n->means.mailer);
	free(n->means.url);
	free(n);
}

/* For one more delivery; NULL: all are taken. */
static struct place *
free_place(struct notify *n)
{
	for (unsigned i = 0; i < n->parallel; i++) {
		if (n->places[i].delivery == NULL)
			return &n->places[i];
	}
	return NULL;
}

static void look(struct notify *n);

static void
on_delivered(void *arg)
{
	struct place *place = arg;

	place->delivery = NULL;
	look(place->notify);
}

static void
deliver(struct notify *n, struct notice *notice)
{
	struct place *place = free_place(n);

	CRASH_POINT(notice_claimed);
	place->notify = n;
	place->delivery = delivery_start(&n->means, notice, on_delivered, place);
}

static void
on_claim_failed(struct notify *n, const struct err *err)
{
	if (!store_is_up(n->means.store))
		return; /* the store says "up" when it is worth another try */
	log_warn("the outbox cannot be read: %s", err->text);
	timer_start(n->due, n->means.delay_ms);
}

static void
on_claimed(void *arg, struct notice *notice, int64_t next_ms, const struct err *err)
{
	struct notify *n = arg;
	bool heard = n->heard;

	n->claim = NULL;
	n->heard = false;
	if (err != NULL)
		on_claim_failed(n, err);
	else if (notice != NULL)
		deliver(n, notice);
	else if (!heard && next_ms >= 0)
		timer_start(n->due, next_ms);
	if (notice != NULL || heard)
		look(n);
}

/* Claims what is due, one after the other, while there are places. */
static void
look(struct notify *n)
{
	if (n->claim != NULL) {
		n->heard = true;
		return;
	}
	timer_stop(n->due);
	if (free_place(n) == NULL)
		return; /* on_delivered comes back here */
	CRASH_POINT(outbox_claiming);
	n->claim = store_outbox_claim(n->means.store, on_claimed, n);
}

static void
on_due(void *arg)
{
	look(arg);
}

void
notify_wake(struct notify *notify, const char *line)
{
	if (strcmp(line, "up") == 0)
		look(notify);
	else if (strcmp(line, "outbox") == 0 && !timer_is_running(notify->hold))
		timer_start(notify->hold, HOLD_MS);
}
