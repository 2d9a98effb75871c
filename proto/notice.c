#include "proto/notice.h"

#include <stdlib.h>
#include <string.h>

#include "proto/buf.h"
#include "proto/mail.h"
#include "proto/mem.h"
#include "proto/status.h"

#define TAIL_LINES 20
#define TEXT_MAX (60 * 1024)
#define JOBS_MAX 100

bool
notice_wants_status(const char *state)
{
	enum status_state known;

	return strcmp(state, "queued") != 0 && status_from_build(state, &known);
}

/* Passed or failed; what was cancelled says nothing about the code. */
enum verdict { VERDICT_NONE, VERDICT_GOOD, VERDICT_BAD };

static enum verdict
verdict_of(const char *state)
{
	enum status_state known;

	if (!status_from_build(state, &known))
		return VERDICT_NONE;
	switch (known) {
	case STATUS_PASSED:
		return VERDICT_GOOD;
	case STATUS_FAILED:
	case STATUS_ERROR:
		return VERDICT_BAD;
	case STATUS_PENDING:
	case STATUS_RUNNING:
	case STATUS_CANCELLED:
		break;
	}
	return VERDICT_NONE;
}

bool
notice_wants_mail(const struct notify_spec *spec, const char *state, const char *previous)
{
	enum verdict now = verdict_of(state), before = verdict_of(previous);
	enum notify_when when;

	if (now == VERDICT_NONE)
		return false;
	if (now == VERDICT_GOOD)
		when = spec != NULL ? spec->on_success : NOTIFY_CHANGE;
	else
		when = spec != NULL ? spec->on_failure : NOTIFY_ALWAYS;
	if (when != NOTIFY_CHANGE)
		return when == NOTIFY_ALWAYS;
	return now == VERDICT_GOOD ? before == VERDICT_BAD : before != VERDICT_BAD;
}

static void
add_recipient(char **list, size_t *count, struct str address)
{
	if (*count == NOTICE_RECIPIENTS_MAX || !mail_address_is_valid(address))
		return;
	for (size_t i = 0; i < *count; i++) {
		if (str_is_nocase(address, list[i]))
			return;
	}
	list[(*count)++] = str_dup(address);
}

char **
notice_recipients(const struct notify_spec *spec, const char *emails, size_t *count)
{
	char **list = xcalloc(NOTICE_RECIPIENTS_MAX, sizeof(*list));
	struct str rest = str_of(emails);

	*count = 0;
	while (rest.len > 0)
		add_recipient(list, count, str_trim(str_cut(&rest, ',')));
	for (size_t i = 0; spec != NULL && i < spec->recipient_count; i++)
		add_recipient(list, count, str_of(spec->recipients[i]));
	return list;
}

void
notice_recipients_free(char ***recipients, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free((*recipients)[i]);
	free(*recipients);
	*recipients = NULL;
}

static void
add_duration(struct buf *b, const struct notice_build *build)
{
	int64_t s = (build->finished_ms - build->started_ms + 500) / 1000;

	if (build->started_ms == 0 || build->finished_ms == 0 || s < 0)
		return;
	buf_adds(b, strcmp(build->state, "passed") == 0 ? " in" : " after");
	if (s >= 3600)
		buf_addf(b, " %d h", (int)(s / 3600));
	if (s >= 60)
		buf_addf(b, " %d min", (int)(s / 60 % 60));
	if (s < 3600)
		buf_addf(b, " %d s", (int)(s % 60));
}

/* States as people read them. */
static const char *
words_of(const char *state)
{
	static const char *const words[][2] = {
		{ "waiting", "waits for approval" },
		{ "timed_out", "timed out" },
		{ "error", "could not be run" },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(state, words[i][0]) == 0)
			return words[i][1];
	}
	return state;
}

char *
notice_description(const struct notice_build *build)
{
	struct buf b;

	buf_init(&b, TEXT_MAX);
	buf_adds(&b, words_of(build->state));
	add_duration(&b, build);
	if (build->tests[0] != '\0')
		buf_addf(&b, ": %.200s", build->tests);
	if (build->reason[0] != '\0' && verdict_of(build->state) != VERDICT_GOOD)
		buf_addf(&b, "%s %.2000s", build->tests[0] != '\0' ? ";" : ":", build->reason);
	return b.data;
}

/* What became of it, with an eye on the build before. */
static const char *
subject_words(const struct notice_build *build)
{
	enum verdict now = verdict_of(build->state), before = verdict_of(build->previous);

	if (now == VERDICT_GOOD && before == VERDICT_BAD)
		return "passed again";
	if (now == VERDICT_BAD && before == VERDICT_BAD && strcmp(build->state, "failed") == 0)
		return "failed again";
	return words_of(build->state);
}

char *
notice_subject(const struct notice_build *build)
{
	return xasprintf("[%.100s] %.100s %s (build %lld): %.2000s", build->repo, build->branch, subject_words(build),
	    (long long)build->number, build->title); /* mail_print() cuts the end */
}

static void
add_row(struct buf *b, const char *name, const char *value)
{
	if (value[0] != '\0')
		buf_addf(b, "%-8s %.1000s\n", name, value);
}

static void
add_jobs(struct buf *b, const struct notice_build *build)
{
	if (build->job_count > 0)
		buf_adds(b, "\nJobs\n");
	for (size_t i = 0; i < build->job_count && i < JOBS_MAX; i++) {
		const struct notice_job *job = &build->jobs[i];

		buf_addf(b, "  %s %.100s: %s", job->id, job->name, words_of(job->state));
		if (job->exit_code > 0)
			buf_addf(b, ", exit code %lld", (long long)job->exit_code);
		if (job->reason[0] != '\0')
			buf_addf(b, ", %.300s", job->reason);
		buf_addc(b, '\n');
	}
	if (build->job_count > JOBS_MAX)
		buf_addf(b, "  and %zu more\n", build->job_count - JOBS_MAX);
}

/* The last TAIL_LINES lines; the first line of what we were given may be half a line. */
static struct str
last_lines(struct str text)
{
	size_t at = text.len, lines = 0;

	if (at > 0 && text.p[at - 1] == '\n')
		at--;
	for (; at > 0; at--) {
		if (text.p[at - 1] == '\n' && ++lines == TAIL_LINES)
			break;
	}
	return (struct str){ text.p + at, text.len - at };
}

/* Bytes of the terminal's sequence (ECMA-48: ESC [ ... letter, or ESC and one byte) at the start of s. */
static size_t
sequence_len(struct str s)
{
	size_t len = 2;

	if (s.len < 2)
		return s.len;
	if (s.p[1] != '[')
		return 2;
	while (len < s.len && (unsigned char)s.p[len] >= 0x20 && (unsigned char)s.p[len] <= 0x3f)
		len++;
	return len < s.len ? len + 1 : len;
}

static void
add_log(struct buf *b, const struct notice_build *build)
{
	struct str s = last_lines(build->log_tail);

	if (s.len == 0)
		return;
	buf_addf(b, "\nThe end of the log of job %s\n> ", build->log_job);
	while (s.len > 0) {
		size_t len = s.p[0] == '\x1b' ? sequence_len(s) : 1;

		if (s.p[0] == '\n' && s.len > 1)
			buf_adds(b, "\n> ");
		else if ((unsigned char)s.p[0] >= ' ' || s.p[0] == '\t')
			buf_addc(b, s.p[0]);
		s = (struct str){ s.p + len, s.len - len };
	}
	if (b->data[b->len - 1] != '\n')
		buf_addc(b, '\n');
}

char *
notice_text(const struct notice_build *build)
{
	struct buf b;

	buf_init(&b, TEXT_MAX);
	buf_addf(&b, "Build %lld of %.200s %s", (long long)build->number, build->repo, words_of(build->state));
	add_duration(&b, build);
	buf_adds(&b, ".\n\n");
	add_row(&b, "Branch", build->branch);
	add_row(&b, "Commit", build->commit);
	add_row(&b, "", build->title);
	add_row(&b, "Author", build->author);
	add_row(&b, "Reason", build->reason);
	add_row(&b, "Tests", build->tests);
	add_row(&b, "Page", build->link);
	add_jobs(&b, build);
	add_log(&b, build);
	buf_adds(&b, "\n-- \nYou are named under notify: in the pipeline file, or in the repository's settings on this "
		     "server.\n");
	return b.data;
}

int64_t
notice_delay_ms(int64_t attempts, int64_t first_ms, int64_t max_ms, unsigned char random)
{
	int64_t delay = first_ms;

	for (int64_t i = 0; i < attempts && delay < max_ms; i++)
		delay *= 2;
	if (delay > max_ms)
		delay = max_ms;
	return delay + delay / 5 * random / 255;
}
