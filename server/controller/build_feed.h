/* GET /api/v1/events: each build that changes, or whose jobs do, as "event: build" with its JSON, to all who listen.
 * What is asked of the store is asked once for all; nobody listening, nothing is asked. "event: reload" says that
 * something was missed: look at everything again. */
#ifndef DAVIT_CONTROLLER_BUILD_FEED_H
#define DAVIT_CONTROLLER_BUILD_FEED_H

#include <stdint.h>

#include "server/controller/sse.h"

struct build_feed;
struct store;

struct build_feed *build_feed_new(struct store *store, struct sse_hub *hub);
/* All streams must have ended (sse_hub_end_all). Accepts NULL. */
void build_feed_free(struct build_feed **feed);
void build_feed_open(struct build_feed *feed, struct http_reply **reply);
void build_feed_changed(struct build_feed *feed, int64_t build);
void build_feed_reload(struct build_feed *feed);

#endif
