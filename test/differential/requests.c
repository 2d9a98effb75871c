/* What proto/http1 and proto/chunked make of the bytes of a connection. Each record of standard input (its length as
 * four bytes, the lowest first, then the bytes) gives one line: "GET 2f 1.1 486f7374:63 [68690a]; " for each request
 * that was taken (target, names and values of headers, and body in hexadecimal), then how it ended: "end", "more" or
 * "refused". llhttp.js gives the same lines of Node's parser. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/chunked.h"
#include "proto/http1.h"
#include "proto/mem.h"

#define RECORD_MAX (1u << 20)

static const struct http1_limits limits = { .head = 16384, .target = 8192, .headers = 64, .chunked = true };

static void
print_hex(struct str bytes)
{
	for (size_t i = 0; i < bytes.len; i++)
		printf("%02x", (unsigned char)bytes.p[i]);
}

static void
print_head(const struct http1_head *head)
{
	printf("%s ", http1_method_name(head->method));
	print_hex(head->target);
	printf(" 1.%u ", head->minor);
	for (size_t i = 0; i < head->header_count; i++) {
		print_hex(head->headers[i].name);
		putchar(':');
		print_hex(head->headers[i].value);
		putchar(' ');
	}
}

static const char *
print_chunks(struct str *rest)
{
	struct chunked c = { 0 };
	enum chunked_verdict verdict;
	struct str piece;

	while ((verdict = chunked_next(&c, rest, &piece)) == CHUNKED_DATA)
		print_hex(piece);
	if (verdict == CHUNKED_DONE)
		return NULL;
	return verdict == CHUNKED_REFUSED ? "refused" : "more";
}

static const char *
print_length(uint64_t length, struct str *rest)
{
	size_t len = length < rest->len ? (size_t)length : rest->len;

	print_hex((struct str){ rest->p, len });
	*rest = (struct str){ rest->p + len, rest->len - len };
	return len == length ? NULL : "more";
}

/* Takes one request, and says whether it is the connection's last; why there is none, or not the whole of it. */
static const char *
print_request(struct str *rest, bool *closes)
{
	struct http1_scan scan = { 0 };
	struct http1_head head;
	const char *ending;

	switch (http1_parse_request(&scan, *rest, &limits, &head)) {
	case HTTP1_NEED_MORE:
		return rest->len == 0 ? "end" : "more";
	case HTTP1_REFUSED:
		return "refused";
	case HTTP1_DONE:
		break;
	}
	print_head(&head);
	putchar('[');
	*rest = (struct str){ rest->p + head.used, rest->len - head.used };
	if (!http1_keeps_alive(&head))
		*closes = true;
	ending = head.body == HTTP1_BODY_CHUNKED ? print_chunks(rest) : print_length(head.length, rest);
	printf("%s", ending == NULL ? "]; " : "...]; ");
	return ending;
}

static bool
read_record(char *record, size_t *len)
{
	unsigned char size[4];

	if (fread(size, 1, sizeof(size), stdin) != sizeof(size))
		return false;
	*len = (size_t)size[0] | (size_t)size[1] << 8 | (size_t)size[2] << 16 | (size_t)size[3] << 24;
	return *len <= RECORD_MAX && fread(record, 1, *len, stdin) == *len;
}

int
main(void)
{
	char *record = xcalloc(1, RECORD_MAX);
	const char *ending;
	bool closes;
	size_t len;

	while (read_record(record, &len)) {
		struct str rest = { record, len };

		closes = false;
		while ((ending = print_request(&rest, &closes)) == NULL && !closes)
			;
		puts(ending != NULL ? ending : "end");
	}
	free(record);
	return 0;
}
