#include "server/mirror/transfer.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>
#include <uthash.h>

#include "proto/buf.h"
#include "proto/crypto.h"
#include "proto/http_cache.h"
#include "proto/http_condition.h"
#include "proto/http_vary.h"
#include "proto/mem.h"
#include "proto/range.h"
#include "proto/substitute.h"
#include "server/core/log.h"
#include "server/core/loop.h"
#include "server/mirror/parts.h"
#include "server/mirror/shelf.h"
#include "server/mirror/tokens.h"

#define SILENCE_MS 20000
#define HEAD_MAX (64 * 1024)
#define LINKS_ROOM (16 * 1024 * 1024)
#define HELD_BACK (64 * 1024) /* of a body that is not verified yet */

/* What every registry has manifests in; none is asked for the oldest form. */
#define MANIFESTS                                                                               \
	"application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, " \
	"application/vnd.docker.distribution.manifest.list.v2+json, "                           \
	"application/vnd.docker.distribution.manifest.v2+json, */*;q=0.1"

enum { REDIRECTS_MAX = 5, HEADERS_MAX = HTTP1_HEADERS_MAX + 8 };

/* Waits before a broken body is asked for again. */
static const int64_t resume_ms[] = { 200, 500, 1000, 2000, 5000 };

enum transfer_state {
	TRANSFER_PART, /* reads what is here already */
	TRANSFER_TURN, /* waits for its turn at the upstream */
	TRANSFER_HEAD, /* for a reply's head */
	TRANSFER_BODY,
	TRANSFER_REST, /* waits before the body is continued */
};

struct transfer_waiter {
	TAILQ_ENTRY(transfer_waiter) link;
	struct transfer *transfer;
	struct str text;
	bool is_first; /* whose request it is */
	transfer_fn *fn;
	void *arg;
};

struct transfer {
	UT_hash_handle hh; /* while it may be joined */
	LIST_ENTRY(transfer) link;
	struct transfers *transfers;
	enum transfer_state state;
	bool is_joinable;
	enum http1_method method;
	struct target first;  /* what it is for */
	struct target target; /* where redirects have led */
	struct buf text;
	struct http1_head request; /* points into text */
	struct buf body;
	struct variant *stored;
	bool wants_range;
	TAILQ_HEAD(, transfer_waiter) waiters;

	struct upstream_turn *turn;
	struct httpc_op *op;
	struct timer *timer;
	struct token_wait *token;
	bool had_token; /* a new one has been asked for */
	unsigned redirects;
	unsigned resumes;
	int64_t requested; /* s since 1970 */

	struct part_reading *reading;
	struct variant *part;     /* what another process had of it: the upstream is asked for the rest */
	struct variant *variant;  /* what comes */
	struct substitute *links; /* puts our URLs into the body; NULL: it stays as it comes */
	struct digest *hash;      /* of the body, where its digest is known */
	bool is_stored;           /* it is on the shelf */
	bool passes_on;           /* the disk is full */
	bool is_continued;        /* the reply awaited is the rest of the body */
	uint64_t skip;            /* bytes of the reply that are there already */
};

struct transfers {
	struct transfers_conf conf;
	struct transfer *joinable;
	LIST_HEAD(, transfer) all;
	struct transfer_figures figures;
};

static void enter_turn(struct transfer *t);

/* --- ends --- */

static int64_t
now_s(void)
{
	return loop_wall_ms() / 1000;
}

static void
stop_joining(struct transfer *t)
{
	if (t->is_joinable)
		HASH_DEL(t->transfers->joinable, t);
	t->is_joinable = false;
}

static void
stop_request(struct transfer *t)
{
	httpc_cancel(&t->op);
	upstreams_leave(&t->turn);
	timer_stop(t->timer);
}

static void
links_free(struct substitute **links)
{
	if (*links != NULL)
		substitute_fini(*links);
	free(*links);
	*links = NULL;
}

static struct parts *
parts_of(const struct transfer *t)
{
	return shelf_parts(t->transfers->conf.shelf);
}

static void
transfer_free(struct transfer *t)
{
	assert(TAILQ_EMPTY(&t->waiters));
	parts_cancel(&t->reading);
	if (t->part != NULL)
		parts_put_back(parts_of(t), t->first.key, &t->part);
	stop_joining(t);
	stop_request(t);
	LIST_REMOVE(t, link);
	t->transfers->figures.running--;
	timer_free(&t->timer);
	variant_unref(&t->variant);
	variant_unref(&t->stored);
	target_fini(&t->first);
	target_fini(&t->target);
	tokens_leave(&t->token);
	digest_free(&t->hash);
	links_free(&t->links);
	buf_fini(&t->text);
	buf_fini(&t->body);
	free(t);
}

static void
tell(struct transfer *t, struct transfer_waiter *w, enum transfer_result result, struct variant *v,
    const struct err *err)
{
	transfer_fn *fn = w->fn;
	void *arg = w->arg;

	TAILQ_REMOVE(&t->waiters, w, link);
	free(w);
	fn(arg, result, v, err);
}

/* Nobody joins from here on; callbacks may start other transfers of the same key. */
static void
tell_all(struct transfer *t, enum transfer_result result, struct variant *v, const struct err *err)
{
	struct transfer_waiter *w;

	stop_joining(t);
	while ((w = TAILQ_FIRST(&t->waiters)) != NULL)
		tell(t, w, result, v, err);
}

/* The body breaks off for good. */
static void
drop_variant(struct transfer *t)
{
	struct variant *v = t->variant;

	if (v == NULL || v->draft == NULL || draft_is_whole(v->draft) || draft_has_failed(v->draft))
		return;
	draft_fail(v->draft);
	if (t->is_stored)
		shelf_drop(t->transfers->conf.shelf, v);
}

static bool
may_serve_stale(const struct transfer *t)
{
	struct http1_head stored;

	if (t->stored == NULL)
		return false;
	variant_read_head(t->stored, &stored);
	if (t->first.fresh_s != TARGET_BY_HTTP && stored.status == 200)
		return now_s() - t->stored->times.received < TARGET_STALE_S || t->first.fresh_s == TARGET_FOREVER;
	return http_cache_may_serve_stale(&stored, &t->stored->times, now_s(), TARGET_STALE_S);
}

static void
fail(struct transfer *t, struct err err)
{
	stop_request(t);
	drop_variant(t);
	if (t->variant != NULL)
		log_info("mirror: %s: %s", t->first.key, err.text);
	if (may_serve_stale(t))
		tell_all(t, TRANSFER_STALE, t->stored, &err);
	else
		tell_all(t, TRANSFER_FAILED, NULL, &err);
	transfer_free(t);
}

/* --- the reply's head --- */

static bool
is_error(unsigned status)
{
	return status == 429 || status == 500 || status == 502 || status == 503 || status == 504;
}

static bool
is_redirect(unsigned status)
{
	return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* What leads elsewhere; the client's credentials stay behind (see is_forwarded). False: it is passed on as it is. */
static bool
follow(struct transfer *t, const struct http1_head *reply)
{
	struct target next;

	if (!t->first.follows || (t->method != HTTP1_GET && t->method != HTTP1_HEAD) || !is_redirect(reply->status) ||
	    t->redirects == REDIRECTS_MAX || !target_resolve(&t->target, http1_value(reply, "Location"), &next))
		return false;
	t->redirects++;
	target_fini(&t->target);
	t->target = next;
	stop_request(t);
	enter_turn(t);
	return true;
}

/* What the upstream does not have there may stand elsewhere. */
static bool
ask_alternate(struct transfer *t, const struct http1_head *reply)
{
	if (reply->status != 404 || t->first.alternate == NULL || t->redirects > 0 ||
	    strcmp(t->target.path, t->first.alternate) == 0)
		return false;
	free(t->target.path);
	t->target.path = xstrdup(t->first.alternate);
	stop_request(t);
	enter_turn(t);
	return true;
}

static void
on_token(void *arg, const struct err *err)
{
	struct transfer *t = arg;

	t->token = NULL;
	if (err != NULL)
		fail(t, *err);
	else
		enter_turn(t);
}

static bool
is_login(const char *authorization)
{
	return strncmp(authorization, "Basic ", strlen("Basic ")) == 0;
}

/* A registry that wants a token gets the one that it gives to anybody, or for the login; or that itself. Once. */
static bool
get_token(struct transfer *t, const struct http1_head *reply)
{
	const struct upstream_rule *as = t->target.as;
	struct tokens *tokens = t->transfers->conf.tokens;
	struct challenge challenge;
	const struct token_request request = {
		.scope = t->first.scope, .registry = &t->first.origin, .challenge = &challenge, .as = as
	};

	if (reply->status != 401 || t->first.scope == NULL || t->had_token || t->redirects > 0 ||
	    (as != NULL && !is_login(as->authorization)))
		return false;
	t->had_token = true;
	if (challenge_read(reply, &challenge)) {
		t->token = tokens_fetch(tokens, &request, on_token, t);
		stop_request(t);
	} else if (as != NULL && challenge_is_basic(reply)) {
		tokens_keep_login(tokens, t->first.scope, as->authorization);
		stop_request(t);
		enter_turn(t);
	} else {
		return false;
	}
	return true;
}

/* What it says then is for us to mend, and not for the client, who has shown us what it has. */
static bool
refuses_login(const struct transfer *t, const struct http1_head *reply)
{
	return reply->status == 401 && t->target.as != NULL && t->first.form != TARGET_REGISTRY;
}

static void
confirm(struct transfer *t, const struct http1_head *reply)
{
	const struct http_cache_times times = { t->requested, now_s() };

	variant_freshen(t->stored, reply, &times);
	shelf_update(t->transfers->conf.shelf, t->stored);
	stop_request(t);
	tell_all(t, TRANSFER_SAME, t->stored, NULL);
	transfer_free(t);
}

/* Neither side says that it is for this client alone; what is private to a login is kept for that login. */
static bool
is_for_all(const struct transfer *t, const struct http1_head *reply)
{
	struct cache_control asked, cc;

	cache_control_read(&t->request, &asked);
	cache_control_read(reply, &cc);
	return !asked.no_store && !cc.no_store && (!cc.is_private || t->first.as != NULL) &&
	       http1_find(&t->request, "Authorization") == NULL && http1_find(&t->request, "Cookie") == NULL;
}

/* The reply to a POST is what all others get by GET when the upstream says that it is, and for how long. */
static bool
is_what_get_gives(const struct transfer *t, const struct http1_head *reply)
{
	struct target named;
	bool is_same;

	if (t->first.fresh_s != TARGET_BY_HTTP || !http_cache_may_store_post(&t->request, reply) ||
	    http1_find(reply, "Content-Location") == NULL ||
	    !target_resolve(&t->target, http1_value(reply, "Content-Location"), &named))
		return false;
	is_same = strcmp(named.key, t->first.key) == 0;
	target_fini(&named);
	return is_same;
}

static bool
is_to_be_stored(const struct transfer *t, const struct http1_head *reply, enum http1_body body)
{
	if (t->wants_range || (body == HTTP1_BODY_UNTIL_CLOSE && t->hash == NULL))
		return false;
	if (reply->has_length && reply->length > t->transfers->conf.body_max)
		return false;
	if (t->first.form == TARGET_REGISTRY)
		return reply->status == 200 && t->method == (t->first.is_tag ? HTTP1_HEAD : HTTP1_GET);
	if (t->first.fresh_s != TARGET_BY_HTTP && reply->status == 200 && is_for_all(t, reply))
		return t->method == HTTP1_GET;
	if (t->method == HTTP1_POST)
		return is_what_get_gives(t, reply);
	return t->method == HTTP1_GET && http_cache_may_store(&t->request, reply);
}

/* A digest is that of the plain body, and URLs are found in plain text alone. */
static bool
wants_identity(const struct transfer *t)
{
	return t->first.links != NULL || t->first.digest[0] != '\0';
}

/* What the client would accept does not choose the reply when we have asked for it as it is. */
static bool
print_selection(const struct transfer *t, const struct http1_head *reply, struct buf *b)
{
	bool is_plain = wants_identity(t) && http1_find(reply, "Content-Encoding") == NULL;

	return t->first.form == TARGET_REGISTRY ||
	       http_vary_print(b, &t->request, reply, is_plain ? "Accept-Encoding" : NULL);
}

static struct variant *
make_variant(struct transfer *t, const struct http1_head *reply, struct draft *draft, uint64_t id)
{
	const struct http_cache_times times = { t->requested, now_s() };
	struct variant *v = NULL;
	struct buf head, selection;

	buf_init(&head, HEAD_MAX);
	buf_init(&selection, HEAD_MAX);
	if (variant_print_head(&head, reply, t->method) && print_selection(t, reply, &selection)) {
		v = variant_new(id, buf_str(&head), buf_str(&selection), &times);
		v->draft = draft;
	}
	buf_fini(&head);
	buf_fini(&selection);
	return v;
}

/* Those for whom the reply is not start anew; they may not join this one again. */
static void
tell_reply(struct transfer *t)
{
	struct transfer_waiter *w;

	stop_joining(t);
	while ((w = TAILQ_FIRST(&t->waiters)) != NULL) {
		struct http1_scan scan = { 0 };
		struct http1_head request;
		bool is_for;

		http1_parse_request(&scan, w->text, &http1_proxy_limits, &request);
		is_for = w->is_first || (t->is_stored && http_vary_matches(str_of(t->variant->selection), &request));
		tell(t, w, is_for ? TRANSFER_REPLY : TRANSFER_ALONE, t->variant, NULL);
	}
}

/* The end of the body is held back until it has proved to be what was asked for. */
static void
expect_digest(struct transfer *t, const struct http1_head *reply)
{
	if (t->first.digest[0] == '\0' || reply->status != 200 || t->method != HTTP1_GET || t->wants_range)
		return;
	t->hash = digest_new(target_digest_kind(&t->first));
	draft_hold_back(t->variant->draft, HELD_BACK);
}

static void
add_link(struct transfer *t, const char *scheme, const char *authority)
{
	char *from = xasprintf("%s://%s/", scheme, authority), *to = xasprintf("%s%s/", t->first.links, authority);

	substitute_add(t->links, from, to);
	free(from);
	free(to);
}

/* What is compressed although we asked for it as it is stays so, and names the upstream's URLs. */
static void
expect_links(struct transfer *t, const struct http1_head *reply)
{
	const struct origin *origin = &t->first.origin;
	const char *file_host = package_file_host(t->first.kind);
	char *authority;

	if (t->first.links == NULL || t->method != HTTP1_GET || reply->status != 200 || t->wants_range ||
	    http1_find(reply, "Content-Encoding") != NULL)
		return;
	t->links = xcalloc(1, sizeof(*t->links));
	substitute_init(t->links);
	authority = origin->port == (origin->is_tls ? 443 : 80) ? xstrdup(origin->host)
								: xasprintf("%s:%u", origin->host, origin->port);
	add_link(t, origin->is_tls ? "https" : "http", authority);
	if (file_host != NULL)
		add_link(t, "https", file_host);
	free(authority);
}

/* Bytes of a known digest need no other word for being the same. */
static bool
may_continue(const struct transfer *t)
{
	const struct draft *draft = t->variant->draft;
	struct http1_head head;

	variant_read_head(t->variant, &head);
	return head.status == 200 && t->method == HTTP1_GET && draft_total(draft) != DRAFT_UNKNOWN &&
	       (t->hash != NULL || http_condition_strong(&head).len > 0) &&
	       t->resumes < sizeof(resume_ms) / sizeof(resume_ms[0]);
}

/* False when it has failed, and t is gone. */
static bool
begin_body(struct transfer *t, const struct http1_head *reply)
{
	enum http1_body body = http1_reply_body(reply, t->method == HTTP1_HEAD ? "HEAD" : "GET");
	uint64_t id, total = body == HTTP1_BODY_LENGTH ? reply->length : body == HTTP1_BODY_NONE ? 0 : DRAFT_UNKNOWN;
	struct shelf *shelf = t->transfers->conf.shelf;
	struct draft *draft;
	struct err err;

	expect_links(t, reply);
	draft = shelf_draft(shelf, t->links != NULL ? DRAFT_UNKNOWN : total, &id, &err);
	if (draft == NULL) {
		fail(t, err);
		return false;
	}
	t->variant = make_variant(t, reply, draft, id);
	if (t->variant == NULL) {
		draft_unref(&draft);
		shelf_forget_draft(shelf, id);
		fail(t, err_make(ERR_LIMIT, 0, "the upstream's head is too large"));
		return false;
	}
	t->state = TRANSFER_BODY;
	expect_digest(t, reply);
	t->is_stored = is_to_be_stored(t, reply, body);
	if (t->is_stored)
		shelf_add(shelf, t->first.key, t->variant);
	else
		shelf_forget_draft(shelf, id);
	if (t->is_stored && may_continue(t))
		parts_note(parts_of(t), t->first.key, t->variant);
	if (!t->is_stored && t->stored != NULL &&
	    reply->status < 400) /* the URL has another reply now, not to be kept */
		shelf_drop(shelf, t->stored);
	tell_reply(t);
	return true;
}

/* A request that changes something: what is stored of the URL, and of those that the reply names, is no longer good. */
static void
invalidate(struct transfer *t, const struct http1_head *reply)
{
	static const char *const names[] = { "Location", "Content-Location" };
	struct shelf *shelf = t->transfers->conf.shelf;

	if (t->method == HTTP1_GET || t->method == HTTP1_HEAD || t->method == HTTP1_OPTIONS || reply->status >= 400)
		return;
	shelf_invalidate(shelf, t->first.key);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct str location = http1_value(reply, names[i]);
		struct target named;

		if (location.len == 0 || !target_resolve(&t->target, location, &named))
			continue;
		if (strcmp(named.origin.host, t->target.origin.host) == 0)
			shelf_invalidate(shelf, named.key);
		target_fini(&named);
	}
}

/* The rest of that body, from where it ended. */
static bool
is_rest(const struct variant *v, const struct http1_head *reply)
{
	uint64_t start, end, size, have = draft_written(v->draft), total = draft_total(v->draft);

	return reply->status == 206 && range_parse_content(http1_value(reply, "Content-Range"), &start, &end, &size) &&
	       start == have && end == total && size == total;
}

static bool
is_of_same_bytes(const struct transfer *t, const struct variant *v, const struct http1_head *reply)
{
	struct http1_head first;

	variant_read_head(v, &first);
	return t->hash != NULL || str_eq(http_condition_strong(reply), http_condition_strong(&first));
}

/* The body goes on; it may come all once more, if it is certain to be the same. */
static bool
continues(struct transfer *t, const struct http1_head *reply)
{
	if (!is_of_same_bytes(t, t->variant, reply))
		return false;
	t->skip = reply->status == 200 ? draft_written(t->variant->draft) : 0;
	if (reply->status == 200)
		return reply->has_length && reply->length == draft_total(t->variant->draft);
	return is_rest(t->variant, reply);
}

/* --- what another process had of it --- */

static void
adopt_part(struct transfer *t)
{
	t->variant = t->part;
	t->part = NULL;
	t->variant->times = (struct http_cache_times){ t->requested, now_s() };
	if (t->hash != NULL)
		draft_hold_back(t->variant->draft, HELD_BACK);
	t->is_stored = true;
	t->state = TRANSFER_BODY;
	t->transfers->figures.resumed++;
	log_info("mirror: %s: continuing at byte %llu what broke off before", t->first.key,
	    (unsigned long long)draft_written(t->variant->draft));
	shelf_add(t->transfers->conf.shelf, t->first.key, t->variant);
	tell_reply(t);
}

static void
drop_part(struct transfer *t)
{
	shelf_forget_draft(t->transfers->conf.shelf, t->part->id);
	draft_unref(&t->part->draft);
	variant_unref(&t->part);
	digest_free(&t->hash);
}

/* The reply to a request for the rest. False: it is to be taken as one for the whole. */
static bool
take_rest(struct transfer *t, const struct http1_head *reply)
{
	bool is_part = reply->status == 206 || reply->status == 416;

	if (is_rest(t->part, reply) && is_of_same_bytes(t, t->part, reply)) {
		adopt_part(t);
		return true;
	}
	if (is_error(reply->status)) { /* says nothing of its bytes */
		digest_free(&t->hash);
		parts_put_back(parts_of(t), t->first.key, &t->part);
	} else {
		drop_part(t);
	}
	if (!is_part)
		return false;
	stop_request(t);
	enter_turn(t);
	return true;
}

static void
on_head(void *arg, const struct httpc_reply *reply)
{
	struct transfer *t = arg;

	upstreams_answered(t->turn, reply->head);
	if (get_token(t, reply->head) || follow(t, reply->head) || ask_alternate(t, reply->head))
		return;
	if (refuses_login(t, reply->head)) {
		fail(t, err_make(ERR_AUTH, 401, "the upstream refuses the login that mirror.upstreams has for it"));
	} else if (t->part != NULL && take_rest(t, reply->head)) {
		return;
	} else if (t->is_continued) {
		if (!continues(t, reply->head))
			fail(t,
			    err_make(ERR_PROTO, 0, "the upstream has other bytes now, the body cannot be continued"));
		else
			t->state = TRANSFER_BODY;
	} else if (reply->status == 304 && t->stored != NULL) {
		confirm(t, reply->head);
	} else if (is_error(reply->status) && may_serve_stale(t)) {
		fail(t, err_make(ERR_REFUSED, (int)reply->status, "the upstream answers %u", reply->status));
	} else {
		invalidate(t, reply->head);
		begin_body(t, reply->head);
	}
}

/* --- the body --- */

/* Of the references to the draft one is the variant's: all others are readers. */
static bool
is_unwanted(const struct transfer *t)
{
	return !t->is_stored && draft_refs(t->variant->draft) == 1;
}

/* There is room again, or a reader fewer; that none is left is found with the next bytes. */
static void
on_room(void *arg)
{
	struct transfer *t = arg;

	if (t->op != NULL)
		httpc_resume(t->op);
}

/* The disk takes no more: those who read it have it all the same, at the pace of the slowest, and it is not stored. */
static bool
append(struct transfer *t, struct str bytes, struct err *err)
{
	struct draft *draft = t->variant->draft;
	uint64_t before = draft_written(draft);

	if (draft_append(draft, bytes, err))
		return true;
	if (err->code != ERR_IO || t->passes_on)
		return false;
	log_warn("mirror: %s: %s: passing it on without storing it", t->first.key, err->text);
	t->passes_on = true;
	shelf_drop(t->transfers->conf.shelf, t->variant);
	t->is_stored = false;
	before = draft_written(draft) - before; /* a part of them may be there */
	return draft_pass_on(draft, on_room, t) &&
	       draft_append(draft, (struct str){ bytes.p + before, bytes.len - (size_t)before }, err);
}

static bool
put_links(struct transfer *t, struct str bytes, bool is_end, struct err *err)
{
	struct buf out;
	bool ok;

	buf_init(&out, LINKS_ROOM);
	substitute_feed(t->links, bytes, &out);
	if (is_end)
		substitute_end(t->links, &out);
	ok = !buf_failed(&out) || err_set(err, ERR_LIMIT, 0, "the body names too many URLs at once");
	ok = ok && append(t, buf_str(&out), err);
	buf_fini(&out);
	return ok;
}

static bool
put_body(struct transfer *t, struct str bytes, struct err *err)
{
	if (t->links != NULL)
		return put_links(t, bytes, false, err);
	if (t->hash != NULL)
		digest_add(t->hash, bytes);
	return append(t, bytes, err);
}

static void
on_body(void *arg, struct str bytes)
{
	struct transfer *t = arg;
	struct err err;

	t->transfers->figures.bytes += bytes.len;
	if (t->skip > 0) {
		size_t len = bytes.len < t->skip ? bytes.len : (size_t)t->skip;

		t->skip -= len;
		bytes = (struct str){ bytes.p + len, bytes.len - len };
	}
	if (is_unwanted(t))
		fail(t, err_make(ERR_CANCELLED, 0, "nobody reads it any more"));
	else if (draft_written(t->variant->draft) + bytes.len > t->transfers->conf.body_max)
		fail(t, err_make(ERR_LIMIT, 0, "the body is larger than the mirror (mirror.size)"));
	else if (!put_body(t, bytes, &err))
		fail(t, err);
	else if (t->passes_on && !draft_has_room(t->variant->draft))
		httpc_pause(t->op);
}

static void
rest(struct transfer *t, const struct err *err)
{
	stop_request(t);
	log_info("mirror: %s: %s; continuing at byte %llu", t->first.key, err->text,
	    (unsigned long long)draft_written(t->variant->draft));
	t->state = TRANSFER_REST;
	timer_start(t->timer, resume_ms[t->resumes++]);
}

static void
on_rest_over(void *arg)
{
	struct transfer *t = arg;

	t->is_continued = true;
	t->transfers->figures.resumed++;
	t->had_token = false;
	t->redirects = 0; /* where they led may be good for a while only */
	target_fini(&t->target);
	target_copy(&t->target, &t->first);
	enter_turn(t);
}

static bool
is_as_expected(struct transfer *t)
{
	char digest[SHA512_HEX_SIZE];

	if (t->hash == NULL)
		return true;
	digest_finish(&t->hash, digest);
	return strcmp(digest, t->first.digest) == 0;
}

static void
end_body(struct transfer *t)
{
	struct draft *draft = t->variant->draft;

	struct err err;

	stop_request(t);
	if (t->links != NULL && !put_links(t, STR(""), true, &err)) {
		fail(t, err);
		return;
	}
	if (draft_total(draft) != DRAFT_UNKNOWN && draft_written(draft) != draft_total(draft)) {
		fail(t, err_make(ERR_PROTO, 0, "the upstream's body is shorter than its length says"));
		return;
	}
	if (!is_as_expected(t)) {
		fail(t, err_make(ERR_PROTO, 0, "the upstream's bytes do not have the digest that was asked for"));
		return;
	}
	draft_end(draft);
	if (t->is_stored)
		shelf_publish(t->transfers->conf.shelf, t->variant);
	transfer_free(t);
}

static void
on_done(void *arg, const struct httpc_reply *reply, const struct err *err)
{
	struct transfer *t = arg;

	(void)reply;
	t->op = NULL;
	if (err != NULL && t->state == TRANSFER_HEAD)
		upstreams_failed(t->turn, err);
	if (err == NULL)
		end_body(t);
	else if (t->variant != NULL && may_continue(t))
		rest(t, err);
	else
		fail(t, *err);
}

static const struct httpc_handler handler = { .on_head = on_head, .on_body = on_body, .on_done = on_done };

/* --- the request --- */

struct headers {
	struct httpc_header list[HEADERS_MAX];
	size_t count;
};

static void
add(struct headers *h, const char *name, struct str value)
{
	if (value.len > 0 && h->count < HEADERS_MAX)
		h->list[h->count++] = (struct httpc_header){ xstrdup(name), str_dup(value) };
}

static bool
is_condition(struct str name)
{
	return str_is_nocase(name, "If-Match") || str_is_nocase(name, "If-None-Match") ||
	       str_is_nocase(name, "If-Modified-Since") || str_is_nocase(name, "If-Unmodified-Since");
}

/* By these some servers make their reply one of another URL, or for another host: what one client says must not be what
 * all others get. */
static bool
names_another_url(struct str name)
{
	static const char *const prefixes[] = { "x-forwarded", "x-original", "x-rewrite", "x-host", "x-http-",
		"x-method", "forwarded" };

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (name.len >= strlen(prefixes[i]) && strncasecmp(name.p, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	return false;
}

/* What a repository's reply may be selected by. */
static bool
is_accept(struct str name)
{
	return name.len >= 6 && strncasecmp(name.p, "Accept", 6) == 0;
}

/* What a reply is selected by goes on; what our client sets itself, or what is between the client and us, does not. */
static bool
is_forwarded(const struct transfer *t, struct str name)
{
	bool is_get = t->method == HTTP1_GET;

	if (t->first.form == TARGET_REGISTRY)
		return t->wants_range && str_is_nocase(name, "Range");
	if (http_cache_is_hop_header(&t->request, name) || str_is_nocase(name, "Host") ||
	    str_is_nocase(name, "Content-Length") || str_is_nocase(name, "Expect") ||
	    str_is_nocase(name, "User-Agent") || str_is_nocase(name, "Via") || names_another_url(name))
		return false;
	if (str_is_nocase(name, "Accept-Encoding"))
		return !wants_identity(t);
	if (str_is_nocase(name, "Authorization") || str_is_nocase(name, "Cookie"))
		return t->redirects == 0 && t->first.as == NULL;
	if (str_is_nocase(name, "Range") || str_is_nocase(name, "If-Range"))
		return t->wants_range && !t->is_continued;
	if (t->first.fresh_s != TARGET_BY_HTTP)
		return is_accept(name);
	return !is_get || !is_condition(name);
}

static void
add_conditions(struct transfer *t, struct headers *h)
{
	const struct variant *begun = t->is_continued ? t->variant : t->part;
	struct http1_head head;
	char *range;

	if (begun != NULL) {
		variant_read_head(begun, &head);
		range = xasprintf("bytes=%llu-", (unsigned long long)draft_written(begun->draft));
		add(h, "Range", str_of(range));
		add(h, "If-Range", http_condition_strong(&head));
		free(range);
	} else if (t->stored != NULL && t->method == HTTP1_GET) {
		variant_read_head(t->stored, &head);
		add(h, "If-None-Match", http1_value(&head, "ETag"));
		add(h, "If-Modified-Since", http_condition_date(&head));
	}
}

/* Our own, in the place of the client's: what is stored is for all. Compressed on the way, a body would not have its
 * digest. */
static void
add_registry_headers(struct transfer *t, struct headers *h)
{
	const char *authorization = NULL;

	if (t->redirects == 0 || t->target.as != NULL) /* which a redirect to elsewhere has not */
		authorization = tokens_find(t->transfers->conf.tokens, t->first.scope);
	if (authorization == NULL && t->target.as != NULL && !is_login(t->target.as->authorization))
		authorization = t->target.as->authorization;
	add(h, "Accept", strstr(t->first.path, "/manifests/") != NULL ? STR(MANIFESTS) : STR("*/*"));
	if (authorization != NULL)
		add(h, "Authorization", str_of(authorization));
}

static void
collect_headers(struct transfer *t, struct headers *h)
{
	char *via = xasprintf("%.*s%s1.1 davit", (int)http1_value(&t->request, "Via").len,
	    http1_value(&t->request, "Via").p, http1_find(&t->request, "Via") != NULL ? ", " : "");

	h->count = 0;
	for (size_t i = 0; i < t->request.header_count; i++) {
		const struct http1_header *header = &t->request.headers[i];

		if (is_forwarded(t, header->name)) {
			char *name = str_dup(header->name);

			add(h, name, header->value);
			free(name);
		}
	}
	if (t->first.form == TARGET_REGISTRY)
		add_registry_headers(t, h);
	else if (t->target.as != NULL)
		add(h, "Authorization", str_of(t->target.as->authorization));
	if (wants_identity(t) || t->first.form == TARGET_REGISTRY)
		add(h, "Accept-Encoding", STR("identity"));
	add_conditions(t, h);
	add(h, "Via", str_of(via));
	free(via);
}

static void
send_request(struct transfer *t, struct httpc *httpc)
{
	struct headers headers;
	char *method =
	    t->method == HTTP1_OTHER ? str_dup(t->request.method_name) : xstrdup(http1_method_name(t->method));
	struct httpc_request request = {
		.method = method,
		.path = t->target.path,
		.headers = headers.list,
		.body = t->is_continued ? STR("") : buf_str(&t->body),
		.idle_ms = SILENCE_MS,
	};

	collect_headers(t, &headers);
	request.header_count = headers.count;
	if (!t->is_continued)
		t->requested = now_s();
	t->state = TRANSFER_HEAD;
	t->transfers->figures.requests++;
	t->op = httpc_request(httpc, &request, &handler, t);
	free(method);
	for (size_t i = 0; i < headers.count; i++) {
		char *value = (char *)(uintptr_t)headers.list[i].value;

		free((char *)(uintptr_t)headers.list[i].name);
		crypto_wipe_free(&value); /* it may be a token or a login */
	}
}

static void
on_turn(void *arg, struct httpc *httpc, const struct err *err)
{
	struct transfer *t = arg;

	if (err != NULL)
		fail(t, *err);
	else
		send_request(t, httpc);
}

static void
enter_turn(struct transfer *t)
{
	t->state = TRANSFER_TURN;
	t->turn = t->is_continued ? upstreams_enter_again(t->transfers->conf.upstreams, &t->target.origin, on_turn, t)
				  : upstreams_enter(t->transfers->conf.upstreams, &t->target.origin, on_turn, t);
}

/* --- start --- */

static void
on_part(void *arg, struct variant *part, struct digest *hash)
{
	struct transfer *t = arg;

	t->reading = NULL;
	t->part = part;
	t->hash = hash;
	enter_turn(t);
}

static void
begin(struct transfer *t)
{
	if (t->is_joinable && t->method == HTTP1_GET && t->stored == NULL)
		t->reading =
		    parts_take(parts_of(t), t->first.key, &t->request, target_digest_kind(&t->first), on_part, t);
	t->state = TRANSFER_PART;
	if (t->reading == NULL)
		enter_turn(t);
}

static struct transfer *
transfer_new(struct transfers *ts, const struct transfer_request *request)
{
	struct transfer *t = xcalloc(1, sizeof(*t));
	struct http1_scan scan = { 0 };

	t->transfers = ts;
	t->method = request->method;
	target_copy(&t->first, request->target);
	target_copy(&t->target, request->target);
	buf_init(&t->text, request->text.len + 1);
	buf_addstr(&t->text, request->text);
	http1_parse_request(&scan, buf_str(&t->text), &http1_proxy_limits, &t->request); /* it was clean before */
	buf_init(&t->body, request->body.len + 1);
	buf_addstr(&t->body, request->body);
	if (request->stored != NULL)
		t->stored = variant_ref(request->stored);
	t->wants_range = request->wants_range;
	TAILQ_INIT(&t->waiters);
	t->timer = timer_new(ts->conf.loop, on_rest_over, t);
	LIST_INSERT_HEAD(&ts->all, t, link);
	ts->figures.running++;
	t->is_joinable = !request->is_alone;
	if (t->is_joinable)
		HASH_ADD_KEYPTR(hh, ts->joinable, t->first.key, strlen(t->first.key), t);
	return t;
}

struct transfer_waiter *
transfer_start(struct transfers *ts, const struct transfer_request *request, transfer_fn *fn, void *arg)
{
	struct transfer *t = NULL;
	struct transfer_waiter *w;
	bool is_first;

	if (!request->is_alone)
		HASH_FIND_STR(ts->joinable, request->target->key, t);
	is_first = t == NULL;
	if (is_first) {
		t = transfer_new(ts, request);
		begin(t);
	} else {
		ts->figures.joined++;
	}
	if (fn == NULL)
		return NULL;
	w = xcalloc(1, sizeof(*w));
	*w = (struct transfer_waiter){
		.transfer = t, .text = request->text, .is_first = is_first, .fn = fn, .arg = arg
	};
	TAILQ_INSERT_TAIL(&t->waiters, w, link);
	return w;
}

/* One that nobody may join, and nobody waits for, is given up; another goes on, for those who come. */
void
transfer_leave(struct transfer_waiter **waiter)
{
	struct transfer_waiter *w = *waiter;
	struct transfer *t;

	*waiter = NULL;
	if (w == NULL)
		return;
	t = w->transfer;
	TAILQ_REMOVE(&t->waiters, w, link);
	free(w);
	if (TAILQ_EMPTY(&t->waiters) && !t->is_joinable && t->variant == NULL)
		transfer_free(t);
}

struct transfers *
transfers_new(const struct transfers_conf *conf)
{
	struct transfers *ts = xcalloc(1, sizeof(*ts));

	ts->conf = *conf;
	LIST_INIT(&ts->all);
	return ts;
}

void
transfers_free(struct transfers **transfers)
{
	struct transfers *ts = *transfers;
	struct transfer *t;

	if (ts == NULL)
		return;
	*transfers = NULL;
	while ((t = LIST_FIRST(&ts->all)) != NULL) /* drafts stay as after a kill: parts, for the next process */
		transfer_free(t);
	free(ts);
}

struct transfer_figures
transfers_figures(const struct transfers *ts)
{
	return ts->figures;
}
