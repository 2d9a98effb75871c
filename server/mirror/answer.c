#include "server/mirror/answer.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/http_cache.h"
#include "proto/http_condition.h"
#include "proto/json.h"
#include "proto/mem.h"
#include "proto/range.h"
#include "server/core/loop.h"
#include "server/mirror/door.h"
#include "server/mirror/place.h"
#include "server/mirror/shelf.h"
#include "server/mirror/snapshots.h"
#include "server/mirror/target.h"
#include "server/mirror/transfer.h"
#include "server/mirror/tunnel.h"

#define HEAD_MAX (64 * 1024)
#define AHEAD_MAX (16 * 1024 * 1024) /* a range that far ahead of what has come is asked for by itself */

enum { RESTARTS_MAX = 3 };

/* Where the reply comes from, as Cache-Status (RFC 9211) has it. */
enum source { SOURCE_SHELF, SOURCE_CONFIRMED, SOURCE_STALE, SOURCE_UPSTREAM };

struct answer {
	struct answer_parts *parts;
	struct client *client;
	const struct client_request *request;
	struct visit visit;
	const struct http1_head *head; /* the request's, or own_head */
	struct buf text;               /* of the request's head, without what it shows to us */
	struct http1_head *own_head;   /* points into it */
	struct target target;
	struct transfer_waiter *waiter;
	struct snapshot_wait *snapshot;
	struct disk_op *open;
	struct variant *variant; /* whose file is opened */
	const struct variant *stored_of;
	enum source source;
	unsigned restarts;
	bool is_alone;
	bool is_placed; /* what its repository knows of it is in target */
	/* Of stored_of, see head_of. The last, since it is large, and not cleared. */
	struct http1_head stored;
};

static void begin(struct answer *a);

static int64_t
now_s(void)
{
	return loop_wall_ms() / 1000;
}

void
answer_free(struct answer *a)
{
	transfer_leave(&a->waiter);
	snapshots_leave(&a->snapshot);
	disk_cancel(&a->open);
	variant_unref(&a->variant);
	target_fini(&a->target);
	buf_fini(&a->text);
	free(a->own_head);
	free(a);
}

/* --- errors --- */

static void
reply_error(struct answer *a, unsigned status, const char *text)
{
	char *line = xasprintf("%s\n", text);
	struct client_reply reply = { .framing = CLIENT_BODY_LENGTH, .length = strlen(line), .text = str_of(line) };
	struct buf head;

	buf_init(&head, HEAD_MAX);
	http1_print_status(&head, status);
	http1_print_date(&head, "Date", (time_t)now_s());
	http1_print_header(&head, "Content-Type", STR("text/plain"));
	if (status == 401 || status == 407)
		http1_print_header(
		    &head, status == 401 ? "WWW-Authenticate" : "Proxy-Authenticate", STR("Basic realm=\"davit\""));
	reply.head = &head;
	reply.user = a->visit.name;
	a->parts->figures.errors++;
	client_reply(a->client, &reply);
	buf_fini(&head);
	free(line);
	answer_free(a);
}

static unsigned
status_of(const struct err *err)
{
	switch (err->code) {
	case ERR_INPUT:
		return 400;
	case ERR_REFUSED:
		return 403;
	case ERR_NOT_FOUND:
		return 404;
	case ERR_TIMEOUT:
		return 504;
	case ERR_UNAVAILABLE:
		return 503;
	case ERR_NONE:
	case ERR_CANCELLED:
	case ERR_IO:
	case ERR_PROTO:
	case ERR_AUTH:
	case ERR_CONFLICT:
	case ERR_LIMIT:
		break;
	}
	return 502;
}

/* --- registries --- */

/* As the protocol wants it (OCI distribution specification, "Error Codes"). What is not for everybody is not here, so
 * that clients fall back to asking the registry with credentials of their own; a shortage upstream must not make them
 * try again here. */
static void
reply_registry_error(struct answer *a, unsigned status, const char *text)
{
	bool is_unknown = status == 401 || status == 403 || status == 404;
	struct client_reply reply = { .framing = CLIENT_BODY_LENGTH };
	struct json_writer *w = json_writer_new(4096);
	struct buf head;
	char *body;
	size_t len;

	json_write_object_open(w);
	json_write_key(w, "errors");
	json_write_array_open(w);
	json_write_object_open(w);
	json_member_string(w, "code", is_unknown ? "MANIFEST_UNKNOWN" : "UNAVAILABLE");
	json_member_string(w, "message", text);
	json_write_object_close(w);
	json_write_array_close(w);
	json_write_object_close(w);
	body = json_writer_finish(&w, &len);
	buf_init(&head, HEAD_MAX);
	http1_print_status(&head, is_unknown ? 404 : status == 400 ? 400 : 503);
	http1_print_date(&head, "Date", (time_t)now_s());
	http1_print_header(&head, "Content-Type", STR("application/json"));
	reply.head = &head;
	reply.length = len;
	reply.text = (struct str){ body, len };
	reply.user = a->visit.name;
	a->parts->figures.errors++;
	client_reply(a->client, &reply);
	buf_fini(&head);
	free(body);
	answer_free(a);
}

/* --- the reply --- */

static const char *
source_text(const struct answer *a)
{
	static const char *const texts[] = {
		[SOURCE_SHELF] = "davit; hit",
		[SOURCE_CONFIRMED] = "davit; hit; detail=confirmed",
		[SOURCE_STALE] = "davit; hit; detail=stale",
		[SOURCE_UPSTREAM] = "davit; fwd=miss",
	};

	return texts[a->source];
}

/* As they stand in the text, but for an age that is out of date. */
static void
print_stored_headers(const struct answer *a, const struct http1_head *stored, struct buf *b)
{
	for (size_t i = 0; i < stored->header_count; i++) {
		const struct http1_header *header = &stored->headers[i];

		if (a->source != SOURCE_UPSTREAM && str_is_nocase(header->name, "Age"))
			continue;
		buf_add(b, header->name.p, (size_t)(header->value.p + header->value.len - header->name.p));
		buf_add(b, "\r\n", 2);
	}
}

static void
print_headers(const struct answer *a, const struct variant *v, const struct http1_head *stored, struct buf *b)
{
	print_stored_headers(a, stored, b);
	if (http1_find(stored, "Date") == NULL)
		http1_print_date(b, "Date", (time_t)v->times.received);
	if (a->source != SOURCE_UPSTREAM)
		http1_print_header_int(b, "Age", (uint64_t)http_cache_age(stored, &v->times, now_s()));
	if (a->target.digest[0] != '\0' && a->target.scope != NULL &&
	    http1_find(stored, "Docker-Content-Digest") == NULL)
		buf_addf(b, "Docker-Content-Digest: %s:%s\r\n", target_digest_name(&a->target), a->target.digest);
	http1_print_header(b, "Via", STR("1.1 davit"));
	http1_print_header(b, "Cache-Status", str_of(source_text(a)));
}

static void
count(struct answer *a)
{
	struct answer_figures *figures = &a->parts->figures;

	if (a->source == SOURCE_UPSTREAM)
		figures->misses++;
	else
		figures->hits++;
	if (a->source == SOURCE_STALE)
		figures->stale++;
}

/* Of what is stored, read once for an answer. Good until the loop turns: a transfer may have news then. */
static const struct http1_head *
head_of(struct answer *a, const struct variant *v)
{
	if (a->stored_of != v)
		variant_read_head(v, &a->stored);
	a->stored_of = v;
	return &a->stored;
}

/* status 0: the stored one. */
static void
send_reply(struct answer *a, const struct variant *v, unsigned status, struct client_reply *reply, const char *range)
{
	const struct http1_head *stored = head_of(a, v);
	struct buf head;

	buf_init(&head, HEAD_MAX);
	if (status != 0) {
		http1_print_status(&head, status);
	} else {
		buf_add(&head, v->head, (size_t)(stored->reason.p + stored->reason.len - v->head));
		buf_adds(&head, "\r\n");
	}
	print_headers(a, v, stored, &head);
	if (range != NULL)
		http1_print_header(&head, "Content-Range", str_of(range));
	reply->head = &head;
	reply->source = source_text(a);
	reply->user = a->visit.name;
	count(a);
	client_reply(a->client, reply);
	buf_fini(&head);
	answer_free(a);
}

static void ask_upstream(struct answer *a, struct variant *stored, bool wants_range);

/* A part of the body. False: the whole of it is to be sent. */
static bool
send_range(struct answer *a, const struct variant *v, struct draft *draft)
{
	uint64_t total = draft_total(draft), start, end;
	struct client_reply reply = { .framing = CLIENT_BODY_LENGTH, .draft = draft };
	char range[64];
	int verdict;

	if (total == DRAFT_UNKNOWN)
		return false;
	verdict = range_parse(http1_value(a->head, "Range"), total, &start, &end);
	if (verdict == 0)
		return false;
	if (verdict < 0) {
		snprintf(range, sizeof(range), "bytes */%llu", (unsigned long long)total);
		reply.draft = NULL;
		send_reply(a, v, 416, &reply, range);
		return true;
	}
	if (start > draft_size(draft) + AHEAD_MAX && !draft_is_whole(draft)) {
		ask_upstream(a, NULL, true);
		return true;
	}
	snprintf(range, sizeof(range), "bytes %llu-%llu/%llu", (unsigned long long)start, (unsigned long long)end - 1,
	    (unsigned long long)total);
	reply.start = start;
	reply.length = end - start;
	send_reply(a, v, 206, &reply, range);
	return true;
}

static void
send_body(struct answer *a, const struct variant *v, struct draft *draft)
{
	struct client_reply reply = { .framing = CLIENT_BODY_LENGTH, .draft = draft, .length = draft_total(draft) };
	const struct http1_head *stored = head_of(a, v);

	if (stored->status == 200 && a->head->method == HTTP1_GET && http1_find(a->head, "Range") != NULL &&
	    http_condition_ranges(a->head, stored) && send_range(a, v, draft))
		return;
	if (reply.length == DRAFT_UNKNOWN)
		reply.framing = CLIENT_BODY_STREAM;
	if (stored->status == 204 || stored->status == 304 || (a->head->method == HTTP1_HEAD && reply.length == 0))
		reply.framing = CLIENT_BODY_NONE;
	send_reply(a, v, 0, &reply, NULL);
}

static void
on_opened(void *arg, int fd, const struct stat *st, const struct err *err)
{
	struct answer *a = arg;
	struct variant *v = a->variant;
	struct draft *draft;

	a->open = NULL;
	a->variant = NULL;
	a->stored_of = NULL;
	if (err == NULL && shelf_is_file_of(v, st)) {
		draft = draft_of_file(fd, v->size);
		shelf_keep_open(a->parts->shelf, v, draft);
		send_body(a, v, draft);
		draft_unref(&draft);
	} else {
		if (err == NULL)
			close(fd);
		shelf_drop(a->parts->shelf, v); /* what its record says is not there */
		if (a->restarts++ < RESTARTS_MAX)
			begin(a);
		else
			reply_error(a, 503, "the mirror's files are not as its journal says");
	}
	variant_unref(&v);
}

/* Of apt's index files one may be of the same second as the one before, which the client has. */
static bool
is_dated_anew(const struct answer *a)
{
	return a->target.kind == PACKAGE_APT && a->target.digest[0] != '\0' &&
	       http1_find(a->head, "If-None-Match") == NULL;
}

static void
serve(struct answer *a, struct variant *v, enum source source)
{
	struct client_reply none = { .framing = CLIENT_BODY_NONE };
	struct client_reply empty = { .framing = CLIENT_BODY_LENGTH };
	enum http_condition condition = HTTP_CONDITION_SERVE;
	const struct http1_head *stored = head_of(a, v);

	a->source = source;
	if (stored->status == 200 && a->head->method <= HTTP1_HEAD && !is_dated_anew(a))
		condition = http_condition_judge(a->head, stored, now_s());
	if (condition == HTTP_CONDITION_NOT_MODIFIED) {
		send_reply(a, v, 304, &none, NULL);
	} else if (condition == HTTP_CONDITION_FAILED) {
		send_reply(a, v, 412, &empty, NULL);
	} else if (v->draft != NULL) {
		send_body(a, v, v->draft);
	} else if (v->open != NULL) {
		send_body(a, v, v->open);
	} else {
		a->variant = variant_ref(v);
		a->open = shelf_read(a->parts->shelf, v, on_opened, a);
	}
}

/* --- the decision --- */

/* What the tag is at is known: to a HEAD that is the answer, and a GET goes on to the manifest by its digest, which is
 * fetched once, whatever tags are at it. */
static void
use_tag(struct answer *a, struct variant *v, const struct http1_head *head, enum source source)
{
	struct target next;

	if (a->head->method == HTTP1_HEAD && http1_find(head, "Docker-Content-Digest") != NULL) {
		serve(a, v, source);
		return;
	}
	if (!target_by_digest(&a->target, http1_value(head, "Docker-Content-Digest"), &next))
		target_by_tag(&a->target, &next);
	target_fini(&a->target);
	a->target = next;
	begin(a);
}

static void
use(struct answer *a, struct variant *v, enum source source)
{
	const struct http1_head *head = head_of(a, v);

	if (a->target.form == TARGET_REGISTRY && head->status >= 400)
		reply_registry_error(a, head->status, http1_reason(head->status));
	else if (a->target.is_tag)
		use_tag(a, v, head, source);
	else
		serve(a, v, source);
}

static void
on_result(struct answer *a, enum transfer_result result, struct variant *v, const struct err *err)
{
	a->stored_of = NULL;
	switch (result) {
	case TRANSFER_REPLY:
		use(a, v, SOURCE_UPSTREAM);
		break;
	case TRANSFER_SAME:
		use(a, v, SOURCE_CONFIRMED);
		break;
	case TRANSFER_STALE:
		use(a, v, SOURCE_STALE);
		break;
	case TRANSFER_ALONE:
		a->is_alone = true;
		begin(a);
		break;
	case TRANSFER_FAILED:
		if (a->target.form == TARGET_REGISTRY)
			reply_registry_error(a, status_of(err), err->text);
		else
			reply_error(a, status_of(err), err->text);
		break;
	}
}

static void
on_transfer(void *arg, enum transfer_result result, struct variant *v, const struct err *err)
{
	struct answer *a = arg;

	a->waiter = NULL;
	on_result(a, result, v, err);
}

static void
on_snapshot(void *arg, enum transfer_result result, struct variant *v, const struct err *err)
{
	struct answer *a = arg;

	a->snapshot = NULL;
	if (result == TRANSFER_ALONE) {
		a->is_placed = a->restarts++ == RESTARTS_MAX;
		begin(a);
	} else {
		on_result(a, result, v, err);
	}
}

static enum http1_method
method_for(const struct answer *a)
{
	return a->target.is_tag ? HTTP1_HEAD : a->head->method;
}

static bool
is_for_one(const struct answer *a)
{
	const struct http1_head *head = a->head;

	if (a->target.form == TARGET_REGISTRY) /* nothing of the client's goes upstream */
		return a->is_alone || method_for(a) != (a->target.is_tag ? HTTP1_HEAD : HTTP1_GET);
	return a->is_alone || head->method != HTTP1_GET || http1_find(head, "Authorization") != NULL ||
	       http1_find(head, "Cookie") != NULL;
}

static struct str
text_of(const struct answer *a)
{
	return a->text.len > 0 ? buf_str(&a->text) : a->request->text;
}

/* Whose body means nothing; to an upstream that thinks otherwise it would change the reply for all who ask for the URL.
 */
static bool
is_read(const struct answer *a)
{
	return a->head->method == HTTP1_GET || a->head->method == HTTP1_HEAD;
}

static void
ask_upstream(struct answer *a, struct variant *stored, bool wants_range)
{
	const struct transfer_request request = {
		.target = &a->target,
		.text = text_of(a),
		.body = is_read(a) ? STR("") : a->request->body,
		.stored = stored,
		.method = method_for(a),
		.is_alone = is_for_one(a) || wants_range,
		.wants_range = wants_range,
	};

	a->waiter = transfer_start(a->parts->transfers, &request, on_transfer, a);
}

static void
ask_behind(struct answer *a, struct variant *stored)
{
	const struct transfer_request request = {
		.target = &a->target, .text = text_of(a), .stored = stored, .method = HTTP1_GET
	};

	transfer_start(a->parts->transfers, &request, NULL, NULL);
}

/* Where the target says for how long, the headers of a 200 do not count, nor the client's for what never changes. What
 * is not there yet may be there next time. */
static enum http_cache_verdict
judge(const struct answer *a, const struct variant *v, const struct http1_head *stored)
{
	const struct http1_head *request = a->head;
	struct cache_control asked;

	if (a->target.fresh_s == TARGET_BY_HTTP || stored->status != 200)
		return http_cache_judge(request, stored, &v->times, now_s());
	cache_control_read(request, &asked);
	if (a->target.fresh_s == TARGET_FOREVER)
		return HTTP_CACHE_FRESH;
	return asked.no_cache || now_s() - v->times.received >= a->target.fresh_s ? HTTP_CACHE_REVALIDATE
										  : HTTP_CACHE_FRESH;
}

/* What is left of the registry's limit is for what is not here at all. */
static bool
is_spared(const struct answer *a, const struct variant *v, const struct http1_head *stored)
{
	return a->target.is_tag && stored->status == 200 && now_s() - v->times.received < TARGET_STALE_S &&
	       upstreams_are_short(a->parts->upstreams, &a->target.origin);
}

/* What a package repository says of the file. False: nothing that has to be waited for. */
static bool
ask_snapshots(struct answer *a)
{
	struct snapshots *snapshots = a->parts->snapshots;
	uint64_t connection = client_connection(a->client);
	struct cache_control asked;

	cache_control_read(a->head, &asked);
	if (a->is_placed || is_for_one(a) || asked.only_if_cached)
		return false;
	a->is_placed = true;
	if (place_is_root(&a->target))
		a->snapshot = snapshots_ask(snapshots, &a->target, connection, on_snapshot, a);
	else
		a->snapshot = snapshots_place(snapshots, &a->target, connection, on_snapshot, a);
	return a->snapshot != NULL;
}

static void
begin(struct answer *a)
{
	const struct http1_head *request = a->head;
	enum http_cache_verdict verdict;
	struct variant *stored = NULL;
	struct cache_control asked;

	if (ask_snapshots(a))
		return;
	if (request->method == HTTP1_GET || request->method == HTTP1_HEAD)
		stored = shelf_find(a->parts->shelf, a->target.key, request);
	if (stored != NULL) {
		verdict = judge(a, stored, head_of(a, stored));
		if (verdict != HTTP_CACHE_FRESH && is_spared(a, stored, head_of(a, stored))) {
			use(a, stored, SOURCE_STALE);
			return;
		}
		switch (verdict) {
		case HTTP_CACHE_FRESH:
			use(a, stored, SOURCE_SHELF);
			return;
		case HTTP_CACHE_BEHIND:
			ask_behind(a, stored);
			serve(a, stored, SOURCE_SHELF);
			return;
		case HTTP_CACHE_REVALIDATE:
			break;
		}
	}
	cache_control_read(request, &asked);
	if (asked.only_if_cached)
		reply_error(a, 504, "the mirror has no fresh copy, and the request asks for no other");
	else
		ask_upstream(a, request->method == HTTP1_GET || a->target.is_tag ? stored : NULL, false);
}

/* Through us already: a chain of mirrors, or one that was told to ask itself. */
static bool
is_loop(const struct http1_head *request)
{
	return http1_has_token(request, "Via", "1.1 davit");
}

/* What was shown to us is meant for nobody else, neither upstream nor in what is stored of the request. */
static void
read_visit(struct answer *a)
{
	const struct http1_head *head = &a->request->head;
	struct str line = a->request->text;
	struct http1_scan scan = { 0 };

	visitor_read(&a->parts->visitors, head, &a->visit);
	if (a->visit.header == NULL)
		return;
	a->own_head = xcalloc(1, sizeof(*a->own_head));
	buf_init(&a->text, a->request->text.len);
	buf_addstr(&a->text, str_cut(&line, '\n'));
	buf_addc(&a->text, '\n');
	for (size_t i = 0; i < head->header_count; i++)
		if (!str_is_nocase(head->headers[i].name, a->visit.header))
			buf_addf(&a->text, "%.*s: %.*s\r\n", (int)head->headers[i].name.len, head->headers[i].name.p,
			    (int)head->headers[i].value.len, head->headers[i].value.p);
	http1_print_end(&a->text);
	http1_parse_request(&scan, buf_str(&a->text), &http1_proxy_limits, a->own_head); /* it was clean with it */
	a->head = a->own_head;
}

/* False: it has been answered. */
static bool
find_target(struct answer *a)
{
	bool is_registry = str_has_prefix(a->head->path, "/v2/");
	struct err err;

	if (target_read(a->head, a->parts->upstreams, &a->target, &err))
		return true;
	if (is_registry)
		reply_registry_error(a, status_of(&err), err.text);
	else
		reply_error(a, status_of(&err), err.text);
	return false;
}

static bool
may_see(const struct answer *a, const struct upstream_rule *rule)
{
	if (http1_find(a->head, "Authorization") != NULL) /* a login of its own, for the upstream */
		return false;
	return a->visit.visitor == VISITOR_MEMBER || (a->visit.visitor == VISITOR_ENGINE && rule->is_for_jobs);
}

/* Whether it gets what the upstream gives for its login, or what it gives to anybody. A registry's client says who it
 * is when it is asked alone. False: it has been answered. */
static bool
choose_login(struct answer *a)
{
	const struct upstream_rule *rule = upstreams_authorized(a->parts->upstreams, &a->target.origin);
	bool is_registry = a->target.form == TARGET_REGISTRY;

	if (a->visit.visitor == VISITOR_NOT_YET) {
		reply_error(a, 503, "which access tokens are good is not known yet; try again");
		return false;
	}
	if (a->visit.visitor == VISITOR_WRONG && !is_registry) {
		reply_error(a, str_is(str_of(a->visit.header), "Authorization") ? 401 : 407,
		    "that is no access token of this server, or none any more");
		return false;
	}
	if (rule != NULL && may_see(a, rule))
		target_ask_as(&a->target, rule);
	else if (a->visit.visitor == VISITOR_WRONG ||
		 (rule != NULL && is_registry && a->visit.visitor == VISITOR_SILENT)) {
		door_challenge(a->client, a->head->host);
		answer_free(a);
		return false;
	}
	return true;
}

static void
open_tunnel(struct answer *a)
{
	struct err err;

	if (a->parts->tunnels == NULL)
		reply_error(a, 501, "the mirror opens no tunnels (mirror.connect); https goes by its own URLs");
	else if (!tunnels_open(a->parts->tunnels, a->client, &a->request->head, &err))
		reply_error(a, status_of(&err), err.text);
	else
		answer_free(a);
}

struct answer *
answer_new(struct answer_parts *parts, struct client *client, const struct client_request *request)
{
	struct answer *a = xrealloc(NULL, sizeof(*a));

	memset(a, 0, offsetof(struct answer, stored));
	a->parts = parts;
	a->client = client;
	a->request = request;
	a->head = &request->head;
	read_visit(a);
	if (a->head->method == HTTP1_CONNECT) {
		open_tunnel(a);
		return NULL;
	}
	if (door_answers(client, a->head, &a->visit, http1_value(&request->head, "Authorization"),
		upstreams_have_logins(parts->upstreams))) {
		answer_free(a);
		return NULL;
	}
	if (!find_target(a))
		return NULL;
	if (a->target.form == TARGET_REGISTRY && a->head->method > HTTP1_HEAD) {
		reply_error(a, 405, "the mirror is there for pulling alone");
		return NULL;
	}
	if (is_loop(a->head)) {
		reply_error(a, 508, "the request has come through a mirror of Davit's already");
		return NULL;
	}
	if (!choose_login(a))
		return NULL;
	begin(a);
	return a;
}
