/* Server-sent events (WHATWG HTML section 9.2): followers that hold little more than an open connection. One timer
 * keeps all of them alive with a comment, and ends those that have not read for four of its rounds. */
#ifndef DAVIT_CONTROLLER_SSE_H
#define DAVIT_CONTROLLER_SSE_H

#include <stddef.h>
#include <stdint.h>

#include "server/controller/reply.h"

#define SSE_HEARTBEAT_MS 15000
#define SSE_BATCH 500 /* followers served in one turn of the loop */

struct loop;
struct sse;
struct sse_hub;

struct sse_hub *sse_hub_new(struct loop *loop, int64_t heartbeat_ms);
/* Accepts NULL. No follower may be left: sse_hub_end_all. */
void sse_hub_free(struct sse_hub **hub);
void sse_hub_end_all(struct sse_hub *hub);
unsigned sse_hub_count(const struct sse_hub *hub);

/* The stream of an answer. ready: what was sent has drained below REPLY_LOW_WATER. gone: the client left, or was ended
 * for not reading; the follower is gone already. NULL when there is none (HEAD, or the client has left). */
typedef void sse_ready_fn(void *arg);
typedef void sse_gone_fn(void *arg);
struct sse *sse_open(struct sse_hub *hub, struct http_reply **reply, sse_ready_fn *ready, sse_gone_fn *gone, void *arg);
void sse_end(struct sse **sse);
size_t sse_pending(const struct sse *sse);

/* The text of one or more events, made once for all who get it. */
struct sse_block;
struct sse_block *sse_block_new(char *text, size_t len); /* takes the text, which was malloc'ed */
struct sse_block *sse_block_ref(struct sse_block *block);
void sse_block_unref(struct sse_block **block); /* accepts NULL inside */
size_t sse_block_len(const struct sse_block *block);
void sse_send(struct sse *sse, struct sse_block *block);

#endif
