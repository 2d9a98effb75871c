#include "server/builder/collect.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/glob.h"
#include "proto/mem.h"
#include "server/builder/box.h"
#include "server/core/loop.h"
#include "server/io/docker.h"

enum {
	SLICE_MS = 5,          /* of looking at members, then the loop goes on */
	REST_MAX = 1024 * 1024 /* of what had come by then; httpc.h reads far less at a time */
};

enum collect_state {
	COLLECT_NEXT, /* the next place that is asked for */
	COLLECT_READ,
	COLLECT_DONE,
};

struct collect {
	struct docker *docker;
	enum collect_state state;
	char *container;
	struct strings patterns; /* absolute, without their first slash */
	struct strings places;   /* folders and files that hold what fits, none below another; likewise */
	size_t place;
	unsigned missing;
	struct collect_limits left;
	struct loop *loop;
	struct buf rest;       /* what came and was not looked at yet: the engine waits */
	struct deferred *more; /* looks at it */
	bool has_ended;        /* the reply, behind rest */
	struct err end;        /* how */
	struct docker_op *op;
	struct deferred *begin;
	struct untar untar;
	struct tar_order order;
	struct buf name, link; /* of the entry that is given out */
	bool takes;            /* the content of the entry that was read last */
	bool is_paused;
	bool *gone; /* set when the collect ends while one of its callbacks runs */
	const struct collect_handler *handler;
	void *arg;
};

static void enter_next(struct collect *c);
static void enter_read(struct collect *c);
static void enter_done(struct collect *c);

/* clang-format off */
static const struct {
	const char *name;
	void (*enter)(struct collect *c);
} states[] = {
	[COLLECT_NEXT] = { "next", enter_next },
	[COLLECT_READ] = { "read", enter_read },
	[COLLECT_DONE] = { "done", enter_done },
};
/* clang-format on */

static void
collect_step(struct collect *c, enum collect_state next)
{
	c->state = next;
	states[next].enter(c);
}

void
collect_cancel(struct collect **collect)
{
	struct collect *c = *collect;

	if (c == NULL)
		return;
	*collect = NULL;
	if (c->gone != NULL)
		*c->gone = true;
	docker_cancel(&c->op);
	deferred_cancel(&c->begin);
	deferred_cancel(&c->more);
	buf_fini(&c->rest);
	untar_fini(&c->untar);
	tar_order_fini(&c->order);
	buf_fini(&c->name);
	buf_fini(&c->link);
	strings_fini(&c->patterns);
	strings_fini(&c->places);
	free(c->container);
	free(c);
}

/* The only end but collect_cancel. */
static void
collect_end(struct collect *c, const struct err *err)
{
	const struct collect_handler *handler = c->handler;
	unsigned missing = c->missing;
	void *arg = c->arg;

	collect_cancel(&c);
	handler->on_done(arg, missing, err);
}

static void
collect_fail(struct collect *c, struct err err)
{
	err = err_prefix(err, "/%s", c->places.items[c->place]);
	collect_end(c, &err);
}

/* --- what is asked for --- */

/* What of a pattern is the same for all that fits: the parts before the first with a sign. */
static struct str
place_of(const char *pattern)
{
	struct str place = { pattern, 0 }, rest = str_of(pattern);

	if (!glob_has_signs(pattern)) {
		while (rest.len > 0 && rest.p[rest.len - 1] == '/')
			rest.len--;
		return rest;
	}
	while (rest.len > 0) {
		struct str part = str_cut(&rest, '/');
		char *text = str_dup(part);
		bool ends = glob_has_signs(text) || rest.len == 0;

		free(text);
		if (ends)
			break;
		place.len = (size_t)(part.p + part.len - pattern);
	}
	return place;
}

static bool
is_below(struct str path, struct str folder)
{
	return path.len >= folder.len && memcmp(path.p, folder.p, folder.len) == 0 &&
	       (path.len == folder.len || path.p[folder.len] == '/');
}

/* A place within another one comes with that. */
static void
add_place(struct strings *places, struct str place)
{
	size_t kept = 0;

	for (size_t i = 0; i < places->count; i++)
		if (is_below(place, str_of(places->items[i])))
			return;
	for (size_t i = 0; i < places->count; i++) {
		if (is_below(str_of(places->items[i]), place))
			free(places->items[i]);
		else
			places->items[kept++] = places->items[i];
	}
	places->count = kept;
	strings_add(places, place);
}

/* Without "." and empty parts, so that it compares. */
static char *
tidy(const char *workspace, const char *pattern)
{
	char *whole = xasprintf("%s/%s", pattern[0] == '/' ? "" : workspace, pattern);
	struct str rest = str_of(whole);
	struct buf b;
	char *text;

	buf_init(&b, strlen(whole) + 1);
	while (rest.len > 0) {
		struct str part = str_cut(&rest, '/');

		if (part.len > 0 && !str_is(part, ".")) {
			if (b.len > 0)
				buf_addc(&b, '/');
			buf_addstr(&b, part);
		}
	}
	text = buf_take(&b, NULL);
	buf_fini(&b);
	free(whole);
	return text;
}

static void
add_pattern(struct collect *c, const char *workspace, const char *pattern)
{
	char *text = tidy(workspace, pattern);
	struct str place = place_of(text);

	if (place.len == 0 || !tar_name_is_safe(place)) { /* all of "/" is nobody's, and ".." leads astray */
		c->missing++;
	} else {
		strings_add(&c->patterns, str_of(text));
		add_place(&c->places, place);
	}
	free(text);
}

/* --- members --- */

static bool
fits(const struct collect *c, const char *name)
{
	for (size_t i = 0; i < c->patterns.count; i++)
		if (glob_match_path(c->patterns.items[i], name))
			return true;
	return false;
}

/* The engine's names begin with the last part of what was asked for. */
static bool
set_whole_name(const struct collect *c, struct buf *ret, const char *name)
{
	const char *place = c->places.items[c->place], *slash = strrchr(place, '/');

	buf_reset(ret);
	if (slash != NULL)
		buf_add(ret, place, (size_t)(slash + 1 - place));
	buf_adds(ret, name);
	return !buf_failed(ret) && is_below(buf_str(ret), str_of(place));
}

/* False: it is none that this place can have. */
static bool
take_entry(struct collect *c, struct tar_entry entry)
{
	c->takes = false;
	if (!tar_order_next(&c->order, &entry) || !set_whole_name(c, &c->name, entry.name))
		return false;
	entry.name = c->name.data;
	if (entry.kind == TAR_HARDLINK) {
		if (!set_whole_name(c, &c->link, entry.link))
			return false;
		entry.link = c->link.data;
		if (!fits(c, entry.link))
			return true;
	}
	c->takes = entry.kind != TAR_OTHER && fits(c, entry.name);
	if (c->takes)
		c->handler->on_entry(c->arg, &entry);
	return true;
}

/* Until it is used up, or the time is over; *in is what is left then. False: c is gone. */
static bool
look_at(struct collect *c, struct str *in)
{
	int64_t until = loop_mono_ms() + SLICE_MS;
	enum untar_next next = UNTAR_MORE;
	struct tar_entry entry;
	bool gone = false, good = true;
	struct str piece;

	c->gone = &gone;
	while (good && !c->is_paused && in->len > 0) {
		next = untar_next(&c->untar, in, &entry, &piece);
		if (next == UNTAR_PIECE && c->takes)
			c->handler->on_bytes(c->arg, piece);
		else if (next == UNTAR_ENTRY)
			good = take_entry(c, entry);
		if (gone)
			return false;
		if (next == UNTAR_BAD || (next == UNTAR_ENTRY && loop_mono_ms() >= until))
			break;
	}
	c->gone = NULL;
	if (!good)
		collect_fail(c, err_make(ERR_PROTO, 0, "archive: its members are not in the order of a walk"));
	else if (next == UNTAR_BAD)
		collect_fail(c, c->untar.err);
	return good && next != UNTAR_BAD;
}

static void
read_ended(struct collect *c)
{
	if (c->end.code == ERR_NOT_FOUND) {
		c->missing++;
	} else if (c->end.code != ERR_NONE) {
		collect_fail(c, c->end);
		return;
	} else if (c->untar.state != UNTAR_ENDED) {
		collect_fail(c, err_make(ERR_PROTO, 0, "archive: it is cut off"));
		return;
	}
	c->place++;
	collect_step(c, COLLECT_NEXT);
}

static void on_more(void *arg);

/* The engine goes on when nothing is left to look at; what is left has its turn. */
static void
go_on(struct collect *c)
{
	if (c->is_paused || (c->rest.len > 0 && c->more != NULL))
		return;
	if (c->rest.len > 0)
		c->more = deferred_call(c->loop, on_more, c);
	else if (c->has_ended)
		read_ended(c);
	else if (c->op != NULL)
		docker_download_resume(c->op);
}

static void
on_more(void *arg)
{
	struct collect *c = arg;
	struct str left = buf_str(&c->rest);

	c->more = NULL;
	if (!look_at(c, &left))
		return;
	buf_shift(&c->rest, c->rest.len - left.len);
	go_on(c);
}

static void
on_bytes(void *arg, struct str in)
{
	struct collect *c = arg;

	if (in.len > c->left.bytes) {
		collect_fail(c, err_make(ERR_LIMIT, 0, "there is too much to look through; name narrower paths"));
		return;
	}
	c->left.bytes -= in.len;
	if (c->rest.len == 0 && !look_at(c, &in))
		return;
	if (in.len == 0)
		return;
	if (!buf_addstr(&c->rest, in)) {
		collect_fail(c, err_make(ERR_LIMIT, 0, "the engine does not wait"));
		return;
	}
	docker_download_pause(c->op);
	go_on(c);
}

static void
on_read(void *arg, const union docker_result *result, const struct err *err)
{
	struct collect *c = arg;

	(void)result;
	c->op = NULL;
	c->has_ended = true;
	c->end = err != NULL ? *err : ERR_OK;
	if (c->rest.len == 0)
		read_ended(c);
}

static void
enter_read(struct collect *c)
{
	char *path = xasprintf("/%s", c->places.items[c->place]);

	c->left.members -= c->untar.members;
	untar_fini(&c->untar);
	untar_init(&c->untar, c->left.members);
	tar_order_fini(&c->order);
	tar_order_init(&c->order);
	c->takes = c->has_ended = false;
	c->op = docker_download(c->docker, c->container, path, on_bytes, on_read, c);
	if (c->is_paused)
		docker_download_pause(c->op);
	free(path);
}

static void
enter_next(struct collect *c)
{
	collect_step(c, c->place < c->places.count ? COLLECT_READ : COLLECT_DONE);
}

static void
enter_done(struct collect *c)
{
	collect_end(c, NULL);
}

/* Every member is held against every pattern. */
static bool
check_cost(const struct collect *c, struct err *err)
{
	size_t cost = 0;

	for (size_t i = 0; i < c->patterns.count; i++)
		cost += glob_cost(c->patterns.items[i]);
	return cost <= GLOB_COST_MAX ||
	       err_set(err, ERR_LIMIT, 0, "the paths have too many alternatives; name fewer or shorter ones");
}

static void
on_begin(void *arg)
{
	struct collect *c = arg;
	struct err err;

	c->begin = NULL;
	if (check_cost(c, &err))
		collect_step(c, COLLECT_NEXT);
	else
		collect_end(c, &err);
}

/* --- for the owner --- */

struct collect *
collect_start(struct loop *loop, struct docker *docker, const char *container, const char *workspace,
    const struct strings *patterns, const struct collect_limits *limits, const struct collect_handler *handler,
    void *arg)
{
	struct collect *c = xcalloc(1, sizeof(*c));

	*c = (struct collect){ .loop = loop, .docker = docker, .left = *limits, .handler = handler, .arg = arg };
	c->container = xstrdup(container);
	buf_init(&c->rest, REST_MAX);
	untar_init(&c->untar, 0);
	tar_order_init(&c->order);
	buf_init(&c->name, TAR_NAME_MAX);
	buf_init(&c->link, TAR_NAME_MAX);
	for (size_t i = 0; i < patterns->count; i++)
		add_pattern(c, workspace, patterns->items[i]);
	c->begin = deferred_call(loop, on_begin, c);
	return c;
}

void
collect_pause(struct collect *collect)
{
	collect->is_paused = true;
	if (collect->op != NULL)
		docker_download_pause(collect->op);
}

void
collect_resume(struct collect *collect)
{
	collect->is_paused = false;
	go_on(collect);
}

/* --- members of an artifact --- */

/* The name as an artifact has it; NULL: it is the workspace itself, or not below it. */
static const char *
below_workspace(const char *name)
{
	size_t len = strlen(BOX_WORKSPACE) - 1;

	return strncmp(name, BOX_WORKSPACE + 1, len) == 0 && name[len] == '/' ? name + len + 1 : NULL;
}

bool
collect_as_artifact(struct tar_entry *entry, bool *leads_out)
{
	*leads_out = false;
	entry->name = below_workspace(entry->name);
	if (entry->name == NULL)
		return false;
	if (entry->kind == TAR_HARDLINK)
		entry->link = below_workspace(entry->link);
	if (entry->link == NULL ||
	    (entry->kind == TAR_SYMLINK && !tar_link_is_inside(str_of(entry->name), str_of(entry->link)))) {
		*leads_out = true;
		return false;
	}
	entry->uid = entry->gid = 0;
	entry->mode &= 0777;
	return true;
}
