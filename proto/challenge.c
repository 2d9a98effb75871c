#include "proto/challenge.h"

#include <string.h>
#include <strings.h>

#include "proto/json.h"
#include "proto/mem.h"

#define URL_ROOM 8192
#define LIFE_S 60 /* of a token that does not say */
#define TOKEN_MAX (16 * 1024)

/* Cuts name=value or name="value" off the front, with the comma and blanks around. False at the end, or when something
 * else stands there. Values with escapes are refused: no registry has them. */
static bool
cut_parameter(struct str *rest, struct str *name, struct str *value)
{
	struct str text = str_trim(*rest);

	*name = str_trim(str_cut(&text, '='));
	text = str_trim(text);
	if (!http1_is_token(*name))
		return false;
	if (text.len > 0 && text.p[0] == '"') {
		text = (struct str){ text.p + 1, text.len - 1 };
		*value = str_cut(&text, '"');
		str_cut(&text, ',');
	} else {
		*value = str_trim(str_cut(&text, ','));
	}
	*rest = text;
	return memchr(value->p, '\\', value->len) == NULL;
}

static bool
read_parameters(struct str text, struct challenge *ret)
{
	struct str name, value;

	*ret = (struct challenge){ 0 };
	while (text.len > 0 && cut_parameter(&text, &name, &value)) {
		if (str_is_nocase(name, "realm"))
			ret->realm = value;
		else if (str_is_nocase(name, "service"))
			ret->service = value;
		else if (str_is_nocase(name, "scope"))
			ret->scope = value;
	}
	return ret->realm.len > 0;
}

bool
challenge_is_basic(const struct http1_head *reply)
{
	for (size_t i = 0; i < reply->header_count; i++) {
		struct str rest = reply->headers[i].value;

		if (str_is_nocase(reply->headers[i].name, "WWW-Authenticate") &&
		    str_is_nocase(str_cut(&rest, ' '), "Basic"))
			return true;
	}
	return false;
}

static bool
is_address(struct str host)
{
	return memchr(host.p, ':', host.len) != NULL ||
	       (host.len > 0 && host.p[host.len - 1] >= '0' && host.p[host.len - 1] <= '9');
}

static bool
is_at_end(struct str text, struct str end)
{
	return text.len >= end.len && strncasecmp(text.p + text.len - end.len, end.p, end.len) == 0;
}

bool
realm_is_of(struct str host, struct str registry)
{
	struct str domain = registry;

	if (host.len == registry.len && is_at_end(host, registry))
		return true;
	str_cut(&domain, '.');
	if (is_address(host) || is_address(registry) || domain.len == 0 || memchr(domain.p, '.', domain.len) == NULL)
		return false;
	return is_at_end(host, domain) && (host.len == domain.len || host.p[host.len - domain.len - 1] == '.');
}

bool
challenge_read(const struct http1_head *reply, struct challenge *ret)
{
	static const char scheme[] = "Bearer";

	for (size_t i = 0; i < reply->header_count; i++) {
		struct str rest = reply->headers[i].value;

		if (str_is_nocase(reply->headers[i].name, "WWW-Authenticate") &&
		    str_is_nocase(str_cut(&rest, ' '), scheme) && read_parameters(rest, ret))
			return true;
	}
	return false;
}

static void
add_parameter(struct buf *b, const char *name, struct str value, char *sep)
{
	if (value.len == 0)
		return;
	buf_addc(b, *sep);
	*sep = '&';
	buf_adds(b, name);
	buf_addc(b, '=');
	url_encode(b, value, "");
}

bool
challenge_print_url(struct buf *b, const struct challenge *challenge)
{
	char sep = memchr(challenge->realm.p, '?', challenge->realm.len) != NULL ? '&' : '?';

	buf_addstr(b, challenge->realm);
	add_parameter(b, "service", challenge->service, &sep);
	add_parameter(b, "scope", challenge->scope, &sep);
	return !buf_failed(b);
}

bool
challenge_parse_realm(const struct challenge *challenge, struct url *ret, struct err *err)
{
	struct buf text;
	bool ok;

	buf_init(&text, URL_ROOM);
	ok = challenge_print_url(&text, challenge) && url_parse(buf_str(&text), URL_NO_USERINFO, ret, err);
	buf_fini(&text);
	if (ok && ret->scheme != URL_HTTPS && ret->scheme != URL_HTTP) {
		url_fini(ret);
		ok = false;
	}
	return ok || err_set(err, ERR_PROTO, 0, "the registry names no URL where it gives tokens");
}

char *
challenge_token(struct str body, int64_t *life_s, struct err *err)
{
	const struct json_value *root;
	struct json *doc;
	const char *text;
	char *token = NULL;

	if (!json_parse(body, NULL, &doc, err))
		return NULL;
	root = json_root(doc);
	text = json_string(json_get(root, "token"), json_string(json_get(root, "access_token"), ""));
	*life_s = json_int(json_get(root, "expires_in"), LIFE_S);
	if (text[0] != '\0' && strlen(text) <= TOKEN_MAX)
		token = xasprintf("Bearer %s", text);
	else
		err_set(err, ERR_PROTO, 0, "the registry's token cannot be read");
	json_free(&doc);
	return token;
}
