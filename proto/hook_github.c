/* GitHub's payloads (docs.github.com/webhooks/webhook-events-and-payloads), whose shapes Gitea, Forgejo and Gogs have
 * taken over, with some differences that are named where they are dealt with. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proto/hook_forge.h"

/* Gogs writes username where the others write login (Gitea writes both). */
static const char *
login_of(const struct json_value *user)
{
	return json_string(json_get(user, "login"), json_string(json_get(user, "username"), NULL));
}

/* The pushed head among the commits, which GitHub lists oldest first and Gitea newest first. Gogs has no head_commit.
 */
static const struct json_value *
head_commit(const struct json_value *root, const char *after)
{
	const struct json_value *head = json_get(root, "head_commit"), *commits = json_get(root, "commits");

	if (json_type(head) == JSON_OBJECT)
		return head;
	for (size_t i = 0; i < json_count(commits); i++) {
		const struct json_value *commit = json_at(commits, i);

		if (strcmp(json_string(json_get(commit, "id"), ""), after) == 0)
			return commit;
	}
	return NULL;
}

static bool
decode_push(const struct json_value *root, struct hook_result *ret, struct err *err)
{
	const char *ref = json_string(json_get(root, "ref"), "");
	const char *after = json_string(json_get(root, "after"), "");
	const struct json_value *head = head_commit(root, after);
	const char *commit = after;

	/* after an annotated tag stands the tag's own object; the commit it is for is the head commit */
	if (str_has_prefix(str_of(ref), "refs/tags/"))
		commit = json_string(json_get(head, "id"), after);
	if (!hook_set_push(ret, ref, commit, json_string(json_get(root, "before"), NULL), err))
		return false;
	if (ret->outcome != HOOK_CHANGE)
		return true;
	hook_set_message(&ret->change, json_string(json_get(head, "message"), NULL));
	hook_set_author(&ret->change, json_string(json_path(head, "author.name"), NULL),
	    json_string(json_path(head, "author.email"), NULL));
	hook_set_sender(&ret->change, login_of(json_get(root, "sender")));
	hook_set_web_url(&ret->change, json_string(json_get(head, "url"), NULL));
	return true;
}

/* Whether head and base are branches of one repository. A fork that was deleted meanwhile is null. */
static bool
is_own_branch(const struct json_value *pull)
{
	int64_t head = json_int(json_path(pull, "head.repo.id"), -1);

	return head >= 0 && head == json_int(json_path(pull, "base.repo.id"), -2);
}

static bool
decode_pull(const struct json_value *root, struct hook_result *ret, struct err *err)
{
	const struct json_value *pull = json_get(root, "pull_request");
	const char *action = json_string(json_get(root, "action"), "");
	int64_t number = json_int(json_get(root, "number"), 0);
	char ref[64];

	snprintf(ref, sizeof(ref), "refs/pull/%" PRId64 "/head", number);
	if (strcmp(action, "closed") == 0)
		return hook_set_closed(ret, ref, err);
	if (strcmp(action, "opened") != 0 && strcmp(action, "synchronize") != 0 &&
	    strcmp(action, "synchronized") != 0 && strcmp(action, "reopened") != 0)
		return hook_ignore(ret, "the pull request was %.40s: there is no new commit", action);
	if (json_type(json_path(pull, "head.sha")) != JSON_STRING)
		return hook_ignore(ret, "this forge does not say which commit the pull request is at");
	if (!hook_set_pull(ret, ref, number, json_string(json_path(pull, "base.ref"), ""),
		json_string(json_path(pull, "head.sha"), ""), err))
		return false;
	if (is_own_branch(pull))
		ret->change.trust = CHANGE_TRUSTED;
	else
		hook_set_fetch_url(&ret->change, json_string(json_path(pull, "head.repo.clone_url"), NULL));
	hook_set_title(&ret->change, json_string(json_get(pull, "title"), NULL));
	hook_set_author(&ret->change, login_of(json_get(pull, "user")), NULL);
	hook_set_sender(&ret->change, login_of(json_get(root, "sender")));
	hook_set_web_url(&ret->change, json_string(json_get(pull, "html_url"), NULL));
	return true;
}

bool
hook_decode_github(struct str event, const struct json_value *root, struct hook_result *ret, struct err *err)
{
	if (str_is(event, "push"))
		return decode_push(root, ret, err);
	if (str_is(event, "pull_request"))
		return decode_pull(root, ret, err);
	if (!str_is(event, "ping"))
		return hook_ignore(
		    ret, "nothing is built for the event %.*s", event.len < 40 ? (int)event.len : 40, event.p);
	ret->outcome = HOOK_PING;
	return true;
}
