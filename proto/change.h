/* A change: what a forge told us happened to a repository, in one form for all forges. The first noun of the flow
 * change -> plan -> job -> container -> log -> result -> message. */
#ifndef DAVIT_PROTO_CHANGE_H
#define DAVIT_PROTO_CHANGE_H

#include <stdbool.h>
#include <stdint.h>

enum change_event { CHANGE_PUSH, CHANGE_TAG, CHANGE_PULL_REQUEST, CHANGE_MANUAL, CHANGE_CRON, CHANGE_API };

/* Whose code it is: a fork's gets no secrets and writes no trusted cache. */
enum change_trust { CHANGE_TRUSTED, CHANGE_FORK };

/* In place of a full name: the default branch, whose name is found out when the build is planned; branch is NULL then.
 */
#define CHANGE_REF_DEFAULT "HEAD"

/* All strings are owned; NULL when the forge did not say. */
struct change {
	enum change_event event;
	enum change_trust trust;
	char *ref;     /* full name: refs/heads/main, refs/tags/v1, refs/pull/7/head, refs/merge-requests/7/head */
	char *branch;  /* short name of the branch or tag; for a pull request the target branch */
	char *commit;  /* 40 or 64 lower-case hex digits; NULL: what ref points at when the build is planned */
	char *before;  /* the commit that ref pointed at before; NULL for a new ref */
	char *title;   /* first line of the head commit's message, or the pull request's title */
	char *message; /* the head commit's message, at most 64 kB */
	char *author_name;
	char *author_email;
	char *sender;        /* the login of who pushed */
	char *web_url;       /* page of the commit or pull request */
	char *fetch_url;     /* where the commit lies when it is not in the repository itself (a fork); else NULL */
	char *params;        /* of a manual run, JSON: {"NAME": "VALUE"}, see params.h; NULL: none */
	int64_t pull_number; /* 0: no pull request */
};

void change_fini(struct change *change);
const char *change_event_name(enum change_event event); /* "push", "tag", "pull_request", "manual", "cron", "api" */
bool change_event_from_name(const char *name, enum change_event *ret);

#endif
