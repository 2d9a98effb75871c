/* /api/v1/secrets: what jobs may ask for. Values go in and never come out. Who did what stands in the log. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"
#include "server/controller/api_json.h"
#include "server/controller/controller_private.h"

#define RULES_MAX 1024

/* Whose it is: /api/v1/secrets/repo/app/NAME, /api/v1/secrets/environment/app/live/NAME. What is too long for ret is
 * no owner's name either. */
static void
route_owner(const struct http_request *request, char ret[SECRET_OWNER_MAX + 2])
{
	bool is_environment = request->param_count > 3; /* its route has one more */

	snprintf(ret, SECRET_OWNER_MAX + 2, "%s%s%s", request_param(request, "owner"), is_environment ? "/" : "",
	    is_environment ? request_param(request, "environment") : "");
}

/* The secret that the route names; answers and returns false when the scope is none. */
static bool
route_place(struct http_reply **reply, enum secret_scope *scope, char owner[SECRET_OWNER_MAX + 2], const char **name)
{
	const struct http_request *request = reply_request(*reply);
	const char *word = request_param(request, "scope");

	route_owner(request, owner);
	*name = request_param(request, "name");
	if (secret_scope_from_name(word, scope))
		return true;
	reply_error(
	    reply, 404, "not_found", "secrets are below repo, org or environment, and none is below %.64s", word);
	return false;
}

static void
write_secret(struct json_writer *w, const struct secret *secret)
{
	json_write_object_open(w);
	json_member_string(w, "scope", secret->scope);
	json_member_string(w, "owner", secret->owner);
	json_member_string(w, "name", secret->name);
	json_member_list(w, "events", secret->events);
	json_member_list(w, "branches", secret->branches);
	json_member_int(w, "created_ms", secret->created_ms);
	json_member_int(w, "changed_ms", secret->changed_ms);
	json_write_object_close(w);
}

/* --- list --- */

static void
on_list(void *arg, struct secret_list secrets, const struct err *err)
{
	struct api_call *call = arg;
	struct json_writer *w;

	if (!api_call_failed(&call, err)) {
		w = api_list_open("secrets");
		for (size_t i = 0; i < secrets.count; i++)
			write_secret(w, &secrets.items[i]);
		api_list_answer(&call, &w);
	}
	secret_list_fini(&secrets);
}

/* Of all, or with ?repo=, ?org= or ?environment= of one owner. */
void
api_secret_list(void *arg, struct http_reply *reply)
{
	struct api_call *call = api_call_new(arg, reply);
	size_t scope = 0;
	struct buf owner;

	buf_init(&owner, 2 * SECRET_OWNER_MAX);
	while (scope < SECRET_SCOPES &&
	       !request_query(reply_request(reply), secret_scope_name((enum secret_scope)scope), &owner))
		scope++;
	call->op = store_secret_list(call->store, (enum secret_scope)(scope % SECRET_SCOPES),
	    scope < SECRET_SCOPES ? owner.data : NULL, on_list, call);
	buf_fini(&owner);
}

/* --- set --- */

/* An array of texts as a list with commas; absent, it is empty. */
static bool
take_items(const struct json_value *body, const char *key, struct buf *ret, struct err *err)
{
	const struct json_value *array = json_get(body, key);

	if (json_type(array) != JSON_ARRAY && json_type(array) != JSON_NULL)
		return err_set(err, ERR_INPUT, 0, "%s must be an array of texts", key);
	for (size_t i = 0; i < json_count(array); i++) {
		const char *item = json_string(json_at(array, i), NULL);

		if (item == NULL || strchr(item, ',') != NULL)
			return err_set(err, ERR_INPUT, 0, "%s must be an array of texts without commas", key);
		buf_addf(ret, "%s%s", i > 0 ? "," : "", item);
	}
	return !buf_failed(ret) || err_set(err, ERR_INPUT, 0, "%s has more than %d bytes", key, RULES_MAX);
}

static bool
check_body(const struct json_value *body, struct err *err)
{
	static const char *const members[] = { "value", "events", "branches", NULL };

	if (!api_check_members(body, members, "a secret", err))
		return false;
	return json_string(json_get(body, "value"), NULL) != NULL ||
	       err_set(err, ERR_INPUT, 0, "value is missing: give a text");
}

static void
audit(const struct api_call *call, const char *what)
{
	const struct http_request *request = reply_request(call->reply);
	char owner[SECRET_OWNER_MAX + 2];

	route_owner(request, owner);
	api_audit(request, "secret %s of %s %s: %s", request_param(request, "name"), request_param(request, "scope"),
	    owner, what);
}

static void
on_put(void *arg, const struct err *err)
{
	if (err == NULL)
		audit(arg, "set");
	api_call_done(arg, err);
}

static bool
put(struct api_call *call, struct secret *secret, struct err *err)
{
	const struct http_request *request = reply_request(call->reply);
	const struct json_value *body = json_root(call->body);
	struct buf events, branches;
	bool ok;

	buf_init(&events, RULES_MAX);
	buf_init(&branches, RULES_MAX);
	ok = check_body(body, err) && take_items(body, "events", &events, err) &&
	     take_items(body, "branches", &branches, err);
	if (ok) {
		secret->value = (char *)json_string(json_get(body, "value"), "");
		secret->events = events.data;
		secret->branches = branches.data;
		call->op = store_secret_put(call->store, secret, on_put, call);
		explicit_bzero(secret->value, strlen(secret->value)); /* it is sealed; nothing needs it any more */
		explicit_bzero(request->body, request->body_len);
	}
	buf_fini(&events);
	buf_fini(&branches);
	return ok;
}

void
api_secret_put(void *arg, struct http_reply *reply)
{
	struct api_call *call;
	struct secret secret = { 0 };
	enum secret_scope scope;
	char owner[SECRET_OWNER_MAX + 2];
	const char *name;
	struct err err;

	if (!route_place(&reply, &scope, owner, &name))
		return;
	call = api_call_new(arg, reply);
	secret.scope = (char *)secret_scope_name(scope);
	secret.owner = owner;
	secret.name = (char *)name;
	if (api_call_parse(&call) && !put(call, &secret, &err))
		api_call_failed(&call, &err);
}

/* --- remove --- */

static void
on_deleted(void *arg, const struct err *err)
{
	if (err == NULL)
		audit(arg, "removed");
	api_call_done(arg, err);
}

void
api_secret_delete(void *arg, struct http_reply *reply)
{
	struct api_call *call;
	enum secret_scope scope;
	char owner[SECRET_OWNER_MAX + 2];
	const char *name;

	if (!route_place(&reply, &scope, owner, &name))
		return;
	call = api_call_new(arg, reply);
	call->op = store_secret_delete(call->store, scope, owner, name, on_deleted, call);
}

/* --- the key --- */

void
api_seal_key_rotate(void *arg, struct http_reply *reply)
{
	struct controller *c = arg;
	struct err err;

	if (!c->deps.rotate_key(c->deps.rotate_arg, &err)) {
		reply_err(&reply, &err);
		return;
	}
	api_audit(reply_request(reply), "seal key: a new one was asked for");
	reply_send(&reply, 202, NULL, "", 0);
}
