#include "proto/secret.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/git_name.h"
#include "proto/glob.h"
#include "proto/mask.h"
#include "proto/mask_forms.h"
#include "proto/mem.h"
#include "proto/nearest.h"
#include "proto/utf8.h"

enum { LIST_MAX = 1024 };

static const char *const scopes[] = {
	[SECRET_ENVIRONMENT] = "environment",
	[SECRET_REPO] = "repo",
	[SECRET_ORG] = "org",
};

static const char *const event_names[] = { "push", "tag", "pull_request", "cron", "manual", "api", "deploy" };

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

const char *
secret_scope_name(enum secret_scope scope)
{
	return scopes[scope];
}

bool
secret_scope_from_name(const char *name, enum secret_scope *ret)
{
	for (size_t i = 0; i < COUNT(scopes); i++)
		if (strcmp(name, scopes[i]) == 0) {
			*ret = (enum secret_scope)i;
			return true;
		}
	return false;
}

static bool
is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

bool
secret_name_is_valid(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len > SECRET_NAME_MAX || !(is_letter(name[0]) || name[0] == '_'))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!is_letter(name[i]) && !is_digit(name[i]) && strchr("_.-", name[i]) == NULL)
			return false;
	return true;
}

bool
secret_word_is_valid(struct str word)
{
	if (word.len == 0 || word.len > SECRET_WORD_MAX || !(is_letter(word.p[0]) || is_digit(word.p[0])))
		return false;
	for (size_t i = 0; i < word.len; i++)
		if (!is_letter(word.p[i]) && !is_digit(word.p[i]) && strchr("._-", word.p[i]) == NULL)
			return false;
	return true;
}

bool
secret_owner_is_valid(enum secret_scope scope, const char *owner)
{
	struct str rest = str_of(owner);

	if (scope == SECRET_ENVIRONMENT && !secret_word_is_valid(str_cut(&rest, '/')))
		return false;
	return secret_word_is_valid(rest);
}

void
secret_id(char ret[SECRET_ID_MAX], enum secret_scope scope, const char *owner, const char *name)
{
	snprintf(ret, SECRET_ID_MAX, "%s:%s:%s", scopes[scope], owner, name);
}

char *
secret_org(const char *repo_name)
{
	size_t len = strcspn(repo_name, "/");
	char *org = repo_name[len] == '/' ? xstrndup(repo_name, len) : NULL;

	for (size_t i = 0; org != NULL && i < len; i++)
		org[i] = (char)tolower((unsigned char)org[i]);
	return org;
}

bool
secret_value_check(struct str value, struct err *err)
{
	if (value.len > SECRET_VALUE_MAX)
		return err_set(
		    err, ERR_INPUT, 0, "the value has %zu bytes; at most %d can be kept", value.len, SECRET_VALUE_MAX);
	if (memchr(value.p, '\0', value.len) != NULL)
		return err_set(err, ERR_INPUT, 0, "the value has a NUL byte, which no variable can hold: encode it");
	if (!utf8_valid(value, NULL))
		return err_set(err, ERR_INPUT, 0, "the value is no UTF-8 text: encode it, as base64 for one");
	if (mask_core(value).len < MASK_MIN)
		return err_set(err, ERR_INPUT, 0,
		    "the value is too short: less than %d characters cannot be hidden in a log", MASK_MIN);
	return true;
}

/* --- rules --- */

static bool
check_event(struct str item, struct err *err)
{
	char *word = str_dup(item), hint[100];
	struct nearest nearest = nearest_to(word);
	bool known = false;

	for (size_t i = 0; i < COUNT(event_names); i++) {
		known = known || strcmp(word, event_names[i]) == 0;
		nearest_offer(&nearest, event_names[i]);
	}
	if (!known)
		err_set(err, ERR_INPUT, 0, "no event is called \"%.40s\"%s", word, nearest_hint(&nearest, hint));
	free(word);
	return known;
}

static bool
check_branch(struct str item, struct err *err)
{
	char *pattern = str_dup(item);
	bool ok = pattern[0] != '\0' ? glob_check(pattern, err) : err_set(err, ERR_INPUT, 0, "a branch is empty");

	free(pattern);
	return ok;
}

static bool
check_list(const char *list, bool (*check)(struct str item, struct err *err), struct err *err)
{
	struct str rest = str_of(list);

	if (rest.len > LIST_MAX)
		return err_set(err, ERR_INPUT, 0, "the list has more than %d bytes", LIST_MAX);
	while (rest.len > 0)
		if (!check(str_cut(&rest, ','), err))
			return false;
	return true;
}

bool
secret_events_check(const char *events, struct err *err)
{
	return check_list(events, check_event, err);
}

bool
secret_branches_check(const char *branches, struct err *err)
{
	return check_list(branches, check_branch, err);
}

bool
secret_code_is_foreign(bool is_fork, const char *event, const char *ref)
{
	bool is_own = git_ref_short(ref, "refs/heads/") != NULL || git_ref_short(ref, "refs/tags/") != NULL;

	return is_fork || !(is_own || strcmp(event, "pull_request") == 0);
}

static bool
fits_branch(struct str item, const char *ref)
{
	const char *branch = git_ref_short(ref, "refs/heads/");
	char *pattern = str_dup(item);
	const char *subject = str_has_prefix(item, "refs/") ? ref : branch;
	bool fits = subject != NULL && glob_match_name(pattern, subject);

	free(pattern);
	return fits;
}

bool
secret_is_allowed(const char *events, const char *branches, const char *event, const char *ref, struct err *why)
{
	struct str rest = str_of(events);
	bool fits = rest.len == 0;

	while (rest.len > 0)
		fits = str_is(str_cut(&rest, ','), event) || fits;
	if (!fits)
		return err_set(why, ERR_REFUSED, 0, "it is for the events %s", events);
	rest = str_of(branches);
	fits = rest.len == 0;
	while (rest.len > 0)
		fits = fits_branch(str_cut(&rest, ','), ref) || fits;
	return fits || err_set(why, ERR_REFUSED, 0, "it is for the branches %s", branches);
}
