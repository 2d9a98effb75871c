#include "proto/glob.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "proto/char_class.h"
#include "proto/str.h"
#include "proto/utf8.h"

enum token_kind {
	TOKEN_CHAR,
	TOKEN_CLASS,
	TOKEN_ANY,     /* ? */
	TOKEN_STAR,    /* * */
	TOKEN_ALL,     /* ** */
	TOKEN_FOLDERS, /* a part of its own, with the slash behind it: none or more folders */
};

struct token {
	enum token_kind kind;
	uint32_t c;
	const char *class; /* behind the bracket and the ! */
	bool negated;
};

/* A pattern without braces, as the automaton takes it. */
struct program {
	struct token tokens[GLOB_MAX_BYTES];
	size_t count;
	bool is_path;
};

/* As above, with \x read as x. */
static uint32_t
take_plain(const char **s)
{
	if (**s == '\\' && (*s)[1] != '\0')
		(*s)++;
	return utf8_take(s);
}

static bool
class_has(const struct token *token, uint32_t c)
{
	const char *s = token->class, *end = char_class_end(s);

	while (s < end) {
		uint32_t low = take_plain(&s), high = low;

		if (*s == '-' && s + 1 < end) {
			s++;
			high = take_plain(&s);
		}
		if (c >= low && c <= high)
			return !token->negated;
	}
	return token->negated;
}

static bool
read_class(const char **s, struct token *token)
{
	const char *at = *s + 1;

	token->kind = TOKEN_CLASS;
	token->negated = *at == '!' || *at == '^';
	token->class = at + token->negated;
	at = char_class_end(token->class);
	if (at == NULL)
		return false;
	*s = at + 1;
	return true;
}

/* ** alone between slashes takes its slash along, so that no folder is an answer too. */
static void
read_stars(struct program *p, const char **s, bool begins_part, struct token *token)
{
	const char *at = *s;

	while (*at == '*')
		at++;
	token->kind = at - *s > 1 && p->is_path ? TOKEN_ALL : TOKEN_STAR;
	if (token->kind == TOKEN_ALL && begins_part && *at == '/') {
		token->kind = TOKEN_FOLDERS;
		at++;
	}
	*s = at;
}

static bool
compile(struct program *p, const char *s)
{
	const char *start = s;

	for (; *s != '\0'; p->count++) {
		struct token *token = &p->tokens[p->count];

		*token = (struct token){ .kind = TOKEN_CHAR };
		if (*s == '*') {
			read_stars(p, &s, s == start || s[-1] == '/', token);
		} else if (*s == '?') {
			token->kind = TOKEN_ANY;
			s++;
		} else if (*s == '[') {
			if (!read_class(&s, token))
				return false;
		} else {
			token->c = take_plain(&s);
		}
	}
	return true;
}

/* --- the automaton: the set of tokens that may come next --- */

/* What runs over nothing lets the next token in as well. */
static void
enter(const struct program *p, bool *set, size_t i)
{
	while (!set[i]) {
		set[i] = true;
		if (i == p->count || p->tokens[i].kind < TOKEN_STAR)
			return;
		i++;
	}
}

/* One character at the token that waits for it. */
static void
feed(const struct program *p, size_t i, uint32_t c, bool *next)
{
	const struct token *token = &p->tokens[i];
	bool slash = p->is_path && c == '/';

	switch (token->kind) {
	case TOKEN_CHAR:
		if (token->c == c)
			enter(p, next, i + 1);
		return;
	case TOKEN_CLASS:
		if (!slash && class_has(token, c))
			enter(p, next, i + 1);
		return;
	case TOKEN_ANY:
		if (!slash)
			enter(p, next, i + 1);
		return;
	case TOKEN_STAR:
		if (!slash)
			enter(p, next, i);
		return;
	case TOKEN_ALL:
		enter(p, next, i);
		return;
	case TOKEN_FOLDERS: /* stays, but only behind a slash may what follows begin */
		next[i] = true;
		if (slash)
			enter(p, next, i + 1);
		return;
	}
}

static bool
run(const struct program *p, const char *text)
{
	bool sets[2][GLOB_MAX_BYTES + 1] = { { false } };
	unsigned now = 0;

	enter(p, sets[now], 0);
	while (*text != '\0') {
		uint32_t c = utf8_take(&text);
		bool *next = sets[1 - now];
		bool alive = false;

		memset(next, 0, p->count + 1);
		for (size_t i = 0; i < p->count; i++) {
			if (!sets[now][i])
				continue;
			feed(p, i, c, next);
			alive = true;
		}
		if (!alive)
			return false;
		now = 1 - now;
	}
	return sets[now][p->count];
}

/* --- braces --- */

/* Behind the escape, class or character at s. */
static const char *
skip_one(const char *s)
{
	const char *end;

	if (*s == '\\' && s[1] != '\0')
		return s + 2;
	if (*s == '[') {
		end = char_class_end(s + 1 + (s[1] == '!' || s[1] == '^'));
		return end != NULL ? end + 1 : s + 1;
	}
	return s + 1;
}

/* The first of wanted at s that stands in no deeper brace; NULL: none. */
static const char *
find_outside(const char *s, const char *wanted)
{
	unsigned depth = 0;

	for (; *s != '\0'; s = skip_one(s)) {
		if (depth == 0 && strchr(wanted, *s) != NULL)
			return s;
		depth += *s == '{';
		depth -= *s == '}' && depth > 0;
	}
	return NULL;
}

/* What each expansion is given to, as long as it answers false. */
typedef bool expansion_fn(void *arg, const char *pattern);

struct expander {
	expansion_fn *fn;
	void *arg;
	unsigned left; /* expansions that may still come */
	const char *problem;
};

static bool expand(struct expander *e, const char *pattern);

static bool
expand_with(struct expander *e, struct str before, struct str choice, const char *after)
{
	char joined[GLOB_MAX_BYTES + 1];
	int len =
	    snprintf(joined, sizeof(joined), "%.*s%.*s%s", (int)before.len, before.p, (int)choice.len, choice.p, after);

	if (len < 0 || (size_t)len >= sizeof(joined)) {
		e->problem = "is too long";
		return false;
	}
	return expand(e, joined);
}

/* True as soon as e->fn says so for one of the expansions. */
static bool
expand(struct expander *e, const char *pattern)
{
	const char *open = find_outside(pattern, "{"), *close, *comma, *at;

	if (open == NULL) {
		if (e->left == 0)
			e->problem = "has too many alternatives";
		return e->left > 0 && e->left-- > 0 && e->fn(e->arg, pattern);
	}
	close = find_outside(open + 1, "}");
	if (close == NULL) {
		e->problem = "has a { without its }";
		return false;
	}
	for (at = open + 1; e->problem == NULL; at = comma + 1) {
		comma = find_outside(at, ",}");
		if (expand_with(e, (struct str){ pattern, (size_t)(open - pattern) },
			(struct str){ at, (size_t)(comma - at) }, close + 1))
			return true;
		if (comma == close)
			break;
	}
	return false;
}

struct match {
	const char *text;
	bool is_path;
	bool bad;
};

static bool
match_plain(struct match *m, const char *pattern)
{
	struct program p;

	p.count = 0;
	p.is_path = m->is_path;
	if (!compile(&p, pattern)) {
		m->bad = true;
		return false;
	}
	return run(&p, m->text);
}

/* "bin/" and "bin" are bin/... as well; the first is nothing else. */
static bool
match_below(struct match *m, const char *pattern)
{
	size_t len = strlen(pattern);
	char folder[GLOB_MAX_BYTES + 4];

	if (!m->is_path || (len > 0 && pattern[len - 1] != '/' && glob_has_signs(pattern)))
		return false;
	snprintf(folder, sizeof(folder), "%s%s**", pattern, len > 0 && pattern[len - 1] != '/' ? "/" : "");
	return strlen(folder) <= GLOB_MAX_BYTES && match_plain(m, folder);
}

static bool
on_expansion(void *arg, const char *pattern)
{
	struct match *m = arg;

	return match_plain(m, pattern) || (!m->bad && match_below(m, pattern));
}

static bool
never(void *arg, const char *pattern)
{
	struct match *m = arg;
	struct program p;

	p.count = 0;
	p.is_path = true;
	m->bad = m->bad || !compile(&p, pattern);
	return false;
}

static const char *
problem_of(const char *pattern, expansion_fn *fn, struct match *m, bool *matches)
{
	struct expander e = { .fn = fn, .arg = m, .left = GLOB_MAX_ALTERNATIVES };

	if (strlen(pattern) > GLOB_MAX_BYTES)
		return "is too long";
	*matches = expand(&e, pattern);
	return m->bad ? "has a [ without its ]" : e.problem;
}

bool
glob_check(const char *pattern, struct err *err)
{
	struct match m = { .text = "" };
	bool matches = false;
	const char *problem = problem_of(pattern, never, &m, &matches);

	if (problem == NULL)
		return true;
	return err_set(err, ERR_INPUT, 0, "the pattern \"%.60s\" %s", pattern, problem);
}

static bool
match_checked(const char *pattern, const char *text, bool is_path)
{
	struct match m = { .text = text, .is_path = is_path };
	bool matches = false;

	return glob_check(pattern, NULL) && problem_of(pattern, on_expansion, &m, &matches) == NULL && matches;
}

bool
glob_match_name(const char *pattern, const char *name)
{
	return match_checked(pattern, name, false);
}

static const char *
skip_root(const char *s)
{
	while (s[0] == '/' || (s[0] == '.' && s[1] == '/'))
		s += s[0] == '/' ? 1 : 2;
	return strcmp(s, ".") == 0 ? "" : s;
}

bool
glob_match_path(const char *pattern, const char *path)
{
	return match_checked(skip_root(pattern), skip_root(path), true);
}

/* How many alternatives the brace at s has. */
static size_t
alternatives_at(const char *s)
{
	size_t count = 1;
	unsigned depth = 0;

	for (; *s != '\0'; s = skip_one(s)) {
		depth += *s == '{';
		depth -= *s == '}';
		if (depth == 0)
			break;
		count += depth == 1 && *s == ',';
	}
	return count;
}

size_t
glob_cost(const char *pattern)
{
	size_t cost = strlen(pattern);

	for (const char *s = pattern; *s != '\0' && cost <= GLOB_COST_MAX; s = skip_one(s))
		if (*s == '{')
			cost *= alternatives_at(s);
	return cost;
}

bool
glob_has_signs(const char *pattern)
{
	return pattern[strcspn(pattern, "*?[{\\")] != '\0';
}
