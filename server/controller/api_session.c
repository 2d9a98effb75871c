/* POST /login {"token": "..."} gives a browser its session cookie; POST /logout takes it away. */
#include "server/controller/auth.h"
#include "server/controller/controller_private.h"
#include "server/core/log.h"
#include "server/core/loop.h"

static void
answer(struct api_call *call, const struct auth_who *who)
{
	struct buf cookie;

	buf_init(&cookie, 512);
	auth_print_cookie(
	    call->controller->auth, who->name, &cookie, reply_request(call->reply)->is_https, loop_wall_ms());
	reply_header(call->reply, "Set-Cookie", cookie.data);
	buf_fini(&cookie);
	reply_header(call->reply, "Cache-Control", "no-store");
	reply_send(&call->reply, 204, NULL, "", 0);
}

static void
try_token(struct api_call *call, struct str token)
{
	struct auth *auth = call->controller->auth;
	const char *peer = reply_request(call->reply)->peer;
	struct auth_who who;

	if (!auth_may_try(auth, peer, loop_wall_ms())) {
		reply_error(&call->reply, 429, "limit", "too many wrong tokens from this address; wait ten minutes");
		return;
	}
	switch (auth_try(auth, peer, token, loop_wall_ms(), &who)) {
	case AUTH_OK:
		answer(call, &who);
		break;
	case AUTH_NOT_YET:
		reply_error(&call->reply, 503, "unavailable", "who may log in is not known yet; try again");
		break;
	case AUTH_MISSING:
	case AUTH_FOREIGN:
		log_warn("login from %s: wrong token", peer);
		reply_error(&call->reply, 401, "auth", "nobody has this token");
		break;
	}
}

void
api_login(void *arg, struct http_reply *reply)
{
	struct api_call *call = api_call_new(arg, reply);

	if (!api_call_parse(&call))
		return;
	try_token(call, str_of(json_string(json_get(json_root(call->body), "token"), "")));
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
