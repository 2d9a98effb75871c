#include "proto/dockerfile_bases.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "proto/buf.h"
#include "proto/mem.h"

enum { WORD_MAX = 4096 };

struct finder {
	struct dockerfile_bases *to;
	const struct env *args;
	struct env known; /* ARGs in front of the first FROM, with their values */
	struct strings stages;
	const char *target;
	bool is_over; /* the target's stage has been seen */
};

static struct str
next_word(struct str *text)
{
	*text = str_trim(*text);
	return str_cut(text, ' ');
}

static const char *
value_of(const struct env *env, struct str name)
{
	for (size_t i = env->count; i > 0; i--)
		if (str_is(name, env->vars[i - 1].name))
			return env->vars[i - 1].value;
	return NULL;
}

/* --- ARG --- */

static struct str
unquoted(struct str s)
{
	if (s.len >= 2 && (s.p[0] == '"' || s.p[0] == '\'') && s.p[s.len - 1] == s.p[0])
		return (struct str){ s.p + 1, s.len - 2 };
	return s;
}

/* The end of "${" ... "}", or of a name. */
static size_t
reference_end(struct str s)
{
	size_t i = 1;

	if (s.len > 1 && s.p[1] == '{') {
		const char *end = memchr(s.p, '}', s.len);

		return end != NULL ? (size_t)(end - s.p) + 1 : 0;
	}
	while (i < s.len && (isalnum((unsigned char)s.p[i]) || s.p[i] == '_'))
		i++;
	return i > 1 ? i : 0;
}

/* $NAME, ${NAME}, ${NAME:-word}, ${NAME:+word}; the word is taken as it stands. */
static void
add_reference(const struct finder *f, struct str reference, struct buf *out)
{
	bool has_braces = reference.p[1] == '{';
	struct str word = { reference.p + 1 + has_braces, reference.len - 1 - 2 * (size_t)has_braces };
	struct str name = str_cut(&word, ':');
	const char *value = value_of(&f->known, name);
	bool is_set = value != NULL && value[0] != '\0';

	if (word.len > 1 && word.p[0] == '-' && !is_set)
		buf_addstr(out, (struct str){ word.p + 1, word.len - 1 });
	else if (word.len > 0 && word.p[0] == '+' && is_set)
		buf_addstr(out, (struct str){ word.p + 1, word.len - 1 });
	else if (is_set && (word.len == 0 || word.p[0] == '-'))
		buf_adds(out, value);
}

/* NULL: it cannot be told. free() it. */
static char *
put_in(const struct finder *f, struct str word)
{
	struct buf out;
	char *text = NULL;

	buf_init(&out, WORD_MAX);
	while (word.len > 0) {
		const char *dollar = memchr(word.p, '$', word.len);
		size_t plain = dollar != NULL ? (size_t)(dollar - word.p) : word.len, end;

		buf_addstr(&out, (struct str){ word.p, plain });
		word = (struct str){ word.p + plain, word.len - plain };
		if (word.len == 0)
			break;
		end = reference_end(word);
		if (end == 0)
			break;
		add_reference(f, (struct str){ word.p, end }, &out);
		word = (struct str){ word.p + end, word.len - end };
	}
	if (word.len == 0 && out.len > 0 && !buf_failed(&out))
		text = str_dup(buf_str(&out));
	buf_fini(&out);
	return text;
}

static void
take_arg(struct finder *f, struct str text)
{
	while (text.len > 0 && f->known.count < DOCKERFILE_STAGES_MAX) {
		struct str value = next_word(&text), name = str_cut(&value, '=');
		const char *given = value_of(f->args, name);
		char *own = put_in(f, unquoted(value)), *key = str_dup(name);

		env_add(&f->known, key, given != NULL ? given : own != NULL ? own : "");
		free(own);
		free(key);
	}
}

/* --- images --- */

static bool
is_stage(const struct finder *f, const char *name)
{
	uint64_t number;

	for (size_t i = 0; i < f->stages.count; i++)
		if (strcasecmp(f->stages.items[i], name) == 0)
			return true;
	return str_to_u64(str_of(name), UINT64_MAX, &number) && number < f->stages.count;
}

static bool
is_there(const struct dockerfile_bases *bases, const char *image, const char *platform)
{
	for (size_t i = 0; i < bases->count; i++) {
		const struct dockerfile_base *base = &bases->items[i];
		bool same_platform = platform == NULL || base->platform == NULL ? platform == base->platform
										: strcmp(platform, base->platform) == 0;

		if (strcmp(base->image, image) == 0 && same_platform)
			return true;
	}
	return false;
}

/* Both are handed over, and may be NULL. */
static void
add_base(struct finder *f, char *image, char *platform)
{
	struct dockerfile_bases *to = f->to;

	if (image == NULL || strcmp(image, "scratch") == 0 || is_stage(f, image) || to->count == DOCKERFILE_BASES_MAX ||
	    is_there(to, image, platform)) {
		free(image);
		free(platform);
		return;
	}
	to->items[to->count++] = (struct dockerfile_base){ image, platform };
}

/* [--platform=P] IMAGE [AS NAME] */
static void
take_from(struct finder *f, struct str text)
{
	struct str word = next_word(&text), flag = word, as, name;
	bool has_platform = str_is(str_cut(&flag, '='), "--platform");
	char *platform = has_platform ? put_in(f, flag) : NULL, *image;

	if (has_platform)
		word = next_word(&text);
	image = put_in(f, word);
	if (has_platform && platform == NULL) { /* one that only who builds it knows */
		free(image);
		image = NULL;
	}
	add_base(f, image, platform);
	as = next_word(&text);
	name = str_is_nocase(as, "AS") ? next_word(&text) : STR("");
	strings_add(&f->stages, name);
	f->is_over = f->stages.count == DOCKERFILE_STAGES_MAX || (f->target != NULL && is_stage(f, f->target));
}

static void
take_copy(struct finder *f, struct str text)
{
	while (str_has_prefix(text = str_trim(text), "--")) {
		struct str from = next_word(&text);

		if (str_is(str_cut(&from, '='), "--from") && from.len > 0 && memchr(from.p, '$', from.len) == NULL)
			add_base(f, str_dup(from), NULL);
	}
}

void
dockerfile_bases_find(
    const struct dockerfile *d, const struct env *args, const char *target, struct dockerfile_bases *ret)
{
	struct finder f = { .to = ret, .args = args, .target = target };

	*ret = (struct dockerfile_bases){ .count = 0 };
	for (size_t i = 0; i < d->step_count; i++) {
		struct str text = str_of(d->steps[i].text), keyword = next_word(&text);

		if (str_is_nocase(keyword, "ARG") && f.stages.count == 0)
			take_arg(&f, text);
		else if (str_is_nocase(keyword, "FROM") && f.is_over)
			break;
		else if (str_is_nocase(keyword, "FROM"))
			take_from(&f, text);
		else if (str_is_nocase(keyword, "COPY"))
			take_copy(&f, text);
	}
	env_fini(&f.known);
	strings_fini(&f.stages);
}

void
dockerfile_bases_fini(struct dockerfile_bases *bases)
{
	for (size_t i = 0; i < bases->count; i++) {
		free(bases->items[i].image);
		free(bases->items[i].platform);
	}
	bases->count = 0;
}
