#include "server/app_take.h"

#include <stdlib.h>
#include <string.h>

#include "proto/buf.h"
#include "proto/mem.h"
#include "proto/tar.h"
#include "server/builder/builder.h"
#include "server/store/file_store.h"
#include "server/store/pack.h"

enum { HEADER_MAX = 3 * (TAR_BLOCK + TAR_NAME_MAX + TAR_BLOCK) /* of one member: long name, long link, its own */ };

enum app_take_state {
	TAKE_FOLDER,
	TAKE_COLLECT,
	TAKE_FINISH,
	TAKE_DONE,
};

struct app_take {
	struct file_store *files;
	struct builder_run *run;
	enum app_take_kind kind;
	const struct strings *patterns;
	enum app_take_state state;
	char *path;
	char *temp;
	uint64_t content_max;
	struct disk_op *op;
	struct collect *collect;
	struct pack *pack;
	struct buf header;
	uint64_t left; /* of the file whose bytes come */
	uint64_t size; /* of it */
	struct app_take_result result;
	app_take_fn *fn;
	void *arg;
};

static void enter_folder(struct app_take *t);
static void enter_collect(struct app_take *t);
static void enter_finish(struct app_take *t);
static void enter_done(struct app_take *t);

/* clang-format off */
static const struct {
	const char *name;
	void (*enter)(struct app_take *t);
	enum app_take_state next;
} states[] = {
	[TAKE_FOLDER]  = { "folder",  enter_folder,  TAKE_COLLECT },
	[TAKE_COLLECT] = { "collect", enter_collect, TAKE_FINISH },
	[TAKE_FINISH]  = { "finish",  enter_finish,  TAKE_DONE },
	[TAKE_DONE]    = { "done",    enter_done,    TAKE_DONE },
};
/* clang-format on */

static void
take_step(struct app_take *t, enum app_take_state next)
{
	t->state = next;
	states[next].enter(t);
}

void
app_take_cancel(struct app_take **take)
{
	struct app_take *t = *take;

	if (t == NULL)
		return;
	*take = NULL;
	disk_cancel(&t->op);
	collect_cancel(&t->collect);
	pack_abort(&t->pack);
	buf_fini(&t->header);
	free(t->path);
	free(t->temp);
	free(t);
}

/* The only end but app_take_cancel. */
static void
take_end(struct app_take *t, const struct err *err)
{
	struct app_take_result result = t->result;
	app_take_fn *fn = t->fn;
	void *arg = t->arg;

	app_take_cancel(&t);
	fn(arg, err == NULL ? &result : NULL, err);
}

static void
take_fail(struct app_take *t, struct err err)
{
	take_end(t, &err);
}

/* --- members --- */

static void
give(struct app_take *t, struct str bytes)
{
	pack_write(t->pack, bytes);
	if (pack_is_full(t->pack))
		collect_pause(t->collect);
}

static void
give_padding(struct app_take *t)
{
	buf_reset(&t->header);
	tar_add_padding(&t->header, t->size);
	give(t, buf_str(&t->header));
}

static void
on_entry(void *arg, const struct tar_entry *member)
{
	struct app_take *t = arg;
	struct tar_entry entry = *member;
	bool leads_out;

	t->left = 0;
	if (t->kind == APP_TAKE_ARTIFACT && !collect_as_artifact(&entry, &leads_out)) {
		t->result.left_out += leads_out;
		return;
	}
	t->result.files++;
	t->result.content += entry.size;
	if (entry.size > t->content_max || t->result.content > t->content_max) {
		take_fail(t, err_make(ERR_LIMIT, 0, "more than %llu MiB", (unsigned long long)(t->content_max >> 20)));
		return;
	}
	buf_reset(&t->header);
	tar_add_entry(&t->header, &entry);
	t->left = t->size = entry.size;
	give(t, buf_str(&t->header));
}

static void
on_bytes(void *arg, struct str bytes)
{
	struct app_take *t = arg;

	if (t->left == 0)
		return; /* of a member that is left out */
	t->left -= bytes.len;
	give(t, bytes);
	if (t->left == 0)
		give_padding(t);
}

static void
on_collected(void *arg, unsigned missing, const struct err *err)
{
	struct app_take *t = arg;

	(void)missing;
	t->collect = NULL;
	if (err != NULL)
		take_end(t, err);
	else if (t->result.files == 0)
		take_step(t, TAKE_DONE);
	else
		take_step(t, states[t->state].next);
}

/* --- the way --- */

static void
on_folder(void *arg, const struct err *err)
{
	struct app_take *t = arg;

	t->op = NULL;
	if (err != NULL)
		take_end(t, err);
	else
		take_step(t, states[t->state].next);
}

static void
enter_folder(struct app_take *t)
{
	char *folder = xstrndup(t->path, (size_t)(strrchr(t->path, '/') - t->path));

	t->op = disk_mkdir(file_store_disk(t->files), folder, 0750, on_folder, t);
	free(folder);
}

static void
on_room(void *arg, const struct err *err)
{
	struct app_take *t = arg;

	if (err != NULL)
		take_end(t, err);
	else if (t->collect != NULL)
		collect_resume(t->collect);
}

static void
enter_collect(struct app_take *t)
{
	static const struct collect_handler handler = {
		.on_entry = on_entry, .on_bytes = on_bytes, .on_done = on_collected
	};
	const struct collect_limits limits = { APP_TAKE_FILES_MAX, t->content_max * 4 + (1ULL << 30) };
	enum pack_form form = t->kind == APP_TAKE_ARTIFACT ? PACK_ZSTD : PACK_PLAIN;

	t->pack = pack_open(file_store_disk(t->files), t->temp, t->path, form, on_room, t);
	t->collect = builder_collect(t->run, t->patterns, &limits, &handler, t);
}

static void
on_packed(void *arg, const struct pack_result *result, const struct err *err)
{
	struct app_take *t = arg;

	if (err != NULL) {
		take_end(t, err);
		return;
	}
	t->result.size = result->size;
	memcpy(t->result.sha256, result->sha256, sizeof(t->result.sha256));
	take_step(t, states[t->state].next);
}

/* A cache is one of several tars in a row, an artifact is one that people unpack. */
static void
enter_finish(struct app_take *t)
{
	if (t->kind == APP_TAKE_ARTIFACT) {
		buf_reset(&t->header);
		tar_end(&t->header);
		pack_write(t->pack, buf_str(&t->header));
	}
	pack_finish(t->pack, on_packed, t);
}

static void
enter_done(struct app_take *t)
{
	take_end(t, NULL);
}

struct app_take *
app_take_start(
    struct file_store *files, struct builder_run *run, const struct app_take_spec *spec, app_take_fn *fn, void *arg)
{
	struct app_take *t = xcalloc(1, sizeof(*t));

	*t = (struct app_take){ .files = files,
		.run = run,
		.kind = spec->kind,
		.patterns = spec->patterns,
		.content_max = spec->content_max,
		.fn = fn,
		.arg = arg };
	t->path = xstrdup(spec->path);
	t->temp = file_store_incoming(files);
	buf_init(&t->header, HEADER_MAX);
	take_step(t, TAKE_FOLDER);
	return t;
}
