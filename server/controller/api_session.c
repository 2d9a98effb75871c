/* POST /login {"token": "..."} gives a browser its session cookie; POST /logout takes it away. */
#include "server/controller/auth.h"
#include "server/controller/controller_private.h"
#include "server/core/log.h"
#include "server/core/loop.h"

void
api_login(void *arg, struct http_reply *reply)
{
	struct api_call *call = api_call_new(arg, reply);
	struct auth *auth = call->controller->auth;
	const struct http_request *request = reply_request(reply);
	int64_t now = loop_wall_ms();
	struct buf cookie;

	if (!api_call_parse(&call))
		return;
	if (!auth_may_try(auth, request->peer, now)) {
		reply_error(&call->reply, 429, "limit", "too many wrong tokens from this address; wait ten minutes");
	} else if (!auth_try(
		       auth, request->peer, str_of(json_string(json_get(json_root(call->body), "token"), "")), now)) {
		log_warn("login from %s: wrong token", request->peer);
		reply_error(&call->reply, 401, "auth", "this is not the administrator's token");
	} else {
		buf_init(&cookie, 512);
		auth_print_cookie(auth, &cookie, request->is_https, now);
		reply_header(call->reply, "Set-Cookie", cookie.data);
		buf_fini(&cookie);
		reply_header(call->reply, "Cache-Control", "no-store");
		reply_send(&call->reply, 204, NULL, "", 0);
	}
	api_call_end(&call);
}

void
api_logout(void *arg, struct http_reply *reply)
{
	struct buf cookie;

	(void)arg;
	buf_init(&cookie, 256);
	auth_print_no_cookie(&cookie);
	reply_header(reply, "Set-Cookie", cookie.data);
	buf_fini(&cookie);
	reply_send(&reply, 204, NULL, "", 0);
}
