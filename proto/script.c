#include "proto/script.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "proto/buf.h"
#include "proto/marker.h"
#include "proto/mem.h"

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

/* As a marker takes it: what else may stand in a step's name becomes a dash. */
static void
add_marker_name(struct buf *b, const char *name)
{
	for (size_t i = 0; name[i] != '\0' && i < MARKER_NAME_MAX; i++)
		buf_addc(b, is_name_byte(name[i]) || name[i] == '-' || (name[i] == '.' && i > 0) ? name[i] : '-');
}

/* A script that outlives its segments: script_stop ends these and not the container, of which more is wanted. */
static bool
has_ending(const struct script_spec *spec)
{
	for (size_t i = 0; i < spec->count; i++)
		if (spec->job->segments[spec->first + i].always)
			return true;
	return spec->hold_s > 0 || job_spec_leaves_files(spec->job);
}

/* The segment's text comes to its shell as a here-document on descriptor 3, which the text itself closes first, so that
 * no command can read on in it. What script_stop comes too late for, as its shell has just begun, ends at once. */
static bool
add_shell(struct buf *b, const struct script_spec *spec, const struct segment_spec *segment, struct err *err)
{
	buf_addf(b, "\"$davit_shell\" -e /dev/fd/3 3<<'%s' </dev/null\nexec 3<&-\n", spec->nonce);
	if (!segment->always && has_ending(spec)) {
		buf_adds(b, "[ ! -e ");
		add_quoted(b, spec->folder);
		buf_adds(b, "/status ] || exit 1\n");
	}
	if (!add_env(b, &segment->env, add_expanding, err))
		return false;
	for (size_t i = 0, count; i < segment->command_count; i += count) {
		char *text;

		count = piece_len(segment, i);
		text = join(segment, i, count);
		add_piece(b, text);
		free(text);
	}
	buf_addf(b, "%s\ndavit_exit=$?\n", spec->nonce);
	return true;
}

static bool
add_segment(struct buf *b, const struct script_spec *spec, const struct segment_spec *segment, struct err *err)
{
	buf_addf(b, "printf '\\036%s begin ", spec->nonce);
	add_marker_name(b, segment->name);
	buf_adds(b, "\\n'\n");
	if (!add_shell(b, spec, segment, err))
		return false;
	buf_addf(b, "printf '\\036%s end ", spec->nonce);
	add_marker_name(b, segment->name);
	buf_adds(b, " %d\\n' \"$davit_exit\"\n");
	return true;
}

static bool
check_commands(const struct script_spec *spec, struct err *err)
{
	for (size_t i = 0; i < spec->count; i++) {
		const struct segment_spec *segment = &spec->job->segments[spec->first + i];

		for (size_t k = 0; k < segment->command_count; k++)
			if (strstr(segment->commands[k], spec->nonce) != NULL)
				return err_set(
				    err, ERR_INPUT, 0, "a command of %s contains the job's nonce", segment->name);
	}
	return true;
}

size_t
script_after(const struct job_spec *job)
{
	size_t first = job->segment_count;

	while (first > 0 && job->segments[first - 1].always)
		first--;
	return first;
}

/* Nothing is left to do once a segment has failed. */
static bool
add_plain_segments(struct buf *b, const struct script_spec *spec, struct err *err)
{
	for (size_t i = 0; i < spec->count; i++) {
		if (!add_segment(b, spec, &spec->job->segments[spec->first + i], err))
			return false;
		buf_adds(b, "[ \"$davit_exit\" -eq 0 ] || exit \"$davit_exit\"\n");
	}
	return true;
}

/* davit_code is the job's exit code up to here. */
static void
add_status(struct buf *b, const struct script_spec *spec)
{
	buf_addf(b, "davit_code=%d\n", spec->status != NULL);
	buf_adds(b, "davit_folder=");
	add_quoted(b, spec->folder);
	buf_addf(b,
	    "\necho $$ >\"$davit_folder\"/pid\n"
	    "davit_status() {\n"
	    "DAVIT_JOB_STATUS=%s\n"
	    "[ \"$davit_code\" -eq 0 ] && DAVIT_JOB_STATUS=passed\n"
	    "[ ! -e \"$davit_folder\"/status ] || read -r DAVIT_JOB_STATUS <\"$davit_folder\"/status\n"
	    "export DAVIT_JOB_STATUS\n"
	    "}\n",
	    spec->status != NULL ? spec->status : "failed");
}

/* With segments that run always, or a script that waits at its end. */
static bool
add_segments(struct buf *b, const struct script_spec *spec, struct err *err)
{
	size_t after = script_after(spec->job), end = spec->first + spec->count;

	add_status(b, spec);
	for (size_t i = spec->first; i < end; i++) {
		const struct segment_spec *segment = &spec->job->segments[i];

		if (segment->always) {
			if (i == after)
				buf_addf(
				    b, "printf '\\036%s end " MARKER_JOB " %%d\\n' \"$davit_code\"\n", spec->nonce);
			buf_adds(b, "davit_status\n");
			if (!add_segment(b, spec, segment, err))
				return false;
		} else if (spec->status == NULL) {
			buf_adds(b, "if [ \"$davit_code\" -eq 0 ]; then\n");
			if (!add_segment(b, spec, segment, err))
				return false;
			buf_adds(b, "davit_code=$davit_exit\nfi\n");
		}
	}
	if (spec->hold_s > 0) {
		buf_adds(b, "if [ \"$davit_code\" -ne 0 ] && [ ! -e \"$davit_folder\"/status ]; then\n");
		if (after >= end)
			buf_addf(b, "printf '\\036%s end " MARKER_JOB " %%d\\n' \"$davit_code\"\n", spec->nonce);
		buf_addf(
		    b, "printf '\\036%s begin " MARKER_HOLD "\\n'\nexec sleep %u\nfi\n", spec->nonce, spec->hold_s);
	}
	buf_adds(b, "exit \"$davit_code\"\n");
	return true;
}

/* The file is that of all who are in the network, one after the other: what we wrote before goes. It is no file of
 * ours, and bound into the container: it cannot be replaced, only written. */
static void
add_hosts(struct buf *b, const struct env *hosts, const char *file)
{
	buf_adds(b, "davit_hosts=\nif [ -w ");
	add_quoted(b, file);
	buf_adds(b, " ]; then\nwhile IFS= read -r davit_line || [ -n \"$davit_line\" ]; do case $davit_line in\n*'# "
		    "davit') ;;\n"
		    "*) davit_hosts=\"$davit_hosts$davit_line\n\" ;;\nesac; done <");
	add_quoted(b, file);
	buf_adds(b, "\nprintf '%s' \"$davit_hosts\"");
	for (size_t i = 0; i < hosts->count; i++) {
		char *line = xasprintf("%s\t%s # davit\n", hosts->vars[i].value, hosts->vars[i].name);

		add_quoted(b, line);
		free(line);
	}
	buf_adds(b, " >");
	add_quoted(b, file);
	buf_adds(b, "\nfi\nunset davit_hosts davit_line\n");
}

static bool
add_script(struct buf *b, const struct script_spec *spec, struct err *err)
{
	if (spec->preamble != NULL)
		buf_adds(b, spec->preamble);
	if (!check_commands(spec, err) || !add_env(b, spec->environment, add_quoted, err) ||
	    !add_env(b, &spec->job->env, add_expanding, err))
		return false;
	if (spec->hosts != NULL && spec->hosts->count > 0)
		add_hosts(b, spec->hosts, spec->hosts_file);
	buf_adds(b, "cd ");
	add_quoted(b, spec->workspace);
	buf_addf(b, " || exit %d\nexport -p >", SCRIPT_NO_WORKSPACE);
	add_quoted(b, spec->folder);
	buf_adds(b, "/" SCRIPT_ENV "\n"
		    "if command -v bash >/dev/null 2>&1; then davit_shell=bash; else davit_shell=sh; fi\n");
	if (!(has_ending(spec) ? add_segments : add_plain_segments)(b, spec, err))
		return false;
	return !buf_failed(b) || err_set(err, ERR_LIMIT, 0, "the job's script is larger than %u bytes", SCRIPT_MAX);
}

bool
script_make(const struct script_spec *spec, char **ret, size_t *len, struct err *err)
{
	struct buf b;
	bool ok;

	assert(strlen(spec->nonce) == MARKER_NONCE_LEN && strspn(spec->nonce, "0123456789abcdef") == MARKER_NONCE_LEN);
	assert(spec->first + spec->count <= spec->job->segment_count);
	buf_init(&b, SCRIPT_MAX);
	ok = add_script(&b, spec, err);
	if (ok)
		*ret = buf_take(&b, len);
	buf_fini(&b);
	return ok;
}

/* The tar that will unpack the job waits from the start on, and the script runs in this shell: a new process would cost
 * a millisecond. */
const char script_boot[] = "command -v tar >/dev/null 2>&1 || { printf '" SCRIPT_BOOT_NO_TAR "'; exit 125; }\n"
			   "mkdir -p \"$1\" || exit 125\n"
			   "printf '" SCRIPT_BOOT_READY "'\n"
			   "tar -x -f - -C \"$0\" && [ -e \"$2/" SCRIPT_BOOT_WHOLE "\" ] || exit 125\n"
			   "exec </dev/null\n"
			   ". \"$2/script\"\n";

/* A process that takes up a job may ask again, which must not meet what runs always. The word first, so that the script
 * knows it when its segment has ended. The script stands still meanwhile, so that nothing of what runs always is met.
 * Not the container's init, this shell, and the script. Three rounds, for what was started meanwhile. */
const char script_stop[] = "[ ! -e \"$0/status\" ] || exit 0\n"
			   "echo \"$1\" >\"$0/status\" && read -r davit_pid <\"$0/pid\" || exit\n"
			   "kill -STOP \"$davit_pid\"\n"
			   "for davit_round in 1 2 3; do\n"
			   "for davit_process in /proc/[0-9]*; do\n"
			   "davit_process=${davit_process#/proc/}\n"
			   "case $davit_process in\n"
			   "1 | $$ | \"$davit_pid\") ;;\n"
			   "*) kill -KILL \"$davit_process\" 2>/dev/null ;;\n"
			   "esac\n"
			   "done\n"
			   "done\n"
			   "kill -CONT \"$davit_pid\"\n";
