#include "proto/script.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "proto/buf.h"
#include "proto/marker.h"

#define SCRIPT_MAX (4u << 20)
/* Commands over which a here-document may go. */
#define HEREDOC_MAX 256

static bool
is_name_byte(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

size_t
script_name_len(const char *s)
{
	size_t len = 0;

	if (isdigit((unsigned char)s[0]))
		return 0;
	while (is_name_byte(s[len]))
		len++;
	return len;
}

bool
script_may_set(const char *name)
{
	static const char *const readonly[] = { "UID", "EUID", "PPID", "BASHOPTS", "SHELLOPTS", "BASH_VERSINFO" };
	size_t len = script_name_len(name);

	if (len == 0 || name[len] != '\0')
		return false;
	for (size_t i = 0; i < sizeof(readonly) / sizeof(readonly[0]); i++)
		if (strcmp(name, readonly[i]) == 0)
			return false;
	return true;
}

/* 'it'\''s': one word, whatever stands in it. */
static void
add_quoted(struct buf *b, const char *text)
{
	buf_addc(b, '\'');
	for (const char *end; (end = strchr(text, '\'')) != NULL; text = end + 1) {
		buf_add(b, text, (size_t)(end - text));
		buf_adds(b, "'\\''");
	}
	buf_adds(b, text);
	buf_addc(b, '\'');
}

/* At a dollar sign: ${NAME} for a reference, \$ for $$ and for a lone one. Returns where the text goes on. */
static const char *
add_reference(struct buf *b, const char *dollar)
{
	const char *name = dollar + 1 + (dollar[1] == '{');
	size_t len = script_name_len(name);

	if (len > 0 && (dollar[1] != '{' || name[len] == '}')) {
		buf_addf(b, "${%.*s}", (int)len, name);
		return name + len + (dollar[1] == '{');
	}
	buf_adds(b, "\\$");
	return dollar + 1 + (dollar[1] == '$');
}

/* "${PATH}:/opt/bin": only references are alive. */
static void
add_expanding(struct buf *b, const char *text)
{
	buf_addc(b, '"');
	while (*text != '\0') {
		if (*text == '$') {
			text = add_reference(b, text);
			continue;
		}
		if (strchr("\"\\`", *text) != NULL)
			buf_addc(b, '\\');
		buf_addc(b, *text++);
	}
	buf_addc(b, '"');
}

static bool
add_env(struct buf *b, const struct env *env, void (*add_value)(struct buf *, const char *), struct err *err)
{
	for (size_t i = 0; env != NULL && i < env->count; i++) {
		const struct env_var *var = &env->vars[i];

		if (!script_may_set(var->name))
			return err_set(
			    err, ERR_INPUT, 0, "a shell cannot set a variable of the name \"%.60s\"", var->name);
		buf_addf(b, "export %s=", var->name);
		add_value(b, var->value);
		buf_addc(b, '\n');
	}
	return true;
}

/* The text behind the line that s points into; NULL when it is the last one. */
static const char *
next_line(const char *s)
{
	const char *end = strchr(s, '\n');

	return end != NULL ? end + 1 : NULL;
}

/* What ends a here-document. */
struct heredoc {
	const char *word;
	size_t len;
	bool tabs; /* it may stand behind tabs, as the operator was <<- */
};

static bool
has_end(const char *lines, const struct heredoc *doc)
{
	for (; lines != NULL; lines = next_line(lines)) {
		const char *line = doc->tabs ? lines + strspn(lines, "\t") : lines;

		if (strncmp(line, doc->word, doc->len) == 0 && (line[doc->len] == '\n' || line[doc->len] == '\0'))
			return true;
	}
	return false;
}

/* Whether a here-document begins in text and does not end in it. */
static bool
has_open_heredoc(const char *text, struct heredoc *doc)
{
	for (const char *at = text; (at = strstr(at, "<<")) != NULL;) {
		if (at[2] == '<') {
			at += 3; /* a here-string */
			continue;
		}
		doc->tabs = at[2] == '-';
		at += 2 + doc->tabs;
		at += strspn(at, " \t'\"\\");
		doc->word = at;
		doc->len = script_name_len(at);
		if (doc->len > 0 && !has_end(next_line(at), doc))
			return true;
	}
	return false;
}

static bool
ends_in_backslash(const char *text)
{
	size_t len = strlen(text), count = 0;

	while (count < len && text[len - 1 - count] == '\\')
		count++;
	return count % 2 == 1;
}

/* The commands of one piece, joined by newlines. */
static char *
join(const struct segment_spec *segment, size_t first, size_t count)
{
	struct buf b;

	buf_init(&b, SCRIPT_MAX);
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			buf_addc(&b, '\n');
		buf_adds(&b, segment->commands[first + i]);
	}
	return b.data;
}

/* How many commands from first on belong together: one, unless it ends in the middle of a line, or of a here-document
 * that one of the next commands ends. What never ends stands alone, and the shell says what it thinks of it. */
static size_t
piece_len(const struct segment_spec *segment, size_t first)
{
	char **commands = segment->commands + first;
	size_t most = segment->command_count - first, count = 1;
	struct heredoc doc;

	while (count < most && ends_in_backslash(commands[count - 1]))
		count++;
	if (!has_open_heredoc(commands[count - 1], &doc))
		return count;
	for (size_t i = count; i < most && i < count + HEREDOC_MAX; i++)
		if (has_end(commands[i], &doc))
			return i + 1;
	return count;
}

/* The piece as the log shows it, then the piece. A newline behind a last backslash keeps our next line out of it. */
static void
add_piece(struct buf *b, const char *text)
{
	buf_adds(b, "printf '\\033[1m$ %s\\033[0m\\n' ");
	add_quoted(b, text);
	buf_addc(b, '\n');
	buf_adds(b, text);
	buf_adds(b, ends_in_backslash(text) ? "\n\n" : "\n");
}

/* The segment's text comes to its shell as a here-document on descriptor 3, which the text itself closes first, so that
 * no command can read on in it. */
static void
add_segment(struct buf *b, const struct segment_spec *segment, const char *nonce)
{
	buf_addf(b, "printf '\\036%s begin %s\\n'\n", nonce, segment->name);
	buf_addf(b, "\"$davit_shell\" -e /dev/fd/3 3<<'%s' </dev/null\nexec 3<&-\n", nonce);
	for (size_t i = 0, count; i < segment->command_count; i += count) {
		char *text;

		count = piece_len(segment, i);
		text = join(segment, i, count);
		add_piece(b, text);
		free(text);
	}
	buf_addf(b, "%s\ndavit_exit=$?\n", nonce);
	buf_addf(b, "printf '\\036%s end %s %%d\\n' \"$davit_exit\"\n", nonce, segment->name);
	buf_adds(b, "[ \"$davit_exit\" -eq 0 ] || exit \"$davit_exit\"\n");
}

static bool
check_commands(const struct job_spec *job, const char *nonce, struct err *err)
{
	for (size_t i = 0; i < job->segment_count; i++)
		for (size_t k = 0; k < job->segments[i].command_count; k++)
			if (strstr(job->segments[i].commands[k], nonce) != NULL)
				return err_set(err, ERR_INPUT, 0, "a command of %s contains the job's nonce",
				    job->segments[i].name);
	return true;
}

static bool
add_script(struct buf *b, const struct job_spec *job, const struct env *environment, const char *workspace,
    const char *nonce, struct err *err)
{
	if (!check_commands(job, nonce, err) || !add_env(b, environment, add_quoted, err) ||
	    !add_env(b, &job->env, add_expanding, err))
		return false;
	buf_adds(b, "cd ");
	add_quoted(b, workspace);
	buf_addf(b, " || exit %d\n", SCRIPT_NO_WORKSPACE);
	buf_adds(b, "if command -v bash >/dev/null 2>&1; then davit_shell=bash; else davit_shell=sh; fi\n");
	for (size_t i = 0; i < job->segment_count; i++)
		add_segment(b, &job->segments[i], nonce);
	return !buf_failed(b) || err_set(err, ERR_LIMIT, 0, "the job's script is larger than %u bytes", SCRIPT_MAX);
}

bool
script_make(const struct job_spec *job, const struct env *environment, const char *workspace, const char *nonce,
    char **ret, size_t *len, struct err *err)
{
	struct buf b;
	bool ok;

	assert(strlen(nonce) == MARKER_NONCE_LEN && strspn(nonce, "0123456789abcdef") == MARKER_NONCE_LEN);
	buf_init(&b, SCRIPT_MAX);
	ok = add_script(&b, job, environment, workspace, nonce, err);
	if (ok)
		*ret = buf_take(&b, len);
	buf_fini(&b);
	return ok;
}
