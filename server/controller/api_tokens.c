/* /api/v1/tokens: who may do what; /api/v1/me: who asks. */
#include <stdlib.h>
#include <string.h>

#include "proto/crypto.h"
#include "proto/mem.h"
#include "server/controller/api_json.h"
#include "server/controller/controller_private.h"

#define TOKEN_BYTES 32
#define TOKEN_PREFIX "davit_" /* so that it is known for what it is where it should not stand */

static void
audit(const struct api_call *call, const char *what)
{
	api_audit(reply_request(call->reply), "token %s: %s", api_call_param(call, "token"), what);
}

/* --- looking --- */

static void
on_list(void *arg, struct access_token_list tokens, const struct err *err)
{
	struct api_call *call = arg;
	struct json_writer *w;

	if (!api_call_failed(&call, err)) {
		w = api_list_open("tokens");
		for (size_t i = 0; i < tokens.count; i++) {
			json_write_object_open(w);
			json_member_string(w, "name", tokens.items[i].name);
			json_member_string(w, "role", tokens.items[i].role);
			json_member_string(w, "created_by", tokens.items[i].created_by);
			json_member_int(w, "created_ms", tokens.items[i].created_ms);
			json_write_object_close(w);
		}
		api_list_answer(&call, &w);
	}
	access_token_list_fini(&tokens);
}

void
api_token_list(void *arg, struct http_reply *reply)
{
	struct api_call *call = api_call_new(arg, reply);

	call->op = store_access_tokens(call->store, on_list, call);
}

void
api_me(void *arg, struct http_reply *reply)
{
	const struct http_request *request = reply_request(reply);
	struct json_writer *w = json_writer_new(API_JSON_MAX);

	(void)arg;
	json_write_object_open(w);
	json_member_string(w, "name", request->who);
	json_member_string(w, "role", role_name(request->role));
	json_write_object_close(w);
	reply_json(&reply, 200, &w);
}

/* --- making: {"role": "read"} --- */

static void
on_put(void *arg, const struct err *err)
{
	struct api_call *call = arg;
	struct json_writer *w;

	if (api_call_failed(&call, err))
		return;
	audit(call, "made");
	w = json_writer_new(API_JSON_MAX);
	json_write_object_open(w);
	json_member_string(w, "name", api_call_param(call, "token"));
	json_member_string(w, "token", call->token);
	json_write_object_close(w);
	reply_header(call->reply, "Cache-Control", "no-store");
	api_call_json(&call, 201, &w);
}

static bool
read_role(const struct json_value *body, enum role *ret, struct err *err)
{
	static const char *const members[] = { "role", NULL };

	return api_check_members(body, members, "a token", err) &&
	       (role_from_name(json_string(json_get(body, "role"), ""), ret) ||
		   err_set(err, ERR_INPUT, 0, "role: one of notify, read, develop, deploy and admin is wanted"));
}

static void
put(struct api_call *call, enum role role)
{
	char digits[2 * TOKEN_BYTES + 1], sha256[SHA256_HEX_SIZE];
	const struct access_token token = { .name = (char *)api_call_param(call, "token"),
		.role = (char *)role_name(role),
		.sha256 = sha256,
		.created_by = reply_request(call->reply)->who };

	random_hex(digits, TOKEN_BYTES);
	call->token = xasprintf(TOKEN_PREFIX "%s", digits);
	sha256_hex(str_of(call->token), sha256);
	call->op = store_access_token_put(call->store, &token, on_put, call);
}

void
api_token_put(void *arg, struct http_reply *reply)
{
	struct api_call *call = api_call_new(arg, reply);
	enum role role;
	struct err err;

	if (!api_call_parse(&call))
		return;
	if (read_role(json_root(call->body), &role, &err))
		put(call, role);
	else
		api_call_failed(&call, &err);
}

/* --- removing --- */

static void
on_deleted(void *arg, const struct err *err)
{
	if (err == NULL)
		audit(arg, "removed");
	api_call_done(arg, err);
}

void
api_token_delete(void *arg, struct http_reply *reply)
{
	struct api_call *call = api_call_new(arg, reply);

	call->op = store_access_token_delete(call->store, api_call_param(call, "token"), on_deleted, call);
}
