#include "proto/trigger.h"

#include <string.h>

#include "proto/patterns.h"

static bool
is_given(const char *text)
{
	return text != NULL && text[0] != '\0';
}

static bool
is_event(const char *name)
{
	enum change_event event;

	return change_event_from_name(name, &event) && event <= CHANGE_PULL_REQUEST;
}

static bool
check_events(const char *text, struct err *err)
{
	struct strings words;
	bool ok = true;

	patterns_split(text, &words);
	for (size_t i = 0; i < words.count && ok; i++)
		if (!is_event(words.items[i]))
			ok = err_set(
			    err, ERR_INPUT, 0, "events: \"%.40s\" is none of push, tag, pull_request", words.items[i]);
	strings_fini(&words);
	return ok;
}

static bool
check_word(const char *name, const char *text, const char *const *words, const char *shown, struct err *err)
{
	if (!is_given(text))
		return true;
	for (; *words != NULL; words++)
		if (strcmp(text, *words) == 0)
			return true;
	return err_set(err, ERR_INPUT, 0, "%s: \"%.40s\" is none of %s", name, text, shown);
}

bool
trigger_check(const struct trigger *trigger, struct err *err)
{
	static const char *const pulls[] = { "head", "merge", NULL };
	static const char *const forks[] = { "approve", "allow", "never", NULL };

	return check_events(trigger->events, err) && patterns_check("branches", trigger->branches, err) &&
	       patterns_check("tags", trigger->tags, err) &&
	       check_word("pulls", trigger->pulls, pulls, "head, merge", err) &&
	       check_word("forks", trigger->forks, forks, "approve, allow, never", err);
}

static bool
wants_event(const char *events, enum change_event event)
{
	struct strings words;
	bool found;

	patterns_split(events, &words);
	found = words.count == 0;
	for (size_t i = 0; i < words.count; i++)
		found = found || strcmp(words.items[i], change_event_name(event)) == 0;
	strings_fini(&words);
	return found;
}

bool
trigger_wants(const struct trigger *trigger, const struct change *change, struct err *err)
{
	const char *branch = change->branch != NULL ? change->branch : "";

	if (change->event > CHANGE_PULL_REQUEST)
		return true;
	if (!wants_event(trigger->events, change->event))
		return err_set(err, ERR_REFUSED, 0, "the repository's settings leave out the event %s",
		    change_event_name(change->event));
	if (change->event == CHANGE_TAG && !patterns_hold(trigger->tags, branch))
		return err_set(err, ERR_REFUSED, 0, "the repository's settings leave out the tag %.60s", branch);
	if (change->event != CHANGE_TAG && !patterns_hold(trigger->branches, branch))
		return err_set(err, ERR_REFUSED, 0, "the repository's settings leave out the branch %.60s", branch);
	if (change->trust == CHANGE_FORK && is_given(trigger->forks) && strcmp(trigger->forks, "never") == 0)
		return err_set(err, ERR_REFUSED, 0, "the repository's settings leave out pull requests of forks");
	return true;
}

bool
trigger_merges(const struct trigger *trigger, const struct change *change)
{
	return change->event == CHANGE_PULL_REQUEST && is_given(trigger->pulls) && strcmp(trigger->pulls, "merge") == 0;
}
