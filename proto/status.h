/* Commit statuses: the request that each forge wants, and what its answer means.
 *
 * GitHub: docs.github.com/rest/commits/statuses; GitLab: docs.gitlab.com/api/commits (set the status of a commit);
 * Gitea and Forgejo: /api/swagger, repoCreateStatus. */
#ifndef DAVIT_PROTO_STATUS_H
#define DAVIT_PROTO_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/err.h"
#include "proto/forge.h"
#include "proto/http1.h"
#include "proto/str.h"

enum status_state { STATUS_PENDING, STATUS_RUNNING, STATUS_PASSED, STATUS_FAILED, STATUS_CANCELLED, STATUS_ERROR };

/* From a build's state ("planning", "timed_out", ...). */
bool status_from_build(const char *build_state, enum status_state *ret);
/* Nothing follows it but by a rerun. */
bool status_is_final(enum status_state state);

/* 40 or 64 lower-case hex digits. */
bool status_commit_is_valid(const char *commit);

struct status {
	enum status_state state;
	const char *commit;
	const char *ref;         /* name of the branch or tag, which GitLab shows it for; NULL: not known */
	const char *context;     /* which of the commit's statuses it is: "davit" */
	const char *description; /* cut to 140 code points */
	const char *target_url;  /* where people read more; NULL: nowhere */
};

#define STATUS_HEADERS 4

struct status_header {
	const char *name;
	char *value;
};

struct status_request {
	const char *method;
	char *path; /* behind forge_repo.api */
	struct status_header headers[STATUS_HEADERS];
	size_t header_count;
	char *body;
	size_t body_len;
};

/* ERR_INPUT when the commit is none, the token cannot stand in a header, or the forge has no API. *ret is filled on
 * success only; end it with status_request_fini. It holds the token. */
bool status_encode(enum forge_kind kind, const struct forge_repo *repo, const struct status *status, const char *token,
    struct status_request *ret, struct err *err);
void status_request_fini(struct status_request *request);

enum status_verdict {
	STATUS_DONE,
	STATUS_RETRY, /* not now */
	STATUS_STOP,  /* never: the settings must change first */
};

struct status_judgement {
	enum status_verdict verdict;
	int64_t after_s; /* STATUS_RETRY: what the forge asked for, at most an hour; 0: it did not say */
	struct err err;  /* unless STATUS_DONE: the forge's words, and what to do */
};

/* body: of the answer; now_s: seconds since 1970, since some forges say when, not how long. */
struct status_judgement status_judge(
    enum forge_kind kind, const struct http1_head *head, struct str body, int64_t now_s);

#endif
