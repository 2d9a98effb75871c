/* WebSocket (RFC 6455): the answer to a handshake, frames from bytes and bytes from frames, for both ends.
 *
 * The reader takes bytes as they come, cut anywhere, and gives messages in pieces, unmasked, so that a message has no
 * bound here; control messages come whole. Everything that the RFC forbids is an end: reserved bits and opcodes, a mask
 * where none belongs or none where one does, lengths in a longer form than needed, fragments out of turn, control
 * frames in fragments or above 125 bytes, close codes that are none. Whether a text is UTF-8 is its owner's business:
 * who needs it collects it. */
#ifndef DAVIT_PROTO_WEBSOCKET_H
#define DAVIT_PROTO_WEBSOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/buf.h"
#include "proto/str.h"

#define WEBSOCKET_ACCEPT_SIZE 29 /* with its NUL */
#define WEBSOCKET_CONTROL_MAX 125
#define WEBSOCKET_HEAD_MAX 14

/* Sec-WebSocket-Accept for a Sec-WebSocket-Key; false when the key is not 16 bytes in base64. */
bool websocket_accept(struct str key, char ret[WEBSOCKET_ACCEPT_SIZE]);

enum websocket_kind {
	WEBSOCKET_TEXT = 1,
	WEBSOCKET_BINARY = 2,
	WEBSOCKET_CLOSE = 8,
	WEBSOCKET_PING = 9,
	WEBSOCKET_PONG = 10,
};

/* Codes of a close. */
enum {
	WEBSOCKET_NORMAL = 1000,
	WEBSOCKET_GOING_AWAY = 1001,
	WEBSOCKET_PROTOCOL_ERROR = 1002,
	WEBSOCKET_POLICY = 1008,
	WEBSOCKET_TOO_LARGE = 1009,
	WEBSOCKET_INTERNAL = 1011,
	WEBSOCKET_NO_CODE = 1005, /* a close without one; never sent */
};

/* A piece of a message (bytes may be empty), or a whole control message. bytes: good until the next call. */
struct websocket_event {
	enum websocket_kind kind;
	struct str bytes; /* of a close: the reason */
	bool is_last;     /* the message is whole */
	unsigned code;    /* of a close */
};

enum websocket_next {
	WEBSOCKET_MORE, /* all bytes are taken */
	WEBSOCKET_EVENT,
	WEBSOCKET_BAD, /* reader->why; nothing can be read any more */
};

struct websocket_reader {
	bool wants_mask; /* the peer is a client */
	unsigned char head[WEBSOCKET_HEAD_MAX];
	size_t head_len;
	bool in_frame;
	uint64_t left; /* of the frame */
	unsigned mask_at;
	enum websocket_kind message; /* whose fragments come; 0: none */
	size_t piece_len;
	char piece[4096];
	const char *why;
};

void websocket_reader_init(struct websocket_reader *reader, bool peer_is_client);
/* Cuts off *in what it takes. */
enum websocket_next websocket_next(struct websocket_reader *reader, struct str *in, struct websocket_event *event);

/* One frame that is a whole message. mask: 4 bytes, NULL from a server. */
void websocket_print(struct buf *out, enum websocket_kind kind, const unsigned char *mask, struct str bytes);
/* reason: at most 123 bytes. */
void websocket_print_close(struct buf *out, unsigned code, const unsigned char *mask, struct str reason);

#endif
