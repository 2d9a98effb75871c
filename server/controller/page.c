#include "server/controller/page.h"

#include <string.h>

#include "server/controller/controller_private.h"

/* Nothing from elsewhere, no inline script, no frame around it. */
#define POLICY                                                                                          \
	"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " \
	"base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

static const struct {
	const char *suffix;
	const char *type;
} types[] = {
	{ ".html", "text/html; charset=utf-8" },
	{ ".css", "text/css; charset=utf-8" },
	{ ".js", "text/javascript; charset=utf-8" },
	{ ".svg", "image/svg+xml" },
};

static const char *
type_of(const char *name)
{
	const char *suffix = strrchr(name, '.');

	for (size_t i = 0; suffix != NULL && i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(suffix, types[i].suffix) == 0)
			return types[i].type;
	return "application/octet-stream";
}

static void
send_asset(struct http_reply **reply, const struct asset *asset)
{
	struct str known = request_header(reply_request(*reply), "If-None-Match");

	reply_header(*reply, "ETag", asset->etag);
	reply_header(*reply, "Cache-Control", "no-cache"); /* ask again; mostly 304 */
	reply_header(*reply, "Content-Security-Policy", POLICY);
	reply_header(*reply, "Referrer-Policy", "no-referrer");
	if (str_is(known, asset->etag))
		reply_send(reply, 304, NULL, "", 0);
	else
		reply_send_static(reply, 200, type_of(asset->name), asset->bytes, asset->len);
}

static void
send_named(struct http_reply **reply, const char *name)
{
	for (size_t i = 0; i < asset_count; i++)
		if (strcmp(assets[i].name, name) == 0) {
			send_asset(reply, &assets[i]);
			return;
		}
	reply_error(reply, 404, "not_found", "the page has no file %s", name);
}

/* Every address of the page gives the same document; its script looks at the address. */
void
page_get(void *arg, struct http_reply *reply)
{
	(void)arg;
	send_named(&reply, "index.html");
}

void
page_asset(void *arg, struct http_reply *reply)
{
	(void)arg;
	send_named(&reply, request_param(reply_request(reply), "file"));
}
