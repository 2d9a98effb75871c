/* /api/v1/mirror, its purge, its pins, and its part of /metrics. */
#include <stdio.h>

#include "server/controller/controller_private.h"
#include "server/io/listening.h"
#include "server/mirror/mirror.h"

#define STATUS_MAX (64 * 1024)
#define PINS_SIZE_MAX (8 * SHELF_PINS_MAX * SHELF_PIN_SIZE_MAX)

enum { UPSTREAMS_SHOWN = 64 /* those asked last */ };

static void
upstream_value(struct buf *out, const char *name, const struct upstream_status *s, double value)
{
	char label[ORIGIN_SIZE + 16];

	snprintf(label, sizeof(label), "upstream=\"%s\"", s->name);
	figures_value(out, name, label, value);
}

/* Of each upstream that was asked lately. */
static void
upstream_figures(const struct mirror *mirror, struct buf *out)
{
	struct upstream_status list[UPSTREAMS_SHOWN];
	size_t count = mirror_upstreams(mirror, list, UPSTREAMS_SHOWN);

	figures_head(
	    out, "davit_mirror_upstream_up", "gauge", "Whether an upstream is asked: 0 while it does not answer.");
	for (size_t i = 0; i < count; i++)
		upstream_value(out, "davit_mirror_upstream_up", &list[i], list[i].is_away ? 0 : 1);
	figures_head(
	    out, "davit_mirror_upstream_waiting", "gauge", "Requests that wait for their turn at an upstream.");
	for (size_t i = 0; i < count; i++)
		upstream_value(out, "davit_mirror_upstream_waiting", &list[i], list[i].waiting);
	figures_head(
	    out, "davit_mirror_upstream_failures_total", "counter", "Requests that an upstream did not answer.");
	for (size_t i = 0; i < count; i++)
		upstream_value(out, "davit_mirror_upstream_failures_total", &list[i], (double)list[i].failures);
	figures_head(
	    out, "davit_mirror_upstream_remaining", "gauge", "What an upstream has said that it still allows.");
	for (size_t i = 0; i < count; i++)
		if (list[i].remaining >= 0)
			upstream_value(out, "davit_mirror_upstream_remaining", &list[i], (double)list[i].remaining);
}

void
api_mirror_figures(const struct mirror *mirror, struct buf *out)
{
	struct mirror_figures f = mirror_figures(mirror);

	figures_head(out, "davit_mirror_replies_total", "counter", "Replies of the mirror, by where they come from.");
	figures_value(out, "davit_mirror_replies_total", "source=\"hit\"", (double)(f.answers.hits - f.answers.stale));
	figures_value(out, "davit_mirror_replies_total", "source=\"stale\"", (double)f.answers.stale);
	figures_value(out, "davit_mirror_replies_total", "source=\"miss\"", (double)f.answers.misses);
	figures_value(out, "davit_mirror_replies_total", "source=\"error\"", (double)f.answers.errors);
	figures_one(out, "davit_mirror_tunnels", "gauge", "Tunnels that CONNECT has opened.", f.tunnels.open);
	figures_one(out, "davit_mirror_tunnel_bytes_total", "counter", "Bytes that passed in tunnels, both ways.",
	    (double)f.tunnels.bytes);
	figures_one(out, "davit_mirror_connections", "gauge", "Open connections of clients.", f.clients.connections);
	figures_one(out, "davit_mirror_sent_bytes_total", "counter", "Bytes of bodies sent to clients.",
	    (double)f.clients.bytes);
	figures_one(out, "davit_mirror_fetched_bytes_total", "counter", "Bytes of bodies that came from upstreams.",
	    (double)f.transfers.bytes);
	figures_one(out, "davit_mirror_upstream_requests_total", "counter", "Requests to upstreams.",
	    (double)f.transfers.requests);
	figures_one(out, "davit_mirror_joined_total", "counter", "Requests that joined one to an upstream.",
	    (double)f.transfers.joined);
	figures_one(out, "davit_mirror_resumed_total", "counter", "Bodies that broke off and were continued.",
	    (double)f.transfers.resumed);
	figures_one(out, "davit_mirror_transfers", "gauge", "Requests to upstreams that run.", f.transfers.running);
	figures_one(out, "davit_mirror_objects", "gauge", "Replies stored.", (double)f.shelf.variants);
	figures_one(out, "davit_mirror_stored_bytes", "gauge", "Bytes of bodies stored.", (double)f.shelf.bytes);
	figures_one(
	    out, "davit_mirror_evicted_total", "counter", "Replies that gave way to others.", (double)f.shelf.evicted);
	upstream_figures(mirror, out);
}

static void
write_upstreams(const struct mirror *mirror, struct json_writer *w)
{
	struct upstream_status list[UPSTREAMS_SHOWN];
	size_t count = mirror_upstreams(mirror, list, UPSTREAMS_SHOWN);

	json_write_key(w, "upstreams");
	json_write_array_open(w);
	for (size_t i = count; i > 0; i--) {
		const struct upstream_status *s = &list[i - 1];

		json_write_object_open(w);
		json_member_string(w, "url", s->name);
		json_member_string(w, "state", s->is_away ? "away" : "up");
		json_member_int(w, "retry_s", s->retry_s);
		json_member_int(w, "active", s->active);
		json_member_int(w, "waiting", s->waiting);
		json_member_int(w, "requests", (int64_t)s->requests);
		json_member_int(w, "failures", (int64_t)s->failures);
		if (s->remaining >= 0)
			json_member_int(w, "remaining", s->remaining);
		if (s->limit >= 0)
			json_member_int(w, "limit", s->limit);
		json_write_object_close(w);
	}
	json_write_array_close(w);
}

static void
write_addresses(const struct mirror *mirror, struct json_writer *w)
{
	const struct listening *socket;

	json_write_key(w, "addresses");
	json_write_array_open(w);
	for (size_t i = 0; (socket = mirror_socket(mirror, i)) != NULL; i++)
		json_write_string(w, socket->address);
	json_write_array_close(w);
}

static void
write_status(const struct mirror *mirror, struct json_writer *w)
{
	struct mirror_figures f = mirror_figures(mirror);

	json_write_object_open(w);
	write_addresses(mirror, w);
	json_member_int(w, "size", (int64_t)f.size);
	json_member_int(w, "objects", (int64_t)f.shelf.variants);
	json_member_int(w, "bytes", (int64_t)f.shelf.bytes);
	json_member_int(w, "evicted", (int64_t)f.shelf.evicted);
	json_member_int(w, "hits", (int64_t)f.answers.hits);
	json_member_int(w, "stale", (int64_t)f.answers.stale);
	json_member_int(w, "misses", (int64_t)f.answers.misses);
	json_member_int(w, "errors", (int64_t)f.answers.errors);
	json_member_int(w, "sent_bytes", (int64_t)f.clients.bytes);
	json_member_int(w, "fetched_bytes", (int64_t)f.transfers.bytes);
	json_member_int(w, "upstream_requests", (int64_t)f.transfers.requests);
	json_member_int(w, "joined", (int64_t)f.transfers.joined);
	json_member_int(w, "resumed", (int64_t)f.transfers.resumed);
	json_member_int(w, "transfers", f.transfers.running);
	json_member_int(w, "connections", f.clients.connections);
	write_upstreams(mirror, w);
	json_write_object_close(w);
}

bool
api_has_mirror(const struct controller *controller, struct http_reply **reply)
{
	if (controller->deps.mirror == NULL)
		reply_error(reply, 404, "no_mirror", "this server has no mirror; mirror.listen in davit.yml starts it");
	return controller->deps.mirror != NULL;
}

void
api_mirror(void *arg, struct http_reply *reply)
{
	struct controller *controller = arg;
	struct json_writer *w;

	if (!api_has_mirror(controller, &reply))
		return;
	w = json_writer_new(STATUS_MAX);
	write_status(controller->deps.mirror, w);
	reply_json(&reply, 200, &w);
}

/* --- the purge: {"url": "https://registry.npmjs.org/boat"} --- */

static void
on_purged(void *arg, uint64_t dropped)
{
	struct api_call *call = arg;
	struct json_writer *w = json_writer_new(STATUS_MAX);

	call->purge = NULL;
	api_audit(reply_request(call->reply), "mirror: %llu replies of %s purged", (unsigned long long)dropped,
	    json_string(json_get(json_root(call->body), "url"), ""));
	json_write_object_open(w);
	json_member_int(w, "purged", (int64_t)dropped);
	json_write_object_close(w);
	api_call_json(&call, 200, &w);
}

void
api_mirror_purge(void *arg, struct http_reply *reply)
{
	struct controller *controller = arg;
	struct api_call *call;
	struct err err;

	if (!api_has_mirror(controller, &reply))
		return;
	call = api_call_new(controller, reply);
	if (!api_call_parse(&call))
		return;
	call->purge = mirror_purge(
	    controller->deps.mirror, json_string(json_get(json_root(call->body), "url"), ""), on_purged, call, &err);
	if (call->purge == NULL)
		api_call_failed(&call, &err);
}

/* --- the pins: {"url": "https://registry.npmjs.org/boat"}, and the list of them --- */

void
api_mirror_pins(void *arg, struct http_reply *reply)
{
	struct controller *controller = arg;
	struct json_writer *w;
	const char *url;

	if (!api_has_mirror(controller, &reply))
		return;
	w = json_writer_new(PINS_SIZE_MAX);
	json_write_object_open(w);
	json_write_key(w, "pins");
	json_write_array_open(w);
	for (size_t i = 0; (url = mirror_pin_at(controller->deps.mirror, i)) != NULL; i++)
		json_write_string(w, url);
	json_write_array_close(w);
	json_write_object_close(w);
	reply_json(&reply, 200, &w);
}

static void
change_pin(struct controller *controller, struct http_reply *reply,
    bool (*change)(struct mirror *, const char *, struct err *), const char *word)
{
	struct api_call *call;
	struct json_writer *w;
	struct err err;
	const char *url;

	if (!api_has_mirror(controller, &reply))
		return;
	call = api_call_new(controller, reply);
	if (!api_call_parse(&call))
		return;
	url = json_string(json_get(json_root(call->body), "url"), "");
	if (!change(controller->deps.mirror, url, &err)) {
		api_call_failed(&call, &err);
		return;
	}
	api_audit(reply_request(call->reply), "mirror: %s %s", url, word);
	w = json_writer_new(STATUS_MAX);
	json_write_object_open(w);
	json_write_object_close(w);
	api_call_json(&call, 200, &w);
}

void
api_mirror_pin(void *arg, struct http_reply *reply)
{
	change_pin(arg, reply, mirror_pin, "pinned");
}

void
api_mirror_unpin(void *arg, struct http_reply *reply)
{
	change_pin(arg, reply, mirror_unpin, "is not pinned any more");
}
