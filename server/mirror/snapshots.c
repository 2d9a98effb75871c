#include "server/mirror/snapshots.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>
#include <uthash.h>

#include "proto/mem.h"
#include "server/core/disk.h"
#include "server/core/log.h"
#include "server/core/loop.h"
#include "server/mirror/fetch.h"
#include "server/mirror/shown.h"
#include "server/mirror/place.h"
#include "server/mirror/shelf.h"
#include "server/mirror/snapshot.h"

#define IN_USE_S (3 * 86400) /* an index file that nobody has asked for that long is not kept up to date */

enum {
	ROOTS_MAX = 128,
	FETCHES = 4,   /* of a repository's index files at a time */
	TRIES_MAX = 5, /* at a repository that changes under way */
};

enum root_state {
	ROOT_IDLE,
	ROOT_READ, /* what is stored is read; nobody has asked for it since the start */
	ROOT_ASK,  /* the upstream is asked for the root file */
	ROOT_NEW,  /* a new one is read */
	ROOT_FILL, /* its index files are fetched */
};

struct snapshot_wait {
	TAILQ_ENTRY(snapshot_wait) link;
	struct root *root;
	uint64_t connection;
	uint64_t turn; /* of the root, when it began */
	bool asks;     /* for the root file; else for what is known of it */
	snapshot_fn *fn;
	void *arg;
};

/* An index file on its way. */
struct filling {
	LIST_ENTRY(filling) link;
	struct root *root;
	struct fetch *fetch;
	int64_t used; /* the one before, by a client, the last time */
};

struct root {
	UT_hash_handle hh; /* in the order of use: the first was used longest ago */
	struct snapshots *snapshots;
	struct target target;
	size_t folder_len; /* of target.path: what the paths of its index files stand below */
	struct snapshot *shown;
	uint64_t read; /* id of the variant that shown is of; or that has proved to be no root file */
	TAILQ_HEAD(, snapshot_wait) waits;
	uint64_t turn;
	unsigned telling; /* so often, callbacks are under way */

	enum root_state state;
	struct variant *stored; /* what was shown before */
	struct variant *fresh;  /* what came */
	struct draft *body;     /* its */
	struct snapshot *next;  /* what it says */
	struct fetch *fetch;
	struct disk_op *op;
	struct snapshot_reading *reading;
	LIST_HEAD(, filling) fillings;
	size_t cursor; /* of shown's files: the next to look at */
	bool has_signature;
	bool has_failed;              /* an index file could not be had */
	unsigned tries;               /* at which that was so */
	char missed[SHA256_HEX_SIZE]; /* the root file of the last one */
	bool is_moving;               /* they were not of one root file */
	struct timer *timer;
	bool is_late; /* nobody waits any longer for what is new */
};

struct snapshots {
	struct snapshots_conf conf;
	struct root *roots;
	struct shown shown;
};

static void step_ask(struct root *r);
static void fill(struct root *r);

static int64_t
now_s(void)
{
	return loop_wall_ms() / 1000;
}

/* --- reading --- */

static void
start_reading(struct root *r, int fd, uint64_t size, snapshot_read_fn *fn)
{
	r->reading = snapshot_read(r->snapshots->conf.disk, fd, size, r->target.kind, fn, r);
}

/* NULL with *err: it is no root file. */
static struct snapshot *
end_reading(struct root *r, struct snapshot *snapshot, const struct err *err)
{
	r->reading = NULL;
	if (err != NULL)
		log_info("mirror: %s: %s", r->target.key, err->text);
	return snapshot;
}

/* --- ends --- */

static struct snapshot_wait *
next_wait(struct root *r, bool asks, uint64_t turn)
{
	struct snapshot_wait *w;

	TAILQ_FOREACH(w, &r->waits, link)
	if (w->asks == asks && w->turn < turn)
		return w;
	return NULL;
}

/* Those who wait by now: a callback may ask again, or take others with it. */
static void
tell(struct root *r, bool asks, enum transfer_result result, struct variant *v, const struct err *err)
{
	uint64_t turn = ++r->turn;
	struct snapshot_wait *w;

	r->telling++;
	while ((w = next_wait(r, asks, turn)) != NULL) {
		snapshot_fn *fn = w->fn;
		void *arg = w->arg;

		if (v != NULL)
			shown_put(&r->snapshots->shown, w->connection, r, r->shown);
		snapshots_leave(&w);
		fn(arg, result, v, err);
	}
	r->telling--;
}

static void
stop(struct root *r)
{
	struct filling *f;

	fetch_cancel(&r->fetch);
	disk_cancel(&r->op);
	snapshot_stop(&r->reading);
	while ((f = LIST_FIRST(&r->fillings)) != NULL) {
		LIST_REMOVE(f, link);
		fetch_cancel(&f->fetch);
		free(f);
	}
	timer_stop(r->timer);
	snapshot_unref(&r->next);
	variant_unref(&r->stored);
	variant_unref(&r->fresh);
	draft_unref(&r->body);
	r->state = ROOT_IDLE;
	r->is_late = false;
	r->tries = 0;
	r->is_moving = false;
}

static void
root_free(struct root *r)
{
	struct snapshots *ss = r->snapshots;

	assert(TAILQ_EMPTY(&r->waits));
	stop(r);
	shown_drop(&ss->shown, r);
	HASH_DEL(ss->roots, r);
	timer_free(&r->timer);
	snapshot_unref(&r->shown);
	target_fini(&r->target);
	free(r);
}

static void
finish(struct root *r, enum transfer_result result, struct variant *v, const struct err *err)
{
	struct variant *kept = v != NULL ? variant_ref(v) : NULL;

	stop(r);
	tell(r, true, result, kept, err);
	variant_unref(&kept);
}

/* --- a new version --- */

static void
show(struct root *r)
{
	struct variant *v = r->fresh;

	snapshot_unref(&r->shown);
	r->shown = r->next;
	r->read = v->id;
	r->next = NULL;
	shelf_rename(r->snapshots->conf.shelf, r->target.key, v);
	if (variant_is_filed(v))
		shelf_keep_open(r->snapshots->conf.shelf, v, r->body);
	finish(r, TRANSFER_REPLY, v, NULL);
}

/* What is stored stays what is shown. */
static void
keep(struct root *r, const char *why)
{
	const struct err err = err_make(ERR_UNAVAILABLE, 0, "%s", why);

	log_info("mirror: %s: %s; the one before stays", r->target.key, why);
	if (r->fresh != NULL)
		shelf_drop(r->snapshots->conf.shelf, r->fresh);
	finish(r, TRANSFER_STALE, r->stored, &err);
}

/* What cannot be had time and again, of the same root file, is not there. */
static void
end_fill(struct root *r)
{
	if (!r->has_failed) {
		show(r);
		return;
	}
	r->is_moving = r->is_moving || (r->tries > 0 && strcmp(r->missed, r->next->digest) != 0);
	if (++r->tries == TRIES_MAX) {
		if (r->is_moving)
			keep(r, "the repository changes all the time");
		else
			show(r);
		return;
	}
	memcpy(r->missed, r->next->digest, sizeof(r->missed));
	shelf_drop(r->snapshots->conf.shelf, r->fresh);
	variant_unref(&r->fresh);
	draft_unref(&r->body);
	snapshot_unref(&r->next);
	step_ask(r);
}

static void
on_filled(void *arg, enum transfer_result result, struct variant *v, struct draft *body, const struct err *err)
{
	struct filling *f = arg;
	struct root *r = f->root;
	int64_t used = f->used;
	struct http1_head head;

	(void)body;
	LIST_REMOVE(f, link);
	free(f);
	if (result == TRANSFER_REPLY) {
		variant_read_head(v, &head);
		if (v->used == v->times.received) /* no client has asked for it meanwhile */
			shelf_set_used(r->snapshots->conf.shelf, v, used);
	}
	if (result != TRANSFER_REPLY || head.status != 200)
		r->has_failed = true;
	if (err != NULL)
		log_info("mirror: %s: %s", r->target.key, err->text);
	fill(r);
}

static void
fetch_index(struct root *r, const struct target *target, int64_t used)
{
	struct filling *f = xcalloc(1, sizeof(*f));

	f->root = r;
	f->used = used;
	LIST_INSERT_HEAD(&r->fillings, f, link);
	f->fetch =
	    fetch_start(r->snapshots->conf.loop, r->snapshots->conf.transfers, target, HTTP1_GET, NULL, on_filled, f);
}

/* The file, if it is stored: not the word that there is none. */
static const struct variant *
find_good(const struct root *r, const struct target *target)
{
	const struct variant *v = shelf_peek(r->snapshots->conf.shelf, target->key);
	struct http1_head head;

	if (v == NULL)
		return NULL;
	variant_read_head(v, &head);
	return head.status == 200 ? v : NULL;
}

static bool
has_good(const struct root *r, const struct target *target)
{
	return find_good(r, target) != NULL;
}

/* Of what is there as of the version shown so far, and was asked for lately, the new version's is fetched. The use
 * counts on, so that it ends when nobody asks any more. */
static void
fill_one(struct root *r, struct target *old, struct target *new)
{
	const struct variant *v = find_good(r, old);

	if (v != NULL && now_s() - v->used <= IN_USE_S && !has_good(r, new))
		fetch_index(r, new, v->used);
	target_fini(old);
	target_fini(new);
}

static void
fill_index(struct root *r, const struct index_file *old)
{
	const struct index_file *new = index_files_find_role(&r->next->files, old->role);
	struct target from, to;

	if (new == NULL || strcmp(new->digest, old->digest) == 0)
		return;
	place_of_file(&r->target, r->folder_len, r->shown, old, &from);
	place_of_file(&r->target, r->folder_len, r->next, new, &to);
	fill_one(r, &from, &to);
}

static void
fill_signature(struct root *r)
{
	struct target from, to;

	place_of_signature(&r->target, r->folder_len, r->shown, &from);
	place_of_signature(&r->target, r->folder_len, r->next, &to);
	fill_one(r, &from, &to);
}

static bool
has_room(const struct root *r)
{
	const struct filling *f;
	unsigned count = 0;

	LIST_FOREACH(f, &r->fillings, link)
	count++;
	return count < FETCHES;
}

static void
fill(struct root *r)
{
	if (r->has_signature && has_room(r)) {
		r->has_signature = false;
		fill_signature(r);
	}
	while (r->cursor < r->shown->files.count && has_room(r))
		fill_index(r, &r->shown->files.list[r->cursor++]);
	if (LIST_EMPTY(&r->fillings))
		end_fill(r);
}

static void
on_new_read(void *arg, struct snapshot *snapshot, const struct err *err)
{
	struct root *r = arg;

	r->next = end_reading(r, snapshot, err);
	if (r->next == NULL) { /* the upstream says so, but it is no version of this repository */
		struct variant *v = variant_ref(r->fresh);

		finish(r, TRANSFER_REPLY, v, NULL);
		shelf_drop(r->snapshots->conf.shelf, v);
		variant_unref(&v);
	} else if (r->shown == NULL) {
		show(r);
	} else {
		r->state = ROOT_FILL;
		r->cursor = 0;
		r->has_failed = false;
		r->has_signature = place_signature(&r->target) != NULL;
		fill(r);
	}
}

static void
on_asked(void *arg, enum transfer_result result, struct variant *v, struct draft *body, const struct err *err)
{
	struct root *r = arg;
	struct http1_head head;

	r->fetch = NULL;
	if (result != TRANSFER_REPLY) {
		finish(r, result, v, err);
		return;
	}
	variant_read_head(v, &head);
	if (head.status != 200 || v->object == NULL) {
		if (!has_good(r, &r->target)) /* that there is none is known, too */
			shelf_rename(r->snapshots->conf.shelf, r->target.key, v);
		finish(r, result, v, NULL);
		if (has_good(r, &r->target))
			shelf_drop(r->snapshots->conf.shelf, v);
		return;
	}
	r->state = ROOT_NEW;
	r->fresh = variant_ref(v);
	r->body = draft_ref(body);
	start_reading(r, fcntl(draft_fd(body), F_DUPFD_CLOEXEC, 0), draft_size(body), on_new_read);
}

/* Below a key of its own, where nobody finds it, until it is shown. */
static void
step_ask(struct root *r)
{
	struct target target;

	r->state = ROOT_ASK;
	target_copy(&target, &r->target);
	target_set_version(&target, "new");
	r->fetch = fetch_start(
	    r->snapshots->conf.loop, r->snapshots->conf.transfers, &target, HTTP1_GET, r->stored, on_asked, r);
	target_fini(&target);
}

static void
on_late(void *arg)
{
	struct root *r = arg;

	r->is_late = true;
	if (r->stored != NULL)
		tell(r, true, TRANSFER_STALE, r->stored, NULL);
}

/* --- what is stored --- */

static void
end_stored(struct root *r)
{
	tell(r, false, TRANSFER_ALONE, NULL, NULL);
	if (next_wait(r, true, r->turn + 1) != NULL) {
		timer_start(r->timer, SNAPSHOT_WAIT_MS);
		step_ask(r);
	} else {
		stop(r);
	}
}

static void
on_stored_read(void *arg, struct snapshot *snapshot, const struct err *err)
{
	struct root *r = arg;

	snapshot_unref(&r->shown);
	r->shown = end_reading(r, snapshot, err);
	r->read = r->stored->id;
	end_stored(r);
}

static void
on_stored_opened(void *arg, int fd, const struct stat *st, const struct err *err)
{
	struct root *r = arg;

	r->op = NULL;
	if (err == NULL && shelf_is_file_of(r->stored, st)) {
		start_reading(r, fd, r->stored->size, on_stored_read);
		return;
	}
	if (err == NULL)
		close(fd);
	shelf_drop(r->snapshots->conf.shelf, r->stored);
	variant_unref(&r->stored);
	end_stored(r);
}

/* Of a variant that is in the shelf, but not read yet. */
static bool
is_readable(const struct root *r, const struct variant *v)
{
	return v != NULL && v->id != r->read && variant_is_filed(v) && has_good(r, &r->target);
}

static void
begin(struct root *r)
{
	struct variant *stored = shelf_peek(r->snapshots->conf.shelf, r->target.key);

	r->stored = stored != NULL ? variant_ref(stored) : NULL;
	if (stored == NULL) /* purged, or given way */
		snapshot_unref(&r->shown);
	if (!is_readable(r, stored)) {
		timer_start(r->timer, SNAPSHOT_WAIT_MS);
		step_ask(r);
		return;
	}
	r->state = ROOT_READ;
	r->op = shelf_read(r->snapshots->conf.shelf, stored, on_stored_opened, r);
}

/* --- roots --- */

static struct root *
root_find(struct snapshots *ss, const char *key)
{
	struct root *r;

	HASH_FIND_STR(ss->roots, key, r);
	return r;
}

static bool
make_room(struct snapshots *ss)
{
	struct root *r, *next;

	if (HASH_COUNT(ss->roots) < ROOTS_MAX)
		return true;
	HASH_ITER(hh, ss->roots, r, next)
	if (r->state == ROOT_IDLE && TAILQ_EMPTY(&r->waits) && r->telling == 0) {
		root_free(r);
		return true;
	}
	return false;
}

/* NULL: all that are kept are busy. */
static struct root *
root_of(struct snapshots *ss, const struct target *target)
{
	struct root *r = root_find(ss, target->key);

	if (r != NULL) {
		HASH_DEL(ss->roots, r);
		HASH_ADD_KEYPTR(hh, ss->roots, r->target.key, strlen(r->target.key), r);
		return r;
	}
	if (!make_room(ss))
		return NULL;
	r = xcalloc(1, sizeof(*r));
	r->snapshots = ss;
	target_copy(&r->target, target);
	r->folder_len = place_folder_len(target);
	TAILQ_INIT(&r->waits);
	LIST_INIT(&r->fillings);
	r->timer = timer_new(ss->conf.loop, on_late, r);
	HASH_ADD_KEYPTR(hh, ss->roots, r->target.key, strlen(r->target.key), r);
	return r;
}

static struct snapshot_wait *
wait_for(struct root *r, uint64_t connection, bool asks, snapshot_fn *fn, void *arg)
{
	struct snapshot_wait *w = xcalloc(1, sizeof(*w));

	*w = (struct snapshot_wait){
		.root = r, .connection = connection, .turn = r->turn, .asks = asks, .fn = fn, .arg = arg
	};
	TAILQ_INSERT_TAIL(&r->waits, w, link);
	if (r->state == ROOT_IDLE)
		begin(r);
	else if (r->is_late)
		timer_start(r->timer, 0);
	return w;
}

struct snapshot_wait *
snapshots_ask(struct snapshots *ss, const struct target *target, uint64_t connection, snapshot_fn *fn, void *arg)
{
	struct root *r = root_of(ss, target);

	return r != NULL ? wait_for(r, connection, true, fn, arg) : NULL;
}

void
snapshots_leave(struct snapshot_wait **wait)
{
	struct snapshot_wait *w = *wait;

	*wait = NULL;
	if (w == NULL)
		return;
	TAILQ_REMOVE(&w->root->waits, w, link);
	free(w);
}

/* --- index files --- */

/* The roots that the target may be below, in the folders above it; the nearest first. */
enum { NAMES_MAX = 2 };
static const char *const root_names[][NAMES_MAX] = {
	[PACKAGE_APT] = { "InRelease", "Release" },
	[PACKAGE_RPM] = { "repodata/repomd.xml", NULL },
};

struct search {
	struct snapshots *snapshots;
	struct target *target;
	uint64_t connection;
	struct root *found; /* that knows the target */
	struct snapshot *snapshot;
	bool is_pinned;
	struct root *unread;
};

static bool
knows(const struct root *r, const struct snapshot *snapshot, const struct target *t)
{
	struct target probe;
	bool ret;

	target_copy(&probe, t);
	ret = place_put(&probe, &r->target, r->folder_len, snapshot);
	target_fini(&probe);
	return ret;
}

static void
look_at(struct search *s, const struct target *root)
{
	struct root *r = root_find(s->snapshots, root->key);
	struct variant *stored;
	struct snapshot *snapshot;
	bool is_pinned;

	if (r == NULL || (r->shown == NULL && r->state == ROOT_IDLE)) {
		stored = shelf_peek(s->snapshots->conf.shelf, root->key);
		if (stored == NULL || (r == NULL && (r = root_of(s->snapshots, root)) == NULL))
			return;
		if (is_readable(r, stored))
			s->unread = r;
	} else if (r->state == ROOT_READ && r->shown == NULL) {
		s->unread = r;
	}
	snapshot = shown_find(&s->snapshots->shown, s->connection, r);
	is_pinned = snapshot != NULL;
	snapshot = is_pinned ? snapshot : r->shown;
	if (snapshot == NULL || s->is_pinned || (s->found != NULL && !is_pinned) || !knows(r, snapshot, s->target))
		return;
	s->found = r;
	s->snapshot = snapshot;
	s->is_pinned = is_pinned;
}

static void
look_in(struct search *s, size_t folder_len)
{
	for (size_t i = 0; i < NAMES_MAX; i++) {
		const char *name = root_names[s->target->kind][i];
		struct target root;
		char *path;

		if (name == NULL ||
		    (s->target->kind == PACKAGE_RPM && strncmp(s->target->path + folder_len, "repodata/", 9) != 0))
			continue;
		path = xasprintf("%.*s%s", (int)folder_len, s->target->path, name);
		target_beside(s->target, path, &root);
		look_at(s, &root);
		target_fini(&root);
		free(path);
	}
}

struct snapshot_wait *
snapshots_place(struct snapshots *ss, struct target *target, uint64_t connection, snapshot_fn *fn, void *arg)
{
	struct search s = { .snapshots = ss, .target = target, .connection = connection };

	if (!place_may_be_index(target))
		return NULL;
	for (size_t len = strcspn(target->path, "?"); len > 0; len--)
		if (target->path[len - 1] == '/')
			look_in(&s, len);
	if (s.unread != NULL && !s.is_pinned)
		return wait_for(s.unread, connection, false, fn, arg);
	if (s.found != NULL)
		place_put(target, &s.found->target, s.found->folder_len, s.snapshot);
	return NULL;
}

/* --- life --- */

struct snapshots *
snapshots_new(const struct snapshots_conf *conf)
{
	struct snapshots *ss = xcalloc(1, sizeof(*ss));

	ss->conf = *conf;
	return ss;
}

void
snapshots_free(struct snapshots **snapshots)
{
	struct snapshots *ss = *snapshots;

	if (ss == NULL)
		return;
	*snapshots = NULL;
	while (ss->roots != NULL)
		root_free(ss->roots);
	shown_fini(&ss->shown);
	free(ss);
}
