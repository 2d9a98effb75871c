/* The steps that the decoders of all forges are made of: they alone write into a change. */
#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "proto/hook_forge.h"
#include "proto/mem.h"
#include "proto/ref.h"
#include "proto/url.h"

#define MESSAGE_MAX 65536
#define TITLE_MAX 1024
#define NAME_MAX_BYTES 256
#define EMAIL_MAX 254

bool
hook_ignore(struct hook_result *ret, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(ret->reason, sizeof(ret->reason), fmt, ap);
	va_end(ap);
	ret->outcome = HOOK_IGNORED;
	return true;
}

struct str
hook_text(const struct json_value *v)
{
	return str_of(json_string(v, ""));
}

/* For error texts: so much of what was sent that people know it again. */
static int
shown(struct str s)
{
	return s.len < 80 ? (int)s.len : 80;
}

static bool
set_commit(struct change *change, const char *commit, struct err *err)
{
	struct str id = str_of(commit);

	if (!commit_is_valid(id))
		return err_set(err, ERR_INPUT, 0, "\"%.*s\" is no commit: 40 or 64 lower-case digits", shown(id), id.p);
	change->commit = str_dup(id);
	return true;
}

/* Zeroes stand for "it is new". */
static bool
set_before(struct change *change, const char *before, struct err *err)
{
	struct str id = str_of(before);

	if (before == NULL || commit_is_zero(id))
		return true;
	if (!commit_is_valid(id))
		return err_set(
		    err, ERR_INPUT, 0, "\"%.*s\" (before) is no commit: 40 or 64 lower-case digits", shown(id), id.p);
	change->before = str_dup(id);
	return true;
}

static bool
set_ref(struct change *change, const char *ref, struct err *err)
{
	struct str name = str_of(ref);

	if (!ref_is_valid(name))
		return err_set(err, ERR_INPUT, 0,
		    "\"%.*s\" is no ref that Davit builds: see git-check-ref-format, and no "
		    "part may begin with '-'",
		    shown(name), name.p);
	change->ref = str_dup(name);
	return true;
}

bool
hook_set_push(struct hook_result *ret, const char *ref, const char *commit, const char *before, struct err *err)
{
	struct change *change = &ret->change;

	if (!set_ref(change, ref, err))
		return false;
	if (str_has_prefix(str_of(ref), "refs/heads/"))
		change->event = CHANGE_PUSH;
	else if (str_has_prefix(str_of(ref), "refs/tags/"))
		change->event = CHANGE_TAG;
	else
		return hook_ignore(ret, "%.80s is neither a branch nor a tag", ref);
	if (commit_is_zero(str_of(commit)))
		return set_before(change, before, err) &&
		       hook_ignore(ret, "a %s was deleted", change->event == CHANGE_TAG ? "tag" : "branch");
	change->branch = xstrdup(ref + strlen(change->event == CHANGE_TAG ? "refs/tags/" : "refs/heads/"));
	change->trust = CHANGE_TRUSTED;
	ret->outcome = HOOK_CHANGE;
	return set_commit(change, commit, err) && set_before(change, before, err);
}

bool
hook_set_pull(
    struct hook_result *ret, const char *ref, int64_t number, const char *target, const char *commit, struct err *err)
{
	struct change *change = &ret->change;
	char name[REF_SIZE_MAX + sizeof("refs/heads/")];
	int len = snprintf(name, sizeof(name), "refs/heads/%s", target);

	if (number <= 0)
		return err_set(err, ERR_INPUT, 0, "the pull request has no number above 0");
	if (len < 0 || (size_t)len >= sizeof(name) || !ref_is_valid(str_of(name)))
		return err_set(err, ERR_INPUT, 0, "the pull request's target is no branch name: \"%.80s\"", target);
	change->event = CHANGE_PULL_REQUEST;
	change->trust = CHANGE_FORK; /* until the decoder has seen that it is not */
	change->pull_number = number;
	change->branch = xstrdup(target);
	ret->outcome = HOOK_CHANGE;
	return set_ref(change, ref, err) && set_commit(change, commit, err);
}

bool
hook_set_closed(struct hook_result *ret, const char *ref, struct err *err)
{
	hook_ignore(ret, "the pull request was closed");
	ret->outcome = HOOK_CLOSED;
	return set_ref(&ret->change, ref, err);
}

/* At most max bytes, not cut within a character. */
static char *
cut_text(struct str s, size_t max)
{
	if (s.len > max) {
		s.len = max;
		while (s.len > 0 && ((unsigned char)s.p[s.len] & 0xc0) == 0x80)
			s.len--;
	}
	return str_dup(s);
}

void
hook_set_title(struct change *change, const char *title)
{
	if (title == NULL || change->title != NULL)
		return;
	change->title = cut_text((struct str){ title, strcspn(title, "\r\n") }, TITLE_MAX);
}

void
hook_set_message(struct change *change, const char *message)
{
	if (message == NULL)
		return;
	assert(change->message == NULL);
	change->message = cut_text(str_of(message), MESSAGE_MAX);
	hook_set_title(change, message);
}

/* One word that a mail could go to; whether it exists is not asked. */
static bool
is_email(struct str s)
{
	if (s.len > EMAIL_MAX || memchr(s.p, '@', s.len) == NULL)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c <= ' ' || c == 0x7f || strchr("<>()[],;:\\\"", c) != NULL)
			return false;
	}
	return s.p[0] != '@' && s.p[0] != '-' && s.p[s.len - 1] != '@';
}

void
hook_set_author(struct change *change, const char *name, const char *email)
{
	if (name != NULL)
		change->author_name = cut_text(str_of(name), NAME_MAX_BYTES);
	if (email != NULL && is_email(str_of(email)))
		change->author_email = xstrdup(email);
}

void
hook_set_sender(struct change *change, const char *login)
{
	if (login != NULL)
		change->sender = cut_text(str_of(login), NAME_MAX_BYTES);
}

/* NULL unless it is http or https without a user: others run scripts in browsers, read files or reach other services.
 */
static char *
copy_url(const char *text)
{
	struct url url;
	bool ok;

	if (text == NULL || !url_parse(str_of(text), URL_NO_USERINFO, &url, NULL))
		return NULL;
	ok = url.scheme == URL_HTTP || url.scheme == URL_HTTPS;
	url_fini(&url);
	return ok ? xstrdup(text) : NULL;
}

void
hook_set_web_url(struct change *change, const char *url)
{
	change->web_url = copy_url(url);
}

void
hook_set_fetch_url(struct change *change, const char *url)
{
	change->fetch_url = copy_url(url);
}

static bool
take_blanks(const char **p)
{
	size_t len = strspn(*p, " \t");

	*p += len;
	return len > 0;
}

static bool
take_word(const char **p, const char *word)
{
	if (strncasecmp(*p, word, strlen(word)) != 0)
		return false;
	*p += strlen(word);
	return true;
}

/* p stands behind a '['. */
static bool
is_skip(const char *p, const char *first, const char *second)
{
	take_blanks(&p);
	if (!take_word(&p, first) || !take_blanks(&p) || !take_word(&p, second))
		return false;
	take_blanks(&p);
	return *p == ']';
}

bool
hook_message_skips(const char *message)
{
	if (message == NULL)
		return false;
	for (const char *p = strchr(message, '['); p != NULL; p = strchr(p + 1, '[')) {
		if (is_skip(p + 1, "skip", "ci") || is_skip(p + 1, "ci", "skip"))
			return true;
	}
	return false;
}
