/* Davit's own form, for scripts and forges that it does not know; doc/webhooks.md shows it:
 * {"ref":"refs/heads/main","commit":"...","before":"...","message":"...","author":{"name":"...","email":"..."},
 *  "sender":"...","url":"https://...","event":"push"}, for "pull_request" with number, target, title, fork, fetch_url,
 * and "action":"closed" when it was closed.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proto/hook_forge.h"

static void
set_texts(struct change *change, const struct json_value *root)
{
	hook_set_title(change, json_string(json_get(root, "title"), NULL));
	hook_set_message(change, json_string(json_get(root, "message"), NULL));
	hook_set_author(change, json_string(json_path(root, "author.name"), NULL),
	    json_string(json_path(root, "author.email"), NULL));
	hook_set_sender(change, json_string(json_get(root, "sender"), NULL));
	hook_set_web_url(change, json_string(json_get(root, "url"), NULL));
}

static bool
decode_pull(const struct json_value *root, struct hook_result *ret, struct err *err)
{
	int64_t number = json_int(json_get(root, "number"), 0);
	const char *ref;
	char usual[64];

	snprintf(usual, sizeof(usual), "refs/pull/%" PRId64 "/head", number);
	ref = json_string(json_get(root, "ref"), usual);
	if (strcmp(json_string(json_get(root, "action"), ""), "closed") == 0)
		return hook_set_closed(ret, ref, err);
	if (!hook_set_pull(ret, ref, number, json_string(json_get(root, "target"), ""),
		json_string(json_get(root, "commit"), ""), err))
		return false;
	/* who does not say that it is the repository's own branch gets no secrets */
	if (!json_bool(json_get(root, "fork"), true))
		ret->change.trust = CHANGE_TRUSTED;
	hook_set_fetch_url(&ret->change, json_string(json_get(root, "fetch_url"), NULL));
	set_texts(&ret->change, root);
	return true;
}

static bool
decode_push(const struct json_value *root, struct hook_result *ret, struct err *err)
{
	if (!hook_set_push(ret, json_string(json_get(root, "ref"), ""), json_string(json_get(root, "commit"), ""),
		json_string(json_get(root, "before"), NULL), err))
		return false;
	if (ret->outcome == HOOK_CHANGE)
		set_texts(&ret->change, root);
	return true;
}

bool
hook_decode_generic(struct str event, const struct json_value *root, struct hook_result *ret, struct err *err)
{
	const char *kind = json_string(json_get(root, "event"), "push");

	(void)event;
	if (strcmp(kind, "push") == 0 || strcmp(kind, "tag") == 0)
		return decode_push(root, ret, err);
	if (strcmp(kind, "pull_request") == 0)
		return decode_pull(root, ret, err);
	if (strcmp(kind, "ping") != 0)
		return err_set(
		    err, ERR_INPUT, 0, "event is \"%.40s\": it may be push, tag, pull_request or ping", kind);
	ret->outcome = HOOK_PING;
	return true;
}
