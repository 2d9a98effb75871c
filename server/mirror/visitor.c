#include "server/mirror/visitor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base64.h"
#include "proto/crypto.h"
#include "proto/mem.h"

#define TOKEN_PREFIX "davit_" /* as api_tokens.c makes them */
#define LOGIN_MAX 4096
#define BASIC "Basic"         /* RFC 7617 */
#define TOKEN_SCHEME "Bearer" /* RFC 6750 */

/* The password of "user:password" in base64 (RFC 7617). */
static char *
password_of(struct str encoded)
{
	struct buf pair;
	struct str rest;
	char *password = NULL;

	buf_init(&pair, LOGIN_MAX);
	if (base64_decode(encoded, BASE64_STANDARD, &pair) && memchr(pair.data, ':', pair.len) != NULL) {
		rest = buf_str(&pair);
		str_cut(&rest, ':');
		password = str_dup(rest);
	}
	if (pair.len > 0)
		explicit_bzero(pair.data, pair.len);
	buf_fini(&pair);
	return password;
}

char *
visitor_token(struct str authorization)
{
	struct str rest = authorization, scheme = str_cut(&rest, ' ');

	rest = str_trim(rest);
	if (rest.len == 0 || rest.len > LOGIN_MAX)
		return NULL;
	if (str_is_nocase(scheme, BASIC))
		return password_of(rest);
	if (str_is_nocase(scheme, TOKEN_SCHEME))
		return str_dup(rest);
	return NULL;
}

static enum visitor
judge(const struct visitor_conf *conf, struct str token, char name[VISITOR_NAME_SIZE])
{
	bool is_early = false;
	const char *known = conf->name_of != NULL ? conf->name_of(conf->arg, token, &is_early) : NULL;

	if (known != NULL) {
		snprintf(name, VISITOR_NAME_SIZE, "%s", known);
		return VISITOR_MEMBER;
	}
	if (conf->engine_token != NULL && crypto_equal(token, str_of(conf->engine_token)))
		return VISITOR_ENGINE;
	if (!str_has_prefix(token, TOKEN_PREFIX))
		return VISITOR_UNKNOWN;
	return is_early ? VISITOR_NOT_YET : VISITOR_WRONG;
}

void
visitor_read(const struct visitor_conf *conf, const struct http1_head *request, struct visit *ret)
{
	static const char *const headers[] = { "Authorization", "Proxy-Authorization" };

	*ret = (struct visit){ .visitor = VISITOR_SILENT };
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]) && ret->visitor <= VISITOR_UNKNOWN; i++) {
		struct str value = http1_value(request, headers[i]);
		char *token = visitor_token(value);

		if (value.len > 0)
			ret->visitor = VISITOR_UNKNOWN;
		if (token == NULL)
			continue;
		ret->visitor = judge(conf, str_of(token), ret->name);
		if (ret->visitor > VISITOR_UNKNOWN)
			ret->header = headers[i];
		crypto_wipe_free(&token);
	}
}
