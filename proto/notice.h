/* Who hears about a build's new state, and in which words. Pure: the notification component (server/notify/) has the
 * records, the clock and the wires. */
#ifndef DAVIT_PROTO_NOTICE_H
#define DAVIT_PROTO_NOTICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/plan.h"
#include "proto/str.h"

#define NOTICE_RECIPIENTS_MAX 32

/* One job, as a mail shows it. */
struct notice_job {
	const char *id;
	const char *name;
	const char *state; /* "passed", "timed_out" */
	const char *reason;
	int64_t exit_code; /* -1: none */
};

/* All strings are borrowed and never NULL, "" when there is none; times are milliseconds since 1970, 0: not happened.
 */
struct notice_build {
	int64_t number;
	const char *state;    /* its new one: "running", "passed", "timed_out" */
	const char *previous; /* final state of the build before it on the same ref; "" for the first */
	const char *repo;     /* acme/boat */
	const char *branch;
	const char *commit;
	const char *title;
	const char *author;
	const char *reason;
	const char *tests; /* report_print_summary's */
	int64_t started_ms;
	int64_t finished_ms;
	const struct notice_job *jobs;
	size_t job_count;
	const char *link;    /* of the build's page */
	const char *log_job; /* id of the job that log_tail is of */
	struct str log_tail; /* the last lines of its log; may begin in the middle of one */
};

/* Whether a forge hears of this state: each but "queued", which is the same to it as "planning" before it. */
bool notice_wants_status(const char *state);
/* Whether people hear of it. spec NULL: the defaults. A "change" is a first failure, or a pass after a failure. */
bool notice_wants_mail(const struct notify_spec *spec, const char *state, const char *previous);

/* Those whom spec (NULL: nobody) and the comma list of the repository's settings name, each once, without what is no
 * address. At most NOTICE_RECIPIENTS_MAX; free with notice_recipients_free. */
char **notice_recipients(const struct notify_spec *spec, const char *emails, size_t *count);
void notice_recipients_free(char ***recipients, size_t count);

/* "passed in 12 s", "running": the commit status' text; free() it. */
char *notice_description(const struct notice_build *build);
/* The mail's subject and text; free() them. */
char *notice_subject(const struct notice_build *build);
char *notice_text(const struct notice_build *build);

/* How long to wait before attempt number `attempts` + 1: first_ms doubled each time up to max_ms, and up to a fifth
 * more, by a random byte, so that what failed together does not come back together. */
int64_t notice_delay_ms(int64_t attempts, int64_t first_ms, int64_t max_ms, unsigned char random);

#endif
