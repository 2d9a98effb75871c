#include "proto/dockerfile.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "proto/buf.h"
#include "proto/mem.h"

enum { DELIMITER_MAX = 64, DELIMITERS_MAX = 8 };

/* While it is read. */
struct reader {
	struct dockerfile *to;
	struct buf step; /* the instruction at hand */
	unsigned line;   /* of the text */
	unsigned begun;  /* where that instruction began; 0: none is at hand */
	char escape;
	bool in_directives;
	char delimiters[DELIMITERS_MAX][DELIMITER_MAX]; /* of here-documents that follow the instruction */
	size_t delimiter_count, delimiter;
};

static void
wants(struct reader *r, const char *what, unsigned line)
{
	if (r->to->wants != NULL)
		return;
	r->to->wants = xstrdup(what);
	r->to->wants_line = line;
}

/* "# name=value" before everything else; false: it is a comment. */
static bool
read_directive(struct reader *r, struct str line)
{
	struct str value = { line.p + 1, line.len - 1 }, name = str_trim(str_cut(&value, '='));

	value = str_trim(value);
	if (value.len == 0)
		return false;
	if (str_is_nocase(name, "syntax"))
		wants(r, "# syntax=", r->line);
	else if (str_is_nocase(name, "escape") && (value.p[0] == '`' || value.p[0] == '\\'))
		r->escape = value.p[0];
	else
		return false;
	return true;
}

/* --- an instruction that is whole --- */

static struct str
next_word(struct str *text)
{
	*text = str_trim(*text);
	return str_cut(text, ' ');
}

static void
look_at_flag(struct reader *r, struct str keyword, struct str flag)
{
	static const char *const flags[][2] = { { "RUN", "--mount" }, { "RUN", "--network" }, { "RUN", "--security" },
		{ "COPY", "--link" }, { "COPY", "--chmod" }, { "COPY", "--parents" }, { "COPY", "--exclude" },
		{ "ADD", "--link" }, { "ADD", "--chmod" }, { "ADD", "--checksum" }, { "ADD", "--keep-git-dir" } };
	struct str name = str_cut(&flag, '=');
	char *what;

	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		if (!str_is_nocase(keyword, flags[i][0]) || !str_is(name, flags[i][1]))
			continue;
		what = xasprintf("%s %s", flags[i][0], flags[i][1]);
		wants(r, what, r->begun);
		free(what);
	}
}

static void
look_at_step(struct reader *r, struct str text)
{
	struct str keyword = next_word(&text), word;

	while (str_has_prefix(text = str_trim(text), "--")) {
		word = next_word(&text);
		look_at_flag(r, keyword, word);
	}
	if (str_is_nocase(keyword, "ARG")) {
		word = next_word(&text);
		r->to->takes_epoch = r->to->takes_epoch || str_is(str_cut(&word, '='), "SOURCE_DATE_EPOCH");
	}
}

static void
end_step(struct reader *r)
{
	struct dockerfile *d = r->to;
	struct str text = str_trim(buf_str(&r->step));

	if (r->begun == 0)
		return;
	d->steps = xrealloc(d->steps, (d->step_count + 1) * sizeof(*d->steps));
	d->steps[d->step_count++] = (struct dockerfile_step){ r->begun, str_dup(text) };
	look_at_step(r, text);
	buf_reset(&r->step);
	r->begun = 0;
}

/* --- here-documents: "RUN <<EOF", "COPY <<-'one' <<"two" /to/" --- */

static bool
is_name(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!isalnum((unsigned char)s.p[i]) && s.p[i] != '_' && s.p[i] != '.' && s.p[i] != '-')
			return false;
	return s.len > 0 && s.len < DELIMITER_MAX;
}

/* What ends it, of a word that begins one. */
static bool
read_delimiter(struct str word, struct str *ret)
{
	while (word.len > 0 && isdigit((unsigned char)word.p[0]))
		word = (struct str){ word.p + 1, word.len - 1 };
	if (!str_has_prefix(word, "<<"))
		return false;
	word = (struct str){ word.p + 2, word.len - 2 };
	if (str_has_prefix(word, "-"))
		word = (struct str){ word.p + 1, word.len - 1 };
	if (word.len > 2 && (word.p[0] == '"' || word.p[0] == '\'') && word.p[word.len - 1] == word.p[0])
		word = (struct str){ word.p + 1, word.len - 2 };
	*ret = word;
	return is_name(word);
}

static bool
is_ended_below(struct str text, struct str delimiter)
{
	while (text.len > 0)
		if (str_eq(str_trim(str_cut(&text, '\n')), delimiter))
			return true;
	return false;
}

/* rest: the text below. One whose end does not stand there is a shell's own affair. */
static void
find_here_documents(struct reader *r, struct str rest)
{
	struct str text = buf_str(&r->step), keyword = next_word(&text), delimiter;

	r->delimiter_count = r->delimiter = 0;
	if (!str_is_nocase(keyword, "RUN") && !str_is_nocase(keyword, "COPY") && !str_is_nocase(keyword, "ADD"))
		return;
	while (text.len > 0 && r->delimiter_count < DELIMITERS_MAX)
		if (read_delimiter(next_word(&text), &delimiter) && is_ended_below(rest, delimiter)) {
			memcpy(r->delimiters[r->delimiter_count], delimiter.p, delimiter.len);
			r->delimiters[r->delimiter_count++][delimiter.len] = '\0';
			wants(r, "a here-document", r->begun);
		}
}

/* --- lines --- */

static void
add_line(struct reader *r, struct str line, struct str rest)
{
	bool goes_on = line.len > 0 && line.p[line.len - 1] == r->escape;

	if (goes_on)
		line.len--;
	if (r->begun == 0)
		r->begun = r->line;
	buf_addstr(&r->step, line);
	if (goes_on)
		return;
	find_here_documents(r, rest);
	if (r->delimiter_count == 0)
		end_step(r);
}

static void
take_line(struct reader *r, struct str line, struct str rest)
{
	struct str trimmed;

	if (line.len > 0 && line.p[line.len - 1] == '\r')
		line.len--;
	trimmed = str_trim(line);
	if (r->delimiter < r->delimiter_count) {
		if (str_is(trimmed, r->delimiters[r->delimiter]) && ++r->delimiter == r->delimiter_count)
			end_step(r);
		return;
	}
	if (str_has_prefix(trimmed, "#")) {
		r->in_directives = r->in_directives && read_directive(r, trimmed);
		return;
	}
	r->in_directives = false;
	if (trimmed.len > 0)
		add_line(r,
		    r->begun == 0 ? trimmed : (struct str){ line.p, (size_t)(trimmed.p + trimmed.len - line.p) }, rest);
}

bool
dockerfile_parse(struct str text, struct dockerfile *ret, struct err *err)
{
	struct reader r = { .to = ret, .escape = '\\', .in_directives = true };

	*ret = (struct dockerfile){ .steps = NULL };
	if (text.len > DOCKERFILE_MAX_BYTES)
		return err_set(err, ERR_LIMIT, 0, "larger than %d bytes", DOCKERFILE_MAX_BYTES);
	buf_init(&r.step, DOCKERFILE_MAX_BYTES);
	if (str_has_prefix(text, "\xef\xbb\xbf"))
		text = (struct str){ text.p + 3, text.len - 3 };
	while (text.len > 0) {
		struct str line = str_cut(&text, '\n');

		r.line++;
		take_line(&r, line, text);
	}
	end_step(&r);
	buf_fini(&r.step);
	return true;
}

void
dockerfile_fini(struct dockerfile *d)
{
	for (size_t i = 0; i < d->step_count; i++)
		free(d->steps[i].text);
	free(d->steps);
	free(d->wants);
	*d = (struct dockerfile){ .steps = NULL };
}

/* --- where something is --- */

unsigned
dockerfile_line_of_step(const struct dockerfile *d, size_t n)
{
	return n > 0 && n <= d->step_count ? d->steps[n - 1].line : 0;
}

/* Blanks count as one, since each puts them as it likes. */
static bool
is_same_text(struct str a, struct str b)
{
	while (a.len > 0 || b.len > 0)
		if (!str_eq(next_word(&a), next_word(&b)))
			return false;
	return true;
}

unsigned
dockerfile_line_of_vertex(const struct dockerfile *d, struct str name)
{
	if (str_has_prefix(name, "> "))
		name = (struct str){ name.p + 2, name.len - 2 };
	if (str_has_prefix(name, "["))
		str_cut(&name, ']');
	if (name.len > 0 && name.p[name.len - 1] == ':')
		name.len--;
	for (size_t i = 0; i < d->step_count; i++)
		if (is_same_text(str_of(d->steps[i].text), str_trim(name)))
			return d->steps[i].line;
	return 0;
}

unsigned
dockerfile_line_of_error(struct str text, struct str *rest)
{
	static const char words[] = "parse error line ";
	const char *at = memmem(text.p, text.len, words, strlen(words));
	struct str behind;
	uint64_t line;

	if (at == NULL)
		return 0;
	behind = (struct str){ at + strlen(words), text.len - (size_t)(at - text.p) - strlen(words) };
	if (!str_to_u64(str_cut(&behind, ':'), 1000000, &line))
		return 0;
	*rest = str_trim(behind);
	return (unsigned)line;
}
