#include "proto/websocket.h"

#include <assert.h>
#include <string.h>

#include "proto/base64.h"
#include "proto/crypto.h"
#include "proto/utf8.h"

#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#define KEY_BYTES 16

/* Bits of a frame's first two bytes. */
enum { FIN = 0x80, RESERVED = 0x70, OPCODE = 0x0f, MASKED = 0x80, LENGTH = 0x7f };
enum { CONTINUATION = 0, LENGTH_16 = 126, LENGTH_64 = 127 };

bool
websocket_accept(struct str key, char ret[WEBSOCKET_ACCEPT_SIZE])
{
	unsigned char digest[SHA1_SIZE];
	struct buf b;
	bool good;

	buf_init(&b, 100);
	good = base64_decode(key, BASE64_STANDARD, &b) && b.len == KEY_BYTES;
	buf_reset(&b);
	if (good) {
		buf_addstr(&b, key);
		buf_adds(&b, GUID);
		sha1(buf_str(&b), digest);
		buf_reset(&b);
		base64_encode((struct str){ (const char *)digest, sizeof(digest) }, BASE64_STANDARD, &b);
		assert(b.len + 1 == WEBSOCKET_ACCEPT_SIZE);
		memcpy(ret, b.data, WEBSOCKET_ACCEPT_SIZE);
	}
	buf_fini(&b);
	return good;
}

void
websocket_reader_init(struct websocket_reader *reader, bool peer_is_client)
{
	*reader = (struct websocket_reader){ .wants_mask = peer_is_client };
}

static enum websocket_next
bad(struct websocket_reader *r, const char *why)
{
	r->why = why;
	return WEBSOCKET_BAD;
}

static unsigned
opcode(const struct websocket_reader *r)
{
	return r->head[0] & OPCODE;
}

static bool
is_control(const struct websocket_reader *r)
{
	return opcode(r) >= WEBSOCKET_CLOSE;
}

static size_t
length_bytes(const struct websocket_reader *r)
{
	unsigned length = r->head[1] & LENGTH;

	return length == LENGTH_16 ? 2 : length == LENGTH_64 ? 8 : 0;
}

/* How long the head is, as far as that can be told. */
static size_t
head_size(const struct websocket_reader *r)
{
	if (r->head_len < 2)
		return 2;
	return 2 + length_bytes(r) + ((r->head[1] & MASKED) != 0 ? 4 : 0);
}

static const char *
check_start(const struct websocket_reader *r)
{
	unsigned code = opcode(r);
	bool is_fin = (r->head[0] & FIN) != 0;

	if ((r->head[0] & RESERVED) != 0)
		return "a reserved bit is set";
	if (code > WEBSOCKET_BINARY && (code < WEBSOCKET_CLOSE || code > WEBSOCKET_PONG))
		return "an opcode is reserved";
	if (((r->head[1] & MASKED) != 0) != r->wants_mask)
		return r->wants_mask ? "a frame is not masked" : "a frame is masked";
	if (is_control(r) && (!is_fin || (r->head[1] & LENGTH) > WEBSOCKET_CONTROL_MAX))
		return "a control frame is in fragments, or too long";
	if (!is_control(r) && (code == CONTINUATION) != (r->message != 0))
		return code == CONTINUATION ? "a fragment continues nothing" : "a message is cut by another";
	return NULL;
}

static bool
read_length(struct websocket_reader *r)
{
	size_t count = length_bytes(r);

	r->left = count == 0 ? r->head[1] & LENGTH : 0;
	for (size_t i = 0; i < count; i++)
		r->left = r->left << 8 | r->head[2 + i];
	if (count == 2)
		return r->left >= LENGTH_16;
	return count == 0 || (r->left > UINT16_MAX && r->left <= INT64_MAX);
}

/* True when the head is whole, or bad. */
static bool
take_head(struct websocket_reader *r, struct str *in)
{
	while (in->len > 0 && r->head_len < head_size(r)) {
		r->head[r->head_len++] = (unsigned char)*in->p++;
		in->len--;
		if (r->head_len == 2 && (r->why = check_start(r)) != NULL)
			return true;
	}
	if (r->head_len < head_size(r))
		return false;
	if (!read_length(r))
		r->why = "a length is not in its shortest form";
	r->in_frame = true;
	r->mask_at = 0;
	if (!is_control(r) && opcode(r) != CONTINUATION)
		r->message = opcode(r);
	return true;
}

static void
take_bytes(struct websocket_reader *r, struct str *in)
{
	const unsigned char *mask = r->head + 2 + length_bytes(r);
	size_t len = sizeof(r->piece) - r->piece_len;

	if (len > in->len)
		len = in->len;
	if (len > r->left)
		len = (size_t)r->left;
	for (size_t i = 0; i < len; i++)
		r->piece[r->piece_len++] = (char)(in->p[i] ^ (r->wants_mask ? mask[r->mask_at++ % 4] : 0));
	in->p += len;
	in->len -= len;
	r->left -= len;
}

static bool
is_close_code(unsigned code)
{
	return (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006) ||
	       (code >= 3000 && code <= 4999);
}

static enum websocket_next
give_close(struct websocket_reader *r, struct websocket_event *event)
{
	struct str *bytes = &event->bytes;

	event->code = WEBSOCKET_NO_CODE;
	if (bytes->len == 0)
		return WEBSOCKET_EVENT;
	if (bytes->len == 1)
		return bad(r, "a close has half a code");
	event->code = (unsigned)(unsigned char)bytes->p[0] << 8 | (unsigned char)bytes->p[1];
	bytes->p += 2;
	bytes->len -= 2;
	if (!is_close_code(event->code))
		return bad(r, "a close has a code that is none");
	if (!utf8_valid(*bytes, NULL))
		return bad(r, "a close has a reason that is not UTF-8");
	return WEBSOCKET_EVENT;
}

/* What is in r->piece: a control message, or a piece of another. */
static enum websocket_next
give(struct websocket_reader *r, struct websocket_event *event)
{
	bool is_whole = r->left == 0;

	*event = (struct websocket_event){ .kind = is_control(r) ? (enum websocket_kind)opcode(r) : r->message,
		.bytes = { r->piece, r->piece_len },
		.is_last = is_whole && (r->head[0] & FIN) != 0 };
	r->piece_len = 0;
	if (is_whole) {
		r->in_frame = false;
		r->head_len = 0;
	}
	if (event->is_last && event->kind < WEBSOCKET_CLOSE)
		r->message = 0;
	return event->kind == WEBSOCKET_CLOSE ? give_close(r, event) : WEBSOCKET_EVENT;
}

/* An empty piece is given only where it ends a message. */
static bool
has_something(const struct websocket_reader *r)
{
	if (is_control(r))
		return r->left == 0;
	return r->piece_len > 0 || (r->left == 0 && (r->head[0] & FIN) != 0);
}

enum websocket_next
websocket_next(struct websocket_reader *reader, struct str *in, struct websocket_event *event)
{
	struct websocket_reader *r = reader;

	while (r->why == NULL) {
		if (!r->in_frame && !take_head(r, in))
			return WEBSOCKET_MORE;
		if (r->why != NULL)
			break;
		take_bytes(r, in);
		if (has_something(r))
			return give(r, event);
		if (r->left > 0)
			return WEBSOCKET_MORE;
		r->in_frame = false; /* an empty fragment */
		r->head_len = 0;
	}
	return WEBSOCKET_BAD;
}

/* --- printing --- */

void
websocket_print(struct buf *out, enum websocket_kind kind, const unsigned char *mask, struct str bytes)
{
	unsigned masked = mask != NULL ? MASKED : 0;
	size_t start;

	buf_addc(out, (char)(FIN | kind));
	if (bytes.len < LENGTH_16) {
		buf_addc(out, (char)(masked | bytes.len));
	} else {
		unsigned count = bytes.len <= UINT16_MAX ? 2 : 8;

		buf_addc(out, (char)(masked | (count == 2 ? LENGTH_16 : LENGTH_64)));
		while (count-- > 0)
			buf_addc(out, (char)((uint64_t)bytes.len >> 8 * count));
	}
	if (mask != NULL)
		buf_add(out, (const char *)mask, 4);
	start = out->len;
	if (!buf_addstr(out, bytes) || mask == NULL)
		return;
	for (size_t i = 0; i < bytes.len; i++)
		out->data[start + i] = (char)(out->data[start + i] ^ mask[i % 4]);
}

void
websocket_print_close(struct buf *out, unsigned code, const unsigned char *mask, struct str reason)
{
	char bytes[WEBSOCKET_CONTROL_MAX];

	assert(reason.len + 2 <= sizeof(bytes));
	bytes[0] = (char)(code >> 8);
	bytes[1] = (char)code;
	memcpy(bytes + 2, reason.p, reason.len);
	websocket_print(out, WEBSOCKET_CLOSE, mask, (struct str){ bytes, reason.len + 2 });
}
