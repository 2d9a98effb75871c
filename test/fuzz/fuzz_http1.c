/* A head of a request or reply, given byte by byte, gets the verdict of the whole; what is taken says nothing that two
 * readers could take in two ways. The first byte chooses between request and reply. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/http1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool ok)
{
	if (!ok)
		abort();
}

static enum http1_verdict
parse(bool is_reply, struct http1_scan *scan, struct str text, struct http1_head *ret)
{
	return is_reply ? http1_parse_reply(scan, text, &http1_reply_limits, ret)
			: http1_parse_request(scan, text, &http1_request_limits, ret);
}

static void
check_taken(const struct http1_head *head, struct str text)
{
	must(head->used <= text.len);
	must(!(head->has_length && head->is_chunked));
	for (size_t i = 0; i < head->header_count; i++) {
		const struct http1_header *h = &head->headers[i];

		must(http1_is_token(h->name));
		must(h->value.len == 0 || memchr(h->value.p, '\n', h->value.len) == NULL);
		must(h->value.len == 0 || memchr(h->value.p, '\0', h->value.len) == NULL);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http1_scan whole_scan = { 0 }, scan = { 0 };
	struct http1_head whole, head;
	enum http1_verdict verdict, at_once;
	struct str text;
	bool is_reply;

	if (size < 1)
		return 0;
	is_reply = data[0] & 1;
	text = (struct str){ (const char *)data + 1, size - 1 };
	at_once = parse(is_reply, &whole_scan, text, &whole);
	verdict = HTTP1_NEED_MORE;
	for (size_t len = 0; len <= text.len && verdict == HTTP1_NEED_MORE; len++) {
		char *cut = malloc(len > 0 ? len : 1); /* of its exact size, so that a byte too far is seen */

		memcpy(cut, text.p, len);
		verdict = parse(is_reply, &scan, (struct str){ cut, len }, &head);
		if (verdict == HTTP1_DONE)
			check_taken(&head, text);
		free(cut);
	}
	must(verdict == at_once);
	if (verdict == HTTP1_DONE)
		must(head.used == whole.used && head.length == whole.length && head.header_count == whole.header_count);
	if (verdict == HTTP1_REFUSED)
		must(head.refusal == whole.refusal);
	return 0;
}
