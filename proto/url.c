#include "proto/url.h"

#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"

static const struct {
	const char *name;
	unsigned port;
} schemes[] = {
	[URL_HTTP] = { "http", 80 },
	[URL_HTTPS] = { "https", 443 },
	[URL_UNIX] = { "unix", 0 },
	[URL_TCP] = { "tcp", 0 },
	[URL_SMTP] = { "smtp", 25 },
	[URL_SMTPS] = { "smtps", 465 },
};

#define SCHEMES (sizeof(schemes) / sizeof(schemes[0]))

const char *
url_scheme_name(enum url_scheme scheme)
{
	return schemes[scheme].name;
}

void
url_fini(struct url *url)
{
	free(url->host);
	free(url->path);
	free(url->user);
	if (url->password != NULL)
		explicit_bzero(url->password, strlen(url->password));
	free(url->password);
	*url = (struct url){ 0 };
}

static bool
is_all(struct str s, bool (*is)(unsigned char))
{
	for (size_t i = 0; i < s.len; i++)
		if (!is((unsigned char)s.p[i]))
			return false;
	return s.len > 0;
}

static bool
is_alnum(unsigned char c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

static bool
is_name_char(unsigned char c)
{
	return is_alnum(c) || c == '-' || c == '.' || c == '_';
}

static int
hex_digit(unsigned char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool
is_v6_char(unsigned char c)
{
	return hex_digit(c) >= 0 || c == ':' || c == '.';
}

static bool
is_visible(unsigned char c)
{
	return c > 0x20 && c < 0x7f;
}

/* "[v6]" or a name off the front of *text. */
static bool
cut_host(struct str *text, struct str *host)
{
	struct str rest = *text;

	if (rest.len > 0 && rest.p[0] == '[') {
		if (memchr(rest.p, ']', rest.len) == NULL)
			return false;
		rest.p++;
		rest.len--;
		*host = str_cut(&rest, ']');
		*text = rest;
		return is_all(*host, is_v6_char) && memchr(host->p, ':', host->len) != NULL;
	}
	host->p = rest.p;
	host->len = 0;
	while (host->len < rest.len && rest.p[host->len] != ':')
		host->len++;
	*text = (struct str){ rest.p + host->len, rest.len - host->len };
	return is_all(*host, is_name_char);
}

bool
url_split_host(struct str text, struct str *host, unsigned *port)
{
	uint64_t n = 0;

	if (!cut_host(&text, host))
		return false;
	if (text.len > 0) {
		if (text.p[0] != ':' || text.len > 6)
			return false;
		if (!str_to_u64((struct str){ text.p + 1, text.len - 1 }, 65535, &n) || n == 0)
			return false;
	}
	*port = (unsigned)n;
	return true;
}

static bool
parse_scheme(struct str *text, enum url_scheme *ret)
{
	struct str rest = *text;
	struct str name = str_cut(&rest, ':');

	if (!str_has_prefix(rest, "//"))
		return false;
	for (size_t i = 0; i < SCHEMES; i++)
		if (str_is_nocase(name, schemes[i].name)) {
			*ret = (enum url_scheme)i;
			*text = (struct str){ rest.p + 2, rest.len - 2 };
			return true;
		}
	return false;
}

static bool
has_control(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
			return true;
	return false;
}

/* Decoded, without control bytes; NULL when malformed. */
static char *
decode_userinfo(struct str s)
{
	struct buf b;
	char *text = NULL;

	buf_init(&b, URL_MAX);
	if (url_decode(&b, s) && !has_control(buf_str(&b)))
		text = buf_take(&b, NULL);
	buf_fini(&b);
	return text;
}

static bool
parse_userinfo(struct str *authority, enum url_userinfo wanted, struct url *ret, struct err *err)
{
	const char *at = authority->len > 0 ? memchr(authority->p, '@', authority->len) : NULL;
	struct str info, user;
	bool has_password;

	if (at == NULL)
		return true;
	if (wanted == URL_NO_USERINFO)
		return err_set(err, ERR_INPUT, 0, "the URL must not hold a user name or password");
	info = str_cut(authority, '@');
	has_password = memchr(info.p, ':', info.len) != NULL;
	user = str_cut(&info, ':');
	ret->user = decode_userinfo(user);
	if (has_password)
		ret->password = decode_userinfo(info);
	if (ret->user == NULL || (has_password && ret->password == NULL))
		return err_set(err, ERR_INPUT, 0, "the URL's user name or password is malformed");
	return true;
}

static bool
parse_authority(struct str authority, enum url_userinfo wanted, struct url *ret, struct err *err)
{
	struct str host;

	if (!parse_userinfo(&authority, wanted, ret, err))
		return false;
	if (!url_split_host(authority, &host, &ret->port))
		return err_set(err, ERR_INPUT, 0, "the URL's host or port is malformed");
	if (ret->port == 0)
		ret->port = schemes[ret->scheme].port;
	if (ret->port == 0)
		return err_set(err, ERR_INPUT, 0, "a %s:// URL needs a port", schemes[ret->scheme].name);
	ret->host = str_dup(host);
	for (char *p = ret->host; *p != '\0'; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p |= 0x20;
	return true;
}

static bool
parse_rest(struct str text, enum url_userinfo wanted, struct url *ret, struct err *err)
{
	size_t len = 0;

	if (ret->scheme == URL_UNIX) {
		if (text.len < 2 || text.p[0] != '/')
			return err_set(err, ERR_INPUT, 0, "a unix:// URL needs an absolute path: unix:///run/x.sock");
		ret->path = str_dup(text);
		return true;
	}
	while (len < text.len && text.p[len] != '/' && text.p[len] != '?')
		len++;
	if (len < text.len && text.p[len] == '?')
		return err_set(err, ERR_INPUT, 0, "the URL has a query without a path");
	ret->path = str_dup((struct str){ text.p + len, text.len - len });
	return parse_authority((struct str){ text.p, len }, wanted, ret, err);
}

bool
url_parse(struct str text, enum url_userinfo userinfo, struct url *ret, struct err *err)
{
	struct url url = { 0 };

	if (text.len > URL_MAX)
		return err_set(err, ERR_LIMIT, 0, "the URL is longer than %d bytes", URL_MAX);
	if (!is_all(text, is_visible))
		return err_set(err, ERR_INPUT, 0, "the URL is empty or has blanks, control bytes or raw non-ASCII");
	if (memchr(text.p, '#', text.len) != NULL)
		return err_set(err, ERR_INPUT, 0, "the URL has a fragment (#)");
	if (!parse_scheme(&text, &url.scheme))
		return err_set(
		    err, ERR_INPUT, 0, "the URL does not begin with a scheme known here (http://, https://, ...)");
	if (!parse_rest(text, userinfo, &url, err)) {
		url_fini(&url);
		return false;
	}
	*ret = url;
	return true;
}

bool
url_print_host(struct buf *b, const struct url *url)
{
	bool is_v6;

	if (url->host == NULL)
		return buf_adds(b, "localhost");
	is_v6 = strchr(url->host, ':') != NULL;
	if (!buf_addf(b, "%s%s%s", is_v6 ? "[" : "", url->host, is_v6 ? "]" : ""))
		return false;
	return url->port == schemes[url->scheme].port || buf_addf(b, ":%u", url->port);
}

/* The byte of the %XX at s.p[at]; -1 when malformed. */
static int
unescape(struct str s, size_t at)
{
	int high, low;

	if (s.len - at < 3)
		return -1;
	high = hex_digit((unsigned char)s.p[at + 1]);
	low = hex_digit((unsigned char)s.p[at + 2]);
	return high < 0 || low < 0 ? -1 : high << 4 | low;
}

bool
url_decode(struct buf *b, struct str s)
{
	for (size_t i = 0; i < s.len; i++) {
		int c = (unsigned char)s.p[i];

		if (c == '%') {
			c = unescape(s, i);
			if (c < 0)
				return false;
			i += 2;
		}
		if (!buf_addc(b, (char)c))
			return false;
	}
	return true;
}

bool
url_encode(struct buf *b, struct str s, const char *keep)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.p[i];
		bool plain = is_name_char(c) || c == '~' || (c != '\0' && strchr(keep, c) != NULL);

		if (!(plain ? buf_addc(b, (char)c) : buf_addf(b, "%%%02X", c)))
			return false;
	}
	return true;
}

static bool
decode_path_byte(struct str raw, size_t *at, struct buf *path, struct err *err)
{
	int c = (unsigned char)raw.p[*at];

	if (c == '%') {
		c = unescape(raw, *at);
		if (c < 0)
			return err_set(err, ERR_INPUT, 0, "the path has a malformed %%XX");
		if (c == '/')
			return err_set(err, ERR_INPUT, 0, "the path has an encoded slash");
		*at += 2;
	}
	if (c < 0x20 || c == 0x7f || c == '\\')
		return err_set(err, ERR_INPUT, 0, "the path has a control byte or backslash");
	if (!buf_addc(path, (char)c))
		return err_set(err, ERR_LIMIT, 0, "the path is too long");
	return true;
}

static bool
check_segments(struct str path, struct err *err)
{
	str_cut(&path, '/');
	while (path.len > 0) {
		struct str segment = str_cut(&path, '/');

		if (segment.len == 0)
			return err_set(err, ERR_INPUT, 0, "the path has an empty segment");
		if (str_is(segment, ".") || str_is(segment, ".."))
			return err_set(err, ERR_INPUT, 0, "the path has a dot segment");
	}
	return true;
}

bool
url_path(struct str target, struct buf *path, struct str *query, struct err *err)
{
	struct str raw;

	*query = target;
	raw = str_cut(query, '?');
	buf_reset(path);
	if (raw.len == 0 || raw.p[0] != '/')
		return err_set(err, ERR_INPUT, 0, "the path does not begin with a slash");
	for (size_t i = 0; i < raw.len; i++)
		if (!decode_path_byte(raw, &i, path, err))
			return false;
	return check_segments(buf_str(path), err);
}

bool
url_query_next(struct str *query, struct str *name, struct str *value)
{
	while (query->len > 0) {
		*value = str_cut(query, '&');
		if (value->len == 0)
			continue;
		*name = str_cut(value, '=');
		return true;
	}
	return false;
}

/* As forms encode: a plus is a blank. */
static bool
decode_form(struct buf *b, struct str s)
{
	while (s.len > 0) {
		size_t before = s.len;
		struct str piece = str_cut(&s, '+');

		if (!url_decode(b, piece))
			return false;
		if (piece.len < before && !buf_addc(b, ' '))
			return false;
	}
	return true;
}

bool
url_query_get(struct str query, const char *name, struct buf *ret)
{
	struct str raw_name, value;

	while (url_query_next(&query, &raw_name, &value)) {
		buf_reset(ret);
		if (!decode_form(ret, raw_name) || !str_is(buf_str(ret), name))
			continue;
		buf_reset(ret);
		return decode_form(ret, value) && memchr(ret->data, '\0', ret->len) == NULL;
	}
	buf_reset(ret);
	return false;
}
