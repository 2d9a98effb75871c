#include "server/mirror/fetch.h"

#include <stdlib.h>

#include "proto/buf.h"
#include "proto/mem.h"
#include "server/core/loop.h"

#define TEXT_MAX (16 * 1024)

struct fetch {
	struct loop *loop;
	struct transfers *transfers;
	struct target target;
	enum http1_method method;
	struct variant *stored;
	struct buf text; /* of the request */
	struct transfer_waiter *waiter;
	struct variant *variant; /* what comes */
	struct draft *body;
	struct draft_reader reader;
	struct deferred *look; /* at the body, which has grown or ended */
	fetch_fn *fn;
	void *arg;
};

void
fetch_cancel(struct fetch **fetch)
{
	struct fetch *f = *fetch;

	if (f == NULL)
		return;
	*fetch = NULL;
	transfer_leave(&f->waiter);
	deferred_cancel(&f->look);
	if (f->body != NULL)
		draft_unwatch(&f->reader);
	draft_unref(&f->body);
	variant_unref(&f->variant);
	variant_unref(&f->stored);
	target_fini(&f->target);
	buf_fini(&f->text);
	free(f);
}

/* The callback's readers are there before ours leaves: what goes through memory alone waits for them. */
static void
end(struct fetch *f, enum transfer_result result, struct variant *v, const struct err *err)
{
	f->fn(f->arg, result, v, f->body, err);
	fetch_cancel(&f);
}

static void
fail(struct fetch *f, const char *text)
{
	const struct err err = err_make(ERR_UNAVAILABLE, 0, "%s", text);

	end(f, TRANSFER_FAILED, NULL, &err);
}

static void
on_look(void *arg)
{
	struct fetch *f = arg;

	f->look = NULL;
	if (draft_has_failed(f->body))
		fail(f, "the upstream's body broke off");
	else if (draft_is_whole(f->body))
		end(f, TRANSFER_REPLY, f->variant, NULL);
	else if (!draft_has_room(f->body))
		fail(f, "the disk has no room for the body");
}

static void
on_growth(void *arg)
{
	struct fetch *f = arg;

	if (f->look == NULL && (draft_is_whole(f->body) || draft_has_failed(f->body) || !draft_has_room(f->body)))
		f->look = deferred_call(f->loop, on_look, f);
}

static void start(struct fetch *f, bool is_alone);

static void
take_body(struct fetch *f, struct variant *v)
{
	f->variant = variant_ref(v);
	f->body = draft_ref(v->draft);
	f->reader = (struct draft_reader){ .fn = on_growth, .arg = f };
	draft_watch(f->body, &f->reader);
	on_growth(f);
}

static void
on_transfer(void *arg, enum transfer_result result, struct variant *v, const struct err *err)
{
	struct fetch *f = arg;

	f->waiter = NULL;
	switch (result) {
	case TRANSFER_REPLY:
		take_body(f, v);
		break;
	case TRANSFER_ALONE:
		start(f, true);
		break;
	case TRANSFER_SAME:
	case TRANSFER_STALE:
	case TRANSFER_FAILED:
		end(f, result, v, err);
		break;
	}
}

static void
start(struct fetch *f, bool is_alone)
{
	const struct transfer_request request = {
		.target = &f->target,
		.text = buf_str(&f->text),
		.stored = f->stored,
		.method = f->method,
		.is_alone = is_alone,
	};

	f->waiter = transfer_start(f->transfers, &request, on_transfer, f);
}

struct fetch *
fetch_start(struct loop *loop, struct transfers *transfers, const struct target *target, enum http1_method method,
    struct variant *stored, fetch_fn *fn, void *arg)
{
	struct fetch *f = xcalloc(1, sizeof(*f));

	*f = (struct fetch){ .loop = loop, .transfers = transfers, .method = method, .fn = fn, .arg = arg };
	target_copy(&f->target, target);
	f->stored = stored != NULL ? variant_ref(stored) : NULL;
	buf_init(&f->text, TEXT_MAX);
	http1_print_request(&f->text, http1_method_name(method), str_of(target->path));
	http1_print_header(&f->text, "Host", STR("mirror")); /* the transfer names the upstream's */
	http1_print_header(&f->text, "Accept", STR("*/*"));
	http1_print_end(&f->text);
	start(f, false);
	return f;
}

uint64_t
fetch_bytes(const struct fetch *f)
{
	return f->body != NULL ? draft_size(f->body) : 0;
}
