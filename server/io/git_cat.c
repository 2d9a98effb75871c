/* `git cat-file --batch`, kept running: "EXPRESSION\n" in, "ID TYPE SIZE\nBYTES\n" or "EXPRESSION missing\n" out, in
 * order (git-cat-file(1)). It finds objects that a fetch brings later, as git looks for new packs when it misses one.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/buf.h"
#include "proto/git_error.h"
#include "proto/mem.h"
#include "server/core/loop.h"
#include "server/io/git_impl.h"

enum {
	CATS_MAX = 8,    /* processes, but for those that are all busy */
	IDLE_MS = 60000, /* then the process is ended */
	ANSWER_MS = 10000,
	HEAD_MAX = 8192,    /* of an answer's first line */
	REQUESTS_MAX = 512, /* waiting for one process: what child_write takes */
	EXPRESSION_MAX = 2000,
	TRIES = 2, /* of processes, when one dies with a request */
};

struct cat {
	TAILQ_ENTRY(cat) link; /* in git->cats */
	struct git_mirror *mirror;
	struct child *child;
	struct timer *timer;
	TAILQ_HEAD(, cat_request) requests; /* that wait for their answers, in order */
	unsigned count;
	struct buf buf; /* what came and is not a whole answer yet */
};

struct cat_request {
	TAILQ_ENTRY(cat_request) link;
	struct cat *cat; /* NULL: it is answered */
	struct loop *loop;
	char *expression;
	size_t max;
	unsigned tries;
	struct deferred *answered;
	char type[16];
	char *bytes;
	size_t len;
	struct err err;
	cat_fn *fn; /* NULL: cancelled, its answer is thrown away */
	void *arg;
};

static void cat_start(struct cat *cat);

/* --- answers --- */

static void
request_free(struct cat_request *request)
{
	deferred_cancel(&request->answered);
	free(request->expression);
	free(request->bytes);
	free(request);
}

static void
on_answered(void *arg)
{
	struct cat_request *request = arg;
	struct cat_request answer = *request;
	struct str bytes = { request->bytes == NULL ? "" : request->bytes, request->len };

	request->answered = NULL;
	request->bytes = NULL;
	request_free(request);
	answer.fn(answer.arg, answer.type, bytes, answer.err.code == ERR_NONE ? NULL : &answer.err);
	free(answer.bytes);
}

/* Out of the queue; its callback comes by the loop. */
static void
request_answer(struct cat_request *request, struct err err)
{
	struct cat *cat = request->cat;

	TAILQ_REMOVE(&cat->requests, request, link);
	cat->count--;
	request->cat = NULL;
	request->err = err;
	if (request->fn == NULL)
		request_free(request);
	else
		request->answered = deferred_call(request->loop, on_answered, request);
}

/* --- the process --- */

static void
cat_free(struct cat *cat)
{
	struct git *git = cat->mirror->git;

	assert(TAILQ_EMPTY(&cat->requests));
	child_cancel(&cat->child);
	timer_free(&cat->timer);
	buf_fini(&cat->buf);
	TAILQ_REMOVE(&git->cats, cat, link);
	git->cat_count--;
	cat->mirror->cat = NULL;
	free(cat);
}

static void
cat_fail_all(struct cat *cat, struct err err)
{
	while (!TAILQ_EMPTY(&cat->requests))
		request_answer(TAILQ_FIRST(&cat->requests), err);
	cat_free(cat);
}

/* An idle process more than there should be goes. */
static void
trim_cats(struct git *git)
{
	struct cat *cat = TAILQ_FIRST(&git->cats);

	while (cat != NULL && git->cat_count > CATS_MAX) {
		struct cat *next = TAILQ_NEXT(cat, link);

		if (cat->count == 0)
			cat_free(cat);
		cat = next;
	}
}

static void
on_timer(void *arg)
{
	struct cat *cat = arg;

	cat_fail_all(cat, err_make(ERR_TIMEOUT, 0, "git cat-file does not answer"));
}

/* After an answer: the next one's deadline, or the time until the process is not worth its memory. */
static void
cat_wait(struct cat *cat)
{
	timer_start(cat->timer, cat->count > 0 ? ANSWER_MS : IDLE_MS);
	if (cat->count == 0)
		trim_cats(cat->mirror->git); /* cat may be gone */
}

/* Another process for those that wait. */
static void
cat_restart(struct cat *cat)
{
	child_cancel(&cat->child);
	buf_reset(&cat->buf);
	if (cat->count > 0)
		cat_start(cat);
	else
		cat_free(cat);
}

/* --- reading answers --- */

/* "ID TYPE SIZE" into the request. */
static bool
parse_head(struct cat_request *request, struct str line, uint64_t *size)
{
	struct str id = str_cut(&line, ' ');
	struct str type = str_cut(&line, ' ');

	if ((id.len != 40 && id.len != 64) || type.len == 0 || type.len >= sizeof(request->type))
		return false;
	memcpy(request->type, type.p, type.len);
	request->type[type.len] = '\0';
	return str_to_u64(line, UINT64_MAX, size);
}

static bool
is_missing(const struct cat_request *request, struct str line)
{
	size_t len = strlen(request->expression);

	return line.len > len && memcmp(line.p, request->expression, len) == 0 &&
	       str_is((struct str){ line.p + len, line.len - len }, " missing");
}

enum step { STEP_MORE, STEP_WAIT, STEP_GONE };

/* The process has sent what makes no sense, or more than is wanted: another one takes over. */
static enum step
give_up(struct cat *cat, struct cat_request *request, struct err err)
{
	request_answer(request, err);
	cat_restart(cat);
	return STEP_GONE;
}

static enum step
take_answer(struct cat *cat)
{
	struct cat_request *request = TAILQ_FIRST(&cat->requests);
	const char *newline = memchr(cat->buf.data, '\n', cat->buf.len);
	struct str line = { cat->buf.data, newline == NULL ? 0 : (size_t)(newline - cat->buf.data) };
	uint64_t size;

	if (request == NULL || (newline == NULL && cat->buf.len < HEAD_MAX))
		return STEP_WAIT;
	if (newline != NULL && is_missing(request, line)) {
		request_answer(request, err_make(ERR_NOT_FOUND, 0, "git has no %s", request->expression));
		buf_shift(&cat->buf, line.len + 1);
		return STEP_MORE;
	}
	if (newline == NULL || !parse_head(request, line, &size))
		return give_up(cat, request, err_make(ERR_PROTO, 0, "git cat-file speaks nonsense"));
	if (size > request->max)
		return give_up(cat, request, err_make(ERR_LIMIT, 0, "it is larger than %zu bytes", request->max));
	if (cat->buf.len < line.len + 1 + size + 1)
		return STEP_WAIT;
	request->len = (size_t)size;
	request->bytes = xcalloc(1, request->len + 1);
	memcpy(request->bytes, newline + 1, request->len);
	buf_shift(&cat->buf, line.len + 1 + request->len + 1);
	request_answer(request, ERR_OK);
	return STEP_MORE;
}

static void
on_output(void *arg, struct str bytes)
{
	struct cat *cat = arg;
	enum step step;

	buf_addstr(&cat->buf, bytes);
	do
		step = take_answer(cat);
	while (step == STEP_MORE);
	if (step == STEP_WAIT)
		cat_wait(cat);
}

/* It ends only when we close it, but for trouble: a missing mirror, or somebody's kill. */
static void
on_done(void *arg, const struct child_result *result, const struct err *err)
{
	struct cat *cat = arg;
	struct err why = err == NULL ? err_make(ERR_UNAVAILABLE, 0, "git cat-file ended") : *err;
	struct cat_request *first = TAILQ_FIRST(&cat->requests);

	cat->child = NULL;
	if (result->err.len > 0)
		why = git_error(result->err, result->exit_code, NULL);
	if (why.code == ERR_NOT_FOUND)
		why = err_make(ERR_NOT_FOUND, 0, "the repository has not been fetched yet");
	else
		why.code = ERR_UNAVAILABLE;
	if (first == NULL || why.code == ERR_NOT_FOUND || first->tries >= TRIES)
		cat_fail_all(cat, why);
	else
		cat_restart(cat);
}

/* A process that has just died takes nothing: on_done sends it to the next one. */
static void
cat_send(struct cat *cat, struct cat_request *request)
{
	char *line = xasprintf("%s\n", request->expression);

	request->tries++;
	child_write(cat->child, str_of(line));
	free(line);
}

static void
cat_start(struct cat *cat)
{
	struct git *git = cat->mirror->git;
	char *dir = xasprintf("--git-dir=%s", cat->mirror->path);
	const char *const argv[] = { "git", dir, "cat-file", "--batch", NULL };
	struct child_spec spec = {
		.argv = argv,
		.env = (const char *const *)git->env,
		.in = CHILD_IN_PIPE,
		.out = { .kind = CHILD_OUT_STREAM, .fn = on_output },
		.err = { .kind = CHILD_OUT_COLLECT, .max = 4096 },
	};
	struct cat_request *request;

	cat->child = child_start(git->children, &spec, on_done, cat);
	free(dir);
	TAILQ_FOREACH(request, &cat->requests, link)
	cat_send(cat, request);
	timer_start(cat->timer, ANSWER_MS);
}

static struct cat *
cat_new(struct git_mirror *mirror)
{
	struct cat *cat = xcalloc(1, sizeof(*cat));
	struct git *git = mirror->git;

	cat->mirror = mirror;
	cat->timer = timer_new(git->loop, on_timer, cat);
	TAILQ_INIT(&cat->requests);
	buf_init(&cat->buf, HEAD_MAX + CAT_MAX + (1 << 20));
	TAILQ_INSERT_TAIL(&git->cats, cat, link);
	git->cat_count++;
	mirror->cat = cat;
	cat_start(cat);
	return cat;
}

/* --- requests --- */

static struct cat_request *
request_new(struct loop *loop, const char *expression, size_t max, cat_fn *fn, void *arg)
{
	struct cat_request *request = xcalloc(1, sizeof(*request));

	assert(max <= CAT_MAX && strlen(expression) <= EXPRESSION_MAX && strchr(expression, '\n') == NULL);
	*request = (struct cat_request){
		.loop = loop,
		.expression = xstrdup(expression),
		.max = max,
		.fn = fn,
		.arg = arg,
	};
	return request;
}

struct cat_request *
cat_ask(struct git_mirror *mirror, const char *expression, size_t max, cat_fn *fn, void *arg)
{
	struct cat_request *request = request_new(mirror->git->loop, expression, max, fn, arg);
	struct cat *cat = mirror->cat;

	if (cat == NULL)
		cat = cat_new(mirror);
	TAILQ_REMOVE(&mirror->git->cats, cat, link);
	TAILQ_INSERT_TAIL(&mirror->git->cats, cat, link);
	request->cat = cat;
	TAILQ_INSERT_TAIL(&cat->requests, request, link);
	if (cat->count++ == 0)
		timer_start(cat->timer, ANSWER_MS);
	if (cat->count > REQUESTS_MAX)
		request_answer(request, err_make(ERR_UNAVAILABLE, 0, "git cat-file has too much to do"));
	else
		cat_send(cat, request);
	trim_cats(mirror->git);
	return request;
}

void
cat_cancel(struct cat_request **request)
{
	struct cat_request *r = *request;

	*request = NULL;
	if (r == NULL)
		return;
	r->fn = NULL;
	if (r->cat == NULL)
		request_free(r);
}

void
cat_close(struct git_mirror *mirror)
{
	struct cat *cat = mirror->cat;

	if (cat == NULL)
		return;
	while (!TAILQ_EMPTY(&cat->requests)) {
		assert(TAILQ_FIRST(&cat->requests)->fn == NULL);
		request_answer(TAILQ_FIRST(&cat->requests), ERR_OK);
	}
	cat_free(cat);
}
