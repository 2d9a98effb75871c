#include "cli/take.h"

#include <stdlib.h>

#include "proto/buf.h"
#include "proto/mem.h"
#include "proto/tar.h"

enum { ENTRY_MAX = 64 * 1024 };

struct take {
	struct collect *collect;
	enum take_kind kind;
	FILE *out;
	struct take_result result;
	uint64_t size; /* of the member that comes */
	uint64_t left; /* bytes of it */
	take_fn *fn;
	void *arg;
};

static void
write_entry(struct take *t, const struct tar_entry *entry)
{
	struct buf front;

	buf_init(&front, ENTRY_MAX);
	if (entry != NULL)
		tar_add_entry(&front, entry);
	else
		tar_add_padding(&front, t->size);
	fwrite(front.data, 1, front.len, t->out);
	buf_fini(&front);
}

static void
on_entry(void *arg, const struct tar_entry *member)
{
	struct take *t = arg;
	struct tar_entry entry = *member;
	bool leads_out;

	t->left = 0;
	if (t->kind == TAKE_ARTIFACT && !collect_as_artifact(&entry, &leads_out)) {
		t->result.left_out += leads_out;
		return;
	}
	entry.name = member->name; /* it is unpacked at "/" */
	entry.link = member->link;
	t->result.members++;
	t->result.bytes += entry.size;
	t->size = t->left = entry.size;
	write_entry(t, &entry);
}

static void
on_bytes(void *arg, struct str bytes)
{
	struct take *t = arg;

	if (t->left == 0)
		return; /* of a member that is left out */
	fwrite(bytes.p, 1, bytes.len, t->out);
	t->left -= bytes.len;
	if (t->left == 0)
		write_entry(t, NULL);
}

static void
on_done(void *arg, unsigned missing, const struct err *err)
{
	struct take *t = arg;
	struct take ended = *t;
	struct err failure;

	(void)missing; /* no members say it */
	if (err == NULL && (ferror(t->out) || fflush(t->out) != 0)) {
		failure = err_errno("its files");
		err = &failure;
	}
	free(t);
	ended.fn(ended.arg, &ended.result, err);
}

struct take *
take_start(struct builder_run *run, enum take_kind kind, const struct strings *patterns,
    const struct collect_limits *limits, FILE *out, take_fn *fn, void *arg)
{
	static const struct collect_handler handler = {
		.on_entry = on_entry, .on_bytes = on_bytes, .on_done = on_done
	};
	struct take *t = xcalloc(1, sizeof(*t));

	*t = (struct take){ .kind = kind, .out = out, .fn = fn, .arg = arg };
	t->collect = builder_collect(run, patterns, limits, &handler, t);
	return t;
}

void
take_cancel(struct take **take)
{
	struct take *t = *take;

	*take = NULL;
	if (t == NULL)
		return;
	collect_cancel(&t->collect);
	free(t);
}
