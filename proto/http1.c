#include "proto/http1.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "proto/url.h"

#define LINE_BESIDE_TARGET \
	64 /* method, version and blanks: a first line longer than the target's limit and this is 414 */

const struct http1_limits http1_request_limits = { .head = 16 * 1024, .target = 8 * 1024, .headers = 64 };
const struct http1_limits http1_proxy_limits = {
	.head = 16 * 1024, .target = 8 * 1024, .headers = 64, .any_method = true
};
const struct http1_limits http1_reply_limits = { .head = 32 * 1024, .headers = HTTP1_HEADERS_MAX };

static const char *const method_names[] = {
	[HTTP1_GET] = "GET",
	[HTTP1_HEAD] = "HEAD",
	[HTTP1_POST] = "POST",
	[HTTP1_PUT] = "PUT",
	[HTTP1_PATCH] = "PATCH",
	[HTTP1_DELETE] = "DELETE",
	[HTTP1_OPTIONS] = "OPTIONS",
};

#define METHODS (sizeof(method_names) / sizeof(method_names[0]))

/* RFC 9110 section 5.6.2 */
static bool
is_token_char(unsigned char c)
{
	static const bool table[256] = {
		['0' ... '9'] = true,
		['A' ... 'Z'] = true,
		['a' ... 'z'] = true,
		['!'] = true,
		['#'] = true,
		['$'] = true,
		['%'] = true,
		['&'] = true,
		['\''] = true,
		['*'] = true,
		['+'] = true,
		['-'] = true,
		['.'] = true,
		['^'] = true,
		['_'] = true,
		['`'] = true,
		['|'] = true,
		['~'] = true,
	};

	return table[c];
}

bool
http1_is_token(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!is_token_char((unsigned char)s.p[i]))
			return false;
	return s.len > 0;
}

static enum http1_verdict
refuse(struct http1_head *head, unsigned status, const char *why)
{
	head->refusal = status;
	head->why = why;
	return HTTP1_REFUSED;
}

/* "HTTP/1.0" or "HTTP/1.1"; the refusal of a malformed one differs from that of another version. */
static enum http1_verdict
parse_version(struct str s, struct http1_head *ret)
{
	if (s.len != 8 || !str_has_prefix(s, "HTTP/") || s.p[5] < '0' || s.p[5] > '9' || s.p[6] != '.' ||
	    s.p[7] < '0' || s.p[7] > '9')
		return refuse(ret, 400, "the HTTP version is malformed or missing");
	if (s.p[5] != '1' || s.p[7] > '1')
		return refuse(ret, 505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
	ret->minor = (unsigned)(s.p[7] - '0');
	return HTTP1_DONE;
}

static enum http1_verdict
parse_method(struct str s, const struct http1_limits *limits, struct http1_head *ret)
{
	ret->method_name = s;
	for (size_t i = 0; i < METHODS; i++)
		if (str_is(s, method_names[i])) {
			ret->method = (enum http1_method)i;
			return HTTP1_DONE;
		}
	ret->method = HTTP1_OTHER;
	if (str_is(s, "CONNECT"))
		ret->method = HTTP1_CONNECT;
	if (limits->any_method && !str_is(s, "TRACE"))
		return HTTP1_DONE;
	return refuse(ret, 501, "the method is not implemented");
}

/* absolute-form: scheme and authority in front of the path. */
static enum http1_verdict
parse_absolute(struct str rest, struct http1_head *ret)
{
	size_t len = 0;
	struct str host;
	unsigned port;

	while (len < rest.len && rest.p[len] != '/' && rest.p[len] != '?')
		len++;
	ret->host = (struct str){ rest.p, len };
	if (!url_split_host(ret->host, &host, &port))
		return refuse(ret, 400, "the target's host is malformed");
	ret->path = (struct str){ rest.p + len, rest.len - len };
	if (ret->path.len == 0)
		ret->path = ret->method == HTTP1_OPTIONS ? STR("*") : STR("/");
	if (ret->path.p[0] == '?')
		return refuse(ret, 400, "the target has a query without a path");
	return HTTP1_DONE;
}

/* A port is a must: RFC 9112 section 3.2.3. */
static enum http1_verdict
parse_authority(struct str s, struct http1_head *ret)
{
	struct str host;
	unsigned port;

	ret->host = s;
	if (!url_split_host(s, &host, &port) || port == 0)
		return refuse(ret, 400, "the target is no HOST:PORT");
	return HTTP1_DONE;
}

/* RFC 9112 section 3.2 */
static enum http1_verdict
parse_target(struct str s, struct http1_head *ret)
{
	ret->target = s;
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.p[i] <= 0x20 || (unsigned char)s.p[i] >= 0x7f || s.p[i] == '#')
			return refuse(ret, 400, "the target has a byte that must be percent-encoded");
	if (ret->method == HTTP1_CONNECT)
		return parse_authority(s, ret);
	if (s.len >= 7 && strncasecmp(s.p, "http://", 7) == 0)
		return parse_absolute((struct str){ s.p + 7, s.len - 7 }, ret);
	if (s.len >= 8 && strncasecmp(s.p, "https://", 8) == 0)
		return parse_absolute((struct str){ s.p + 8, s.len - 8 }, ret);
	ret->path = s;
	if (s.len > 0 && s.p[0] == '/')
		return HTTP1_DONE;
	if (str_is(s, "*") && ret->method == HTTP1_OPTIONS)
		return HTTP1_DONE;
	return refuse(ret, 400, "the target is not a path");
}

static enum http1_verdict
parse_request_line(struct str line, const struct http1_limits *limits, struct http1_head *ret)
{
	struct str method = str_cut(&line, ' ');
	struct str target = str_cut(&line, ' ');
	enum http1_verdict verdict;

	if (!http1_is_token(method))
		return refuse(ret, 400, "the request line is malformed");
	if (target.len > limits->target)
		return refuse(ret, 414, "the target is too long");
	verdict = parse_version(line, ret);
	if (verdict == HTTP1_DONE)
		verdict = parse_method(method, limits, ret);
	if (verdict == HTTP1_DONE)
		verdict = parse_target(target, ret);
	return verdict;
}

/* RFC 9112 section 4, but the blank in front of an empty reason may be missing, as many servers have it. */
static enum http1_verdict
parse_status_line(struct str line, struct http1_head *ret)
{
	struct str version = str_cut(&line, ' ');
	struct str status = str_cut(&line, ' ');
	uint64_t n;

	if (parse_version(version, ret) == HTTP1_REFUSED)
		return HTTP1_REFUSED;
	if (status.len != 3 || !str_to_u64(status, 999, &n) || n < 100)
		return refuse(ret, 400, "the reply's status is malformed");
	ret->status = (unsigned)n;
	ret->reason = line;
	return HTTP1_DONE;
}

static enum http1_verdict
parse_header(struct str line, struct http1_head *ret)
{
	struct http1_header *header = &ret->headers[ret->header_count];
	struct str rest = line;

	header->name = str_cut(&rest, ':');
	if (header->name.len == line.len || !http1_is_token(header->name))
		return refuse(ret, 400, "a header's name is malformed");
	header->value = str_trim(rest);
	ret->header_count++;
	return HTTP1_DONE;
}

static unsigned
count_headers(const struct http1_head *head, const char *name, const struct http1_header **first)
{
	unsigned count = 0;

	*first = NULL;
	for (size_t i = 0; i < head->header_count; i++)
		if (str_is_nocase(head->headers[i].name, name)) {
			if (count++ == 0)
				*first = &head->headers[i];
		}
	return count;
}

/* Content-Length and Transfer-Encoding as far as both directions agree: at most one of them, once, well-formed. */
static enum http1_verdict
parse_framing(struct http1_head *ret, unsigned *codings, struct str *coding)
{
	const struct http1_header *length, *te;
	unsigned lengths = count_headers(ret, "Content-Length", &length);

	*codings = count_headers(ret, "Transfer-Encoding", &te);
	if (lengths > 0 && *codings > 0)
		return refuse(ret, 400, "Content-Length and Transfer-Encoding exclude each other");
	if (lengths > 1)
		return refuse(ret, 400, "there is more than one Content-Length");
	if (*codings > 1 || (*codings == 1 && ret->minor == 0))
		return refuse(ret, 400, "Transfer-Encoding is repeated, or of HTTP/1.0");
	if (lengths == 1 && !str_to_u64(length->value, INT64_MAX, &ret->length))
		return refuse(ret, 400, "Content-Length is malformed or too large");
	ret->has_length = lengths == 1;
	*coding = *codings == 1 ? te->value : STR("");
	return HTTP1_DONE;
}

static enum http1_verdict
check_host(struct http1_head *ret)
{
	const struct http1_header *header;
	unsigned count = count_headers(ret, "Host", &header);
	struct str host;
	unsigned port;

	if (count > 1)
		return refuse(ret, 400, "there is more than one Host");
	if (count == 0)
		return ret->minor == 0 ? HTTP1_DONE : refuse(ret, 400, "Host is missing");
	if (!url_split_host(header->value, &host, &port))
		return refuse(ret, 400, "Host is malformed");
	if (ret->host.len == 0)
		ret->host = header->value;
	else if (!str_eq_nocase(ret->host, header->value))
		return refuse(ret, 400, "Host is not that of the target");
	return HTTP1_DONE;
}

static enum http1_verdict
check_expect(struct http1_head *ret)
{
	const struct http1_header *header;
	unsigned count = count_headers(ret, "Expect", &header);

	if (count == 0 || ret->minor == 0)
		return HTTP1_DONE;
	if (count > 1 || !str_is_nocase(header->value, "100-continue"))
		return refuse(ret, 417, "only the expectation 100-continue can be met");
	ret->expects_continue = true;
	return HTTP1_DONE;
}

static enum http1_verdict
finish_request(const struct http1_limits *limits, struct http1_head *ret)
{
	enum http1_verdict verdict;
	struct str coding;
	unsigned codings;

	verdict = parse_framing(ret, &codings, &coding);
	if (verdict == HTTP1_DONE)
		verdict = check_host(ret);
	if (verdict == HTTP1_DONE)
		verdict = check_expect(ret);
	if (verdict != HTTP1_DONE)
		return verdict;
	if (codings > 0 && !limits->chunked)
		return refuse(ret, 411, "a body needs a Content-Length here");
	if (codings > 0 && !str_is(coding, "chunked"))
		return refuse(ret, 501, "the only transfer coding is chunked");
	ret->is_chunked = codings > 0;
	ret->body = ret->is_chunked ? HTTP1_BODY_CHUNKED : ret->has_length ? HTTP1_BODY_LENGTH : HTTP1_BODY_NONE;
	return HTTP1_DONE;
}

static enum http1_verdict
finish_reply(struct http1_head *ret)
{
	struct str coding;
	unsigned codings;

	if (parse_framing(ret, &codings, &coding) == HTTP1_REFUSED)
		return HTTP1_REFUSED;
	if (codings > 0 && !str_is_nocase(coding, "chunked"))
		return refuse(ret, 501, "the only transfer coding is chunked");
	ret->is_chunked = codings > 0;
	return HTTP1_DONE;
}

/* A parser of one direction: what differs between requests and replies. */
struct direction {
	bool is_request;
	const struct http1_limits *limits;
};

static enum http1_verdict
parse_first_line(const struct direction *dir, struct str line, struct http1_head *ret)
{
	return dir->is_request ? parse_request_line(line, dir->limits, ret) : parse_status_line(line, ret);
}

/* The whole head, whose lines the scan has found to be clean. */
static enum http1_verdict
parse_head(const struct direction *dir, struct str text, struct http1_head *ret)
{
	struct str line = str_cut(&text, '\n');
	enum http1_verdict verdict;

	line.len--; /* the CR */
	verdict = parse_first_line(dir, line, ret);
	while (verdict == HTTP1_DONE) {
		line = str_cut(&text, '\n');
		line.len--;
		if (line.len == 0)
			break;
		verdict = parse_header(line, ret);
	}
	if (verdict != HTTP1_DONE)
		return verdict;
	return dir->is_request ? finish_request(dir->limits, ret) : finish_reply(ret);
}

/* The line that ends at scan->at (its LF). The first one is parsed early, so that nonsense is answered when it is
 * seen; HTTP1_DONE is the empty line. */
static enum http1_verdict
scan_line(const struct direction *dir, struct http1_scan *scan, struct str text, struct http1_head *ret)
{
	struct str line = { text.p + scan->line, scan->at - scan->line - 1 };

	scan->line = scan->at + 1;
	if (scan->lines == 0 && line.len == 0) {
		if (!dir->is_request || scan->start > 0)
			return refuse(ret, 400, "an empty line stands in front of the head");
		scan->start = scan->line;
		return HTTP1_NEED_MORE;
	}
	if (scan->lines == 0) {
		if (parse_first_line(dir, line, ret) == HTTP1_REFUSED)
			return HTTP1_REFUSED;
	} else {
		if (line.len == 0)
			return HTTP1_DONE;
		if (line.p[0] == ' ' || line.p[0] == '\t')
			return refuse(ret, 400, "a header is folded");
	}
	if (scan->lines++ > dir->limits->headers)
		return refuse(ret, 431, "there are too many headers");
	return HTTP1_NEED_MORE;
}

static enum http1_verdict
scan_byte(const struct direction *dir, struct http1_scan *scan, struct str text, struct http1_head *ret)
{
	size_t at = scan->at;
	unsigned char c = (unsigned char)text.p[at];
	bool after_cr = at > 0 && text.p[at - 1] == '\r';

	if (at - scan->start >= dir->limits->head)
		return refuse(ret, 431, "the head is too large");
	if (after_cr != (c == '\n'))
		return refuse(ret, 400, "a line does not end with CR LF");
	if (c == '\n')
		return scan_line(dir, scan, text, ret);
	if ((c < 0x20 && c != '\r' && c != '\t') || c == 0x7f)
		return refuse(ret, 400, "the head has a control byte");
	if (dir->is_request && scan->lines == 0 && at - scan->start >= dir->limits->target + LINE_BESIDE_TARGET)
		return refuse(ret, 414, "the target is too long");
	return HTTP1_NEED_MORE;
}

/* The first place at or behind scan->at that takes a closer look: a byte that ends a line or is none of a head's, or a
 * limit. */
static size_t
skip_plain(const struct direction *dir, const struct http1_scan *scan, struct str text)
{
	size_t at = scan->at, end = scan->start + dir->limits->head, line = scan->start + dir->limits->target;

	if (dir->is_request && scan->lines == 0 && line + LINE_BESIDE_TARGET < end)
		end = line + LINE_BESIDE_TARGET;
	end = text.len < end ? text.len : end;
	if (at > 0 && text.p[at - 1] == '\r')
		return at;
	while (at < end && (unsigned char)text.p[at] >= 0x20 && text.p[at] != 0x7f)
		at++;
	return at;
}

static enum http1_verdict
scan_text(const struct direction *dir, struct http1_scan *scan, struct str text, struct http1_head *ret)
{
	while ((scan->at = skip_plain(dir, scan, text)) < text.len) {
		enum http1_verdict verdict = scan_byte(dir, scan, text, ret);

		scan->at++;
		if (verdict != HTTP1_NEED_MORE)
			return verdict;
	}
	return HTTP1_NEED_MORE;
}

static enum http1_verdict
parse(const struct direction *dir, struct http1_scan *scan, struct str text, struct http1_head *ret)
{
	enum http1_verdict verdict;

	assert(dir->limits->headers <= HTTP1_HEADERS_MAX);
	memset(ret, 0, offsetof(struct http1_head, headers)); /* of those there are header_count */
	verdict = scan_text(dir, scan, text, ret);
	if (verdict == HTTP1_DONE) {
		ret->used = scan->at;
		verdict = parse_head(dir, (struct str){ text.p + scan->start, scan->at - scan->start }, ret);
	}
	if (verdict == HTTP1_REFUSED && !dir->is_request)
		ret->refusal = 502;
	return verdict;
}

enum http1_verdict
http1_parse_request(struct http1_scan *scan, struct str text, const struct http1_limits *limits, struct http1_head *ret)
{
	const struct direction dir = { true, limits != NULL ? limits : &http1_request_limits };

	return parse(&dir, scan, text, ret);
}

enum http1_verdict
http1_parse_reply(struct http1_scan *scan, struct str text, const struct http1_limits *limits, struct http1_head *ret)
{
	const struct direction dir = { false, limits != NULL ? limits : &http1_reply_limits };

	return parse(&dir, scan, text, ret);
}

enum http1_body
http1_reply_body(const struct http1_head *head, const char *method)
{
	if (strcmp(method, "HEAD") == 0 || head->status < 200 || head->status == 204 || head->status == 304)
		return HTTP1_BODY_NONE;
	if (head->is_chunked)
		return HTTP1_BODY_CHUNKED;
	return head->has_length ? HTTP1_BODY_LENGTH : HTTP1_BODY_UNTIL_CLOSE;
}

const struct http1_header *
http1_find(const struct http1_head *head, const char *name)
{
	for (size_t i = 0; i < head->header_count; i++)
		if (str_is_nocase(head->headers[i].name, name))
			return &head->headers[i];
	return NULL;
}

struct str
http1_value(const struct http1_head *head, const char *name)
{
	const struct http1_header *header = http1_find(head, name);

	return header != NULL ? header->value : STR("");
}

bool
http1_has_token(const struct http1_head *head, const char *name, const char *token)
{
	for (size_t i = 0; i < head->header_count; i++) {
		struct str list = head->headers[i].value;

		if (!str_is_nocase(head->headers[i].name, name))
			continue;
		while (list.len > 0)
			if (str_is_nocase(str_trim(str_cut(&list, ',')), token))
				return true;
	}
	return false;
}

bool
http1_keeps_alive(const struct http1_head *head)
{
	if (http1_has_token(head, "Connection", "close"))
		return false;
	return head->minor > 0 || http1_has_token(head, "Connection", "keep-alive");
}

const char *
http1_method_name(enum http1_method method)
{
	return method_names[method];
}
