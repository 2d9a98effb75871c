#include "proto/environment.h"

#include <string.h>

#include "proto/git_name.h"
#include "proto/patterns.h"
#include "proto/secret.h"
#include "proto/utf8.h"

static const char *const kinds[] = { "command", "engine", "swarm" };

static bool
is_given(const char *text)
{
	return text != NULL && text[0] != '\0';
}

bool
environment_name_is_valid(const char *name)
{
	return secret_word_is_valid(str_of(name));
}

bool
environment_command_is_valid(const char *command)
{
	if (strlen(command) > ENVIRONMENT_COMMAND_MAX || !utf8_valid(str_of(command), NULL))
		return false;
	for (; *command != '\0'; command++)
		if (((unsigned char)*command < ' ' && strchr("\t\n", *command) == NULL) || *command == 0x7f)
			return false;
	return true;
}

static bool
check_kind(const char *kind, struct err *err)
{
	for (size_t i = 0; is_given(kind) && i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kind, kinds[i]) == 0)
			return true;
	return !is_given(kind) ||
	       err_set(err, ERR_INPUT, 0, "kind: \"%.40s\" is none; there are command, engine and swarm", kind);
}

bool
environment_check(const struct environment_rules *rules, struct err *err)
{
	struct err wrong;

	if (is_given(rules->events) && !secret_events_check(rules->events, &wrong))
		return err_set(err, ERR_INPUT, 0, "events: %s", wrong.text);
	return check_kind(rules->kind, err) && patterns_check("branches", rules->branches, err) &&
	       patterns_check("tags", rules->tags, err) && patterns_check("deployers", rules->deployers, err);
}

static bool
has_event(const char *events, const char *event)
{
	struct str rest = str_of(events);

	if (!is_given(events))
		return strcmp(event, "pull_request") != 0;
	while (rest.len > 0)
		if (str_is(str_cut(&rest, ','), event))
			return true;
	return false;
}

/* What is on neither a branch nor a tag yet is a pull request's, whoever asks for it. */
static bool
allows_event(const char *events, const struct environment_request *request)
{
	bool is_pull =
	    git_ref_short(request->ref, "refs/heads/") == NULL && git_ref_short(request->ref, "refs/tags/") == NULL;

	return has_event(events, request->event) && (!is_pull || has_event(events, "pull_request"));
}

/* What is no tag is on its branch, or for it. */
static bool
allows_ref(const struct environment_rules *rules, const struct environment_request *request)
{
	bool is_tag = git_ref_short(request->ref, "refs/tags/") != NULL;
	const char *patterns = is_tag ? rules->tags : rules->branches;

	if (!is_given(rules->branches) && !is_given(rules->tags))
		return true;
	return is_given(patterns) && request->branch != NULL && patterns_hold(patterns, request->branch);
}

/* The others were asked for at the server itself. */
static bool
is_pushed(const char *event)
{
	return strcmp(event, "push") == 0 || strcmp(event, "tag") == 0 || strcmp(event, "pull_request") == 0;
}

bool
environment_allows(
    const struct environment_rules *rules, const char *name, const struct environment_request *request, struct err *why)
{
	const char *sender = is_given(request->sender) ? request->sender : NULL;
	struct err wrong;

	if (!check_kind(rules->kind, &wrong))
		return err_set(why, ERR_REFUSED, 0, "the environment %.60s: %s", name, wrong.text);
	if (request->is_fork)
		return err_set(why, ERR_REFUSED, 0, "the environment %.60s takes no code of forks", name);
	if (!allows_event(rules->events, request))
		return err_set(why, ERR_REFUSED, 0, "the environment %.60s does not take the event %.20s of %.80s",
		    name, request->event, request->ref);
	if (!allows_ref(rules, request))
		return err_set(why, ERR_REFUSED, 0, "the environment %.60s does not take %.80s", name, request->ref);
	if (is_given(rules->deployers) && is_pushed(request->event) && !patterns_hold(rules->deployers, sender))
		return err_set(why, ERR_REFUSED, 0, "%.60s may not deploy to the environment %.60s",
		    sender != NULL ? sender : "somebody whom the forge did not name", name);
	return true;
}
