/* What people did when the parser says that it "did not find expected key". */
#include <ctype.h>
#include <string.h>

#include "proto/utf8.h"
#include "proto/yaml_private.h"

struct explainer {
	const char *file;
	struct str text;
	struct err *err;
};

static bool __attribute__((format(printf, 3, 4)))
fail(const struct explainer *e, struct yml_mark at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	yml_fail_at(e->file, at, e->err, ERR_INPUT, fmt, ap);
	va_end(ap);
	return false;
}

/* The bytes of a line without its end; line counts from 1. */
static struct str
line_of(struct str text, unsigned line)
{
	struct str found = { text.p, 0 };

	while (line-- > 0)
		found = str_cut(&text, '\n');
	return found;
}

/* The column of the first s in the line that stands where a comment could begin; 0: there is none. */
static unsigned
column_of_comment(struct str line, const char *s)
{
	unsigned column = 1;
	bool blank = true;
	size_t len;

	for (size_t i = 0; i < line.len; i += len, column++) {
		struct str rest = { line.p + i, line.len - i };

		if (blank && str_has_prefix(rest, s))
			return column;
		blank = line.p[i] == ' ' || line.p[i] == '\t';
		utf8_decode(rest, &len);
	}
	return 0;
}

/* The column of a tab among the blanks that begin the line; 0: there is none. */
static unsigned
column_of_tab(struct str line)
{
	for (size_t i = 0; i < line.len && (line.p[i] == ' ' || line.p[i] == '\t'); i++)
		if (line.p[i] == '\t')
			return (unsigned)i + 1;
	return 0;
}

/* How many bytes of the line are blanks, and a list's sign, and then a word of ASCII: what could be a key. */
static size_t
key_end(struct str line, size_t *start)
{
	size_t i = 0;

	while (i < line.len && (line.p[i] == ' ' || line.p[i] == '-'))
		i++;
	*start = i;
	while (i < line.len && (isalnum((unsigned char)line.p[i]) || line.p[i] == '_'))
		i++;
	return i;
}

/* The column of a sign behind what could be a key; 0: there is none. */
static unsigned
column_behind_key(struct str line, const char *sign)
{
	size_t start, end = key_end(line, &start);

	return end > start && str_has_prefix((struct str){ line.p + end, line.len - end }, sign) ? (unsigned)end + 1
												 : 0;
}

/* "image:golang": a colon without its blank. */
static unsigned
column_of_tight_colon(struct str line)
{
	size_t start, end = key_end(line, &start);

	return end > start && end + 1 < line.len && line.p[end] == ':' && isalnum((unsigned char)line.p[end + 1])
		   ? (unsigned)end + 1
		   : 0;
}

/* Mistakes whose message from the parser would mislead: looked for where it stumbled and shortly before. True when
 * *e->err names one of them. */
static bool
explain_line(const struct explainer *e, unsigned line)
{
	unsigned column;

	for (unsigned at = line > 2 ? line - 2 : 1; at <= line; at++) {
		struct str text = line_of(e->text, at);

		if ((column = column_of_comment(text, "\xef\xbc\x83")) != 0)
			return !fail(e, (struct yml_mark){ at, column },
			    "the fullwidth \xef\xbc\x83 (U+FF03) does not begin a comment; write #");
		if ((column = column_behind_key(text, "\xef\xbc\x9a")) != 0)
			return !fail(e, (struct yml_mark){ at, column },
			    "the fullwidth \xef\xbc\x9a (U+FF1A) is no colon of YAML; write : and a blank");
	}
	if ((column = column_of_tab(line_of(e->text, line))) != 0)
		return !fail(e, (struct yml_mark){ line, column }, "a tab cannot indent in YAML; write spaces");
	return false;
}

/* What the parser's words come from, mostly. */
static const struct {
	const char *problem;
	bool at_context; /* where the thing begins is where to look */
	const char *words;
} explanations[] = {
	{ "could not find expected ':'", true, "this line is neither KEY: VALUE nor - ITEM" },
	{ "mapping values are not allowed", false,
	    "a colon and a blank cannot stand here; quote a text that has them, and look at the indentation" },
	{ "block sequence entries are not allowed", false,
	    "a list cannot begin here; put each - ITEM in a line of its own, below the key" },
	{ "found character that cannot start any token", false,
	    "this sign cannot begin a text in YAML; put quotes around the whole text" },
	{ "did not find expected alphabetic or numeric character", true,
	    "& and * begin names in YAML; put quotes around the whole text" },
	{ "did not find expected '-' indicator", false,
	    "this fits neither the list before it nor what is around that; look at the indentation, and put quotes "
	    "around "
	    "the whole of a text that begins with one" },
	{ "did not find expected key", false,
	    "this fits neither the mapping before it nor what is around that; look at the indentation, and put quotes "
	    "around "
	    "the whole of a text that begins with one" },
	{ "did not find expected ',' or", true,
	    "what a bracket begins here does not end; put quotes around a text that has one" },
	{ "did not find expected comment or line break", false, "text behind | or > begins in the next line" },
	{ "found unexpected end of stream", true, "what begins here does not end: a quote is missing" },
	{ "found unexpected document indicator", true, "what begins here does not end: a quote is missing" },
};

bool
yml_explain(const char *file, struct str text, const struct yml_problem *problem, struct err *err)
{
	struct explainer e = { .file = file, .text = text, .err = err };
	unsigned column, before = problem->at.line > 1 ? problem->at.line - 1 : 1;

	if (explain_line(&e, problem->at.line))
		return false;
	if (strstr(problem->text, "mapping values are not allowed") != NULL &&
	    (column = column_of_tight_colon(line_of(text, before))) != 0)
		return fail(&e, (struct yml_mark){ before, column }, "a blank is missing behind this colon");
	for (size_t i = 0; i < sizeof(explanations) / sizeof(explanations[0]); i++)
		if (strstr(problem->text, explanations[i].problem) != NULL)
			return fail(&e,
			    explanations[i].at_context && problem->context != NULL ? problem->context_at : problem->at,
			    "%s", explanations[i].words);
	if (problem->context == NULL)
		return fail(&e, problem->at, "%s", problem->text);
	return fail(&e, problem->at, "%s (%s, which begins in line %u)", problem->text, problem->context,
	    problem->context_at.line);
}
