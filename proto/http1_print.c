#include <stdio.h>
#include <string.h>

#include "proto/http1.h"

static const struct {
	unsigned status;
	const char *reason;
} reasons[] = {
	{ 100, "Continue" },
	{ 101, "Switching Protocols" },
	{ 200, "OK" },
	{ 201, "Created" },
	{ 202, "Accepted" },
	{ 204, "No Content" },
	{ 206, "Partial Content" },
	{ 301, "Moved Permanently" },
	{ 302, "Found" },
	{ 303, "See Other" },
	{ 304, "Not Modified" },
	{ 307, "Temporary Redirect" },
	{ 308, "Permanent Redirect" },
	{ 400, "Bad Request" },
	{ 401, "Unauthorized" },
	{ 403, "Forbidden" },
	{ 404, "Not Found" },
	{ 405, "Method Not Allowed" },
	{ 406, "Not Acceptable" },
	{ 408, "Request Timeout" },
	{ 409, "Conflict" },
	{ 410, "Gone" },
	{ 411, "Length Required" },
	{ 412, "Precondition Failed" },
	{ 413, "Content Too Large" },
	{ 414, "URI Too Long" },
	{ 415, "Unsupported Media Type" },
	{ 416, "Range Not Satisfiable" },
	{ 417, "Expectation Failed" },
	{ 421, "Misdirected Request" },
	{ 422, "Unprocessable Content" },
	{ 426, "Upgrade Required" },
	{ 429, "Too Many Requests" },
	{ 431, "Request Header Fields Too Large" },
	{ 500, "Internal Server Error" },
	{ 501, "Not Implemented" },
	{ 502, "Bad Gateway" },
	{ 503, "Service Unavailable" },
	{ 504, "Gateway Timeout" },
	{ 505, "HTTP Version Not Supported" },
	{ 507, "Insufficient Storage" },
};

const char *
http1_reason(unsigned status)
{
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "Unknown";
}

static bool
fail(struct buf *b)
{
	b->failed = true;
	return false;
}

/* What cannot end a header early or begin another: no control bytes but the tab. */
static bool
is_value(struct str s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

/* What cannot end the request line's target early. */
static bool
is_target(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.p[i] <= 0x20 || (unsigned char)s.p[i] >= 0x7f)
			return false;
	return s.len > 0;
}

bool
http1_print_request(struct buf *b, const char *method, struct str target)
{
	if (!http1_is_token(str_of(method)) || !is_target(target))
		return fail(b);
	return buf_adds(b, method) && buf_addc(b, ' ') && buf_addstr(b, target) && buf_adds(b, " HTTP/1.1\r\n");
}

bool
http1_print_status(struct buf *b, unsigned status)
{
	return buf_addf(b, "HTTP/1.1 %u %s\r\n", status, http1_reason(status));
}

bool
http1_print_header(struct buf *b, const char *name, struct str value)
{
	if (!http1_is_token(str_of(name)) || !is_value(value))
		return fail(b);
	return buf_adds(b, name) && buf_adds(b, ": ") && buf_addstr(b, value) && buf_adds(b, "\r\n");
}

bool
http1_print_header_int(struct buf *b, const char *name, uint64_t value)
{
	char text[24], *p = text + sizeof(text);

	do
		*--p = (char)('0' + value % 10);
	while ((value /= 10) > 0);
	return http1_print_header(b, name, (struct str){ p, (size_t)(text + sizeof(text) - p) });
}

bool
http1_print_date(struct buf *b, const char *name, time_t when)
{
	char text[HTTP1_DATE_SIZE];

	http1_date(when, text);
	return http1_print_header(b, name, str_of(text));
}

bool
http1_print_end(struct buf *b)
{
	return buf_adds(b, "\r\n");
}

/* Not strftime, whose names of days and months follow the locale. */
void
http1_date(time_t when, char ret[HTTP1_DATE_SIZE])
{
	static const char days[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
	static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov",
		"Dec" };
	char text[96];
	struct tm tm;

	gmtime_r(&when, &tm);
	snprintf(text, sizeof(text), "%s, %02d %s %04d %02d:%02d:%02d GMT", days[tm.tm_wday], tm.tm_mday,
	    months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
	memcpy(ret, text, HTTP1_DATE_SIZE - 1);
	ret[HTTP1_DATE_SIZE - 1] = '\0';
}
