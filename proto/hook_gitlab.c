/* GitLab's payloads (docs.gitlab.com/user/project/integrations/webhook_events). Its events say in the payload what they
 * are, which is more to be trusted than the header: a signature covers it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proto/hook_forge.h"

static void
set_commit_texts(struct change *change, const struct json_value *commit)
{
	hook_set_message(change, json_string(json_get(commit, "message"), NULL));
	hook_set_author(change, json_string(json_path(commit, "author.name"), NULL),
	    json_string(json_path(commit, "author.email"), NULL));
}

static const struct json_value *
find_commit(const struct json_value *commits, const char *id)
{
	for (size_t i = 0; i < json_count(commits); i++) {
		if (strcmp(json_string(json_path(json_at(commits, i), "id"), ""), id) == 0)
			return json_at(commits, i);
	}
	return NULL;
}

static bool
decode_push(const struct json_value *root, struct hook_result *ret, struct err *err)
{
	const char *ref = json_string(json_get(root, "ref"), "");
	const char *after = json_string(json_get(root, "after"), "");
	/* after an annotated tag stands the tag's own object; null when the ref was deleted */
	const char *commit = json_string(json_get(root, "checkout_sha"), after);
	const struct json_value *head = find_commit(json_get(root, "commits"), commit);

	if (!hook_set_push(ret, ref, commit, json_string(json_get(root, "before"), NULL), err))
		return false;
	if (ret->outcome != HOOK_CHANGE)
		return true;
	set_commit_texts(&ret->change, head);
	hook_set_sender(&ret->change, json_string(json_get(root, "user_username"), NULL));
	hook_set_web_url(&ret->change, json_string(json_get(head, "url"), NULL));
	return true;
}

/* "update" stands for a new title or label too; only new commits bring oldrev. */
static bool
has_new_commit(const struct json_value *merge)
{
	const char *action = json_string(json_get(merge, "action"), "");

	if (strcmp(action, "update") == 0)
		return json_type(json_get(merge, "oldrev")) == JSON_STRING;
	return strcmp(action, "open") == 0 || strcmp(action, "reopen") == 0;
}

static bool
was_closed(const struct json_value *merge)
{
	const char *action = json_string(json_get(merge, "action"), "");

	return strcmp(action, "close") == 0 || strcmp(action, "merge") == 0;
}

static bool
is_own_branch(const struct json_value *merge)
{
	int64_t source = json_int(json_get(merge, "source_project_id"), -1);

	return source >= 0 && source == json_int(json_get(merge, "target_project_id"), -2);
}

static bool
decode_merge_request(const struct json_value *root, struct hook_result *ret, struct err *err)
{
	const struct json_value *merge = json_get(root, "object_attributes"), *commit = json_get(merge, "last_commit");
	int64_t number = json_int(json_get(merge, "iid"), 0);
	char ref[64];

	snprintf(ref, sizeof(ref), "refs/merge-requests/%" PRId64 "/head", number);
	if (was_closed(merge))
		return hook_set_closed(ret, ref, err);
	if (!has_new_commit(merge))
		return hook_ignore(ret, "the merge request has no new commit");
	if (!hook_set_pull(ret, ref, number, json_string(json_get(merge, "target_branch"), ""),
		json_string(json_get(commit, "id"), ""), err))
		return false;
	if (is_own_branch(merge))
		ret->change.trust = CHANGE_TRUSTED;
	else
		hook_set_fetch_url(&ret->change, json_string(json_path(merge, "source.git_http_url"), NULL));
	hook_set_title(&ret->change, json_string(json_get(merge, "title"), NULL));
	set_commit_texts(&ret->change, commit);
	hook_set_sender(&ret->change, json_string(json_path(root, "user.username"), NULL));
	hook_set_web_url(&ret->change, json_string(json_get(merge, "url"), NULL));
	return true;
}

bool
hook_decode_gitlab(struct str event, const struct json_value *root, struct hook_result *ret, struct err *err)
{
	const char *kind = json_string(json_get(root, "object_kind"), "");

	if (strcmp(kind, "push") == 0 || strcmp(kind, "tag_push") == 0)
		return decode_push(root, ret, err);
	if (strcmp(kind, "merge_request") == 0)
		return decode_merge_request(root, ret, err);
	return hook_ignore(ret, "nothing is built for the event %.*s", event.len < 40 ? (int)event.len : 40, event.p);
}
