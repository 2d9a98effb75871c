/* The records that Redis holds, as plain structs. Strings are owned and never NULL ("" when there is none); times are
 * milliseconds since 1970, 0 when it has not happened; numbers are 0 when not set.
 *
 * A record that a callback of store.h gets is handed over: free it with its _free function, which takes the pointer's
 * address, sets it to NULL and accepts NULL. doc/redis-keys.md has the same fields under the same names. */
#ifndef DAVIT_STORE_RECORDS_H
#define DAVIT_STORE_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/change.h"

/* In the order in which a build passes through them; the first four are not final. A build of others than forks begins
 * with planning. */
enum build_state {
	BUILD_WAITING,  /* for an approval: a fork's, of which nothing has been read yet */
	BUILD_PLANNING, /* accepted; its pipeline is not known yet */
	BUILD_QUEUED,   /* its jobs wait for a slot */
	BUILD_RUNNING,
	BUILD_PASSED,
	BUILD_FAILED, /* theirs: a command ended with another code than 0, or the pipeline file is wrong */
	BUILD_CANCELLED,
	BUILD_TIMED_OUT,
	BUILD_ERROR, /* ours: engine, network, disk */
};

enum job_state {
	JOB_WAITING, /* for jobs that it needs */
	JOB_QUEUED,  /* waits for its turn in its group, for a slot, or for the time of its next attempt */
	JOB_RUNNING,
	JOB_PASSED, /* from here on it is final */
	JOB_FAILED,
	JOB_CANCELLED,
	JOB_TIMED_OUT,
	JOB_ERROR,
	JOB_SKIPPED, /* its conditions, or what became of the jobs that it needs, left it out */
};

#define REPO_ID_MAX 64
#define JOB_ID_MAX 40 /* "17.2", with its NUL */

/* A repository as its owner set it up. */
struct repo {
	char *id;      /* 1..64 of a-z 0-9 . _ -, the first one a letter or digit; stands in the webhook's address */
	char *name;    /* as the forge writes it: acme/app */
	char *url;     /* to fetch from */
	char *forge;   /* "github", "gitlab", "gitea", "generic" */
	char *api;     /* base URL of the forge's API */
	char *web;     /* base URL of the forge's pages */
	char *secret;  /* of the webhook; in clear here, sealed in Redis */
	char *token;   /* for fetch and statuses; likewise */
	char *emails;  /* addresses, separated by commas */
	bool statuses; /* whether commit statuses are posted */
	char *events;  /* what builds: see proto/trigger.h for this and the following four */
	char *branches;
	char *tags;
	char *pulls;
	char *forks;
	int64_t approval_s;  /* a fork's build waits so long for an approval; 0: seven days */
	int64_t max_running; /* jobs at the same time; 0: as many as there are slots */
	int64_t weight;      /* its share of the slots when others wait too: 1..1000; 0 is taken as 1 */
	int64_t priority;    /* of its jobs: 1 (first) .. 7; 0 is taken as 3 */
	int64_t running;     /* jobs now; kept by the store */
	int64_t created_ms;  /* kept by the store */
	char *poll_error;    /* likewise: why they could not be compared the last time; "" */
	int64_t first_image; /* likewise: the change of which the first build of an image was; 0: there was none */
	char *parameters; /* likewise: what builds by hand may choose, JSON, see parameters_to_json; "" for nothing */
};

struct job {
	char *id; /* "17.2": the second job of build 17 */
	int64_t build;
	char *repo;
	char *name;
	enum job_state state;
	int64_t attempt; /* 1, 2, ... */
	char *history;   /* how the attempts before ended, one a line; the oldest may be missing */
	char *image;
	char *spec;   /* JSON, see job_spec_from_json */
	char *needs;  /* numbers of the jobs of its build that it needs: "1 3" */
	char *run_on; /* "failure", "always"; "": success */
	bool allow_failure;
	char *labels;           /* that its engine has to have, see proto/labels.h */
	char *group;            /* of which one job runs at a time; "": none */
	char *reused_from;      /* of a job whose result was taken over: the one that ran, with log and artifacts */
	int64_t priority;       /* 0 (first) .. 7 */
	char *waits_for;        /* of a waiting or queued job, in words; made when it is read */
	char *node;             /* that claimed it */
	char *engine;           /* that runs it */
	char *container;        /* "" before job_started */
	char *progress;         /* before that container, see proto/progress.h; "": it is the first */
	char *token;            /* the claim's fencing token */
	int64_t exit_code;      /* -1: none */
	char *reason;           /* why it ended so, or why it is run again */
	bool cancel;            /* somebody asked a running job to end */
	enum job_state verdict; /* of a running job: how it will come out; JOB_WAITING: that is not known */
	int64_t verdict_exit;   /* its exit code then */
	char *verdict_reason;
	int64_t queued_ms;
	int64_t started_ms;
	int64_t finished_ms;
	int64_t log_bytes;
	char *built;         /* id of the image that an attempt has built; "": none */
	char *built_on;      /* the engine that has it */
	char *images;        /* that it has made, see proto/built_image.h */
	char *kind;          /* of the environment, when it began to bring an application there: "engine", "swarm"; else "" */
	int64_t deployment;  /* number of its deployment; 0: none */
	char *environment;   /* to which it deploys; "": none */
	char *needed_images; /* of a claimed one: those of the jobs that it needs, the nearest first */
};

/* One change's pipeline. */
struct build {
	int64_t build; /* its number */
	char *repo;
	int64_t change_id; /* number of the change: that of the first build made of it */
	enum build_state state;
	char *reason; /* why it ended so, one line */
	char *ref;    /* CHANGE_REF_DEFAULT: the default branch, whose name is put here when the build is planned */
	char *branch; /* "" until then */
	char *commit;
	char *title;
	char *author;
	char *event;       /* change_event_name() */
	int64_t commit_ms; /* when its commit was made, by the committer's clock; 0: not known (yet) */
	int64_t created_ms;
	int64_t planned_ms;
	int64_t started_ms;
	int64_t finished_ms;
	int64_t job_total;
	int64_t jobs_left;
	bool cancel;
	char *notify;   /* JSON, see notify_spec_from_json; "" when nobody is to be told */
	char *warnings; /* of the pipeline file, one a line */
	char *previous; /* of a finished one: final state of the build before it on the same ref, "" for the first */
	int64_t tests;  /* of all jobs that reported any */
	int64_t tests_failed;
	char *coverage;        /* covered lines in hundredths of a percent; "" when nothing was said of them */
	char *coverage_before; /* of the build before it on the same ref that had any; "" for the first */
	int64_t rerun_of;      /* 0: not a rerun */
	char *base;            /* of a pull request that is built merged: the target's commit */
	char *built;           /* and the merge that is built; "": commit itself */
	char *approved_by;
	char *rerun_jobs;      /* of a rerun: "failed", a job's number, or "deploy NAME"; "": all */
	int64_t attempt;       /* of planning */
	char *node;            /* that plans it */
	char *token;           /* of the planning claim */
	struct change *change; /* NULL where store.h does not promise it */
	struct job *jobs;      /* in order; empty where store.h does not promise them */
	size_t job_count;
};

/* Times at which a repository is built. */
struct schedule {
	char *repo;
	char *name; /* as a repository's id */
	char *rule; /* see proto/cron.h */
	char *zone; /* name of its time zone: "UTC", "Europe/Berlin" */
	char *branch;
	char *params; /* JSON, see proto/params.h; "" for none */
	int64_t next_ms;
	int64_t last_ms;    /* when it was due last; kept by the store, as is */
	int64_t last_build; /* the build made then; 0: none yet */
};

/* What a person or a program shows to be let in, see proto/role.h. The administrator's own is not one of these. */
struct access_token {
	char *name;   /* of who has it, as a repository's id */
	char *role;   /* role_name() */
	char *sha256; /* of the token, which itself is kept nowhere */
	char *created_by;
	int64_t created_ms;
};

#define ACCESS_TOKEN_ADMIN "admin" /* who has the token of the state folder */

/* See proto/secret.h. */
struct secret {
	char *scope; /* "repo", "org", "environment" */
	char *owner; /* a repository's id, an organisation, an environment */
	char *name;
	char *value;        /* in clear here, sealed in Redis; "" in lists */
	char *events;       /* that may use it, separated by commas; "": all */
	char *branches;     /* patterns, likewise */
	int64_t created_ms; /* kept by the store, as is the other */
	int64_t changed_ms;
};

/* A place that a repository deploys to; the rules are those of proto/environment.h. What follows approve is kept by the
 * store. */
struct environment {
	char *repo;
	char *name;
	char *kind;
	char *engine;    /* of the kinds engine and swarm: its name; "": the first */
	char *image;     /* in which the command runs, where the pipeline names none */
	char *command;   /* likewise what runs */
	char *variables; /* of its jobs, JSON, see proto/params.h; "" for none */
	char *events;
	char *branches;
	char *tags;
	char *deployers;
	char *watch;     /* the image with its tag that it follows, see delivery/watch.h; "" for none */
	bool approve;    /* each deployment waits for an approval */
	char *locked_by; /* "": it is not locked */
	char *lock_reason;
	int64_t locked_ms;
	int64_t deployed; /* number of the last deployment that passed; 0: none */
	int64_t deployed_ms;
	int64_t open; /* deployments that have not ended */
	int64_t created_ms;
	char *watch_digest; /* where that tag was when it was last asked about; "": not yet */
	char *watch_error;  /* why it could not be; "" */
};

/* What was deployed, or is to be: it goes through the states of its job. */
struct deployment {
	int64_t number;
	char *repo;
	char *environment;
	int64_t build;
	char *job;
	char *event;
	char *ref;
	char *commit;
	char *image;  /* that was deployed; "": the pipeline named none */
	char *images; /* of an application: the very images, see proto/built_image.h */
	char *person; /* who brought it */
	char *approved_by;
	enum job_state state;
	char *reason;
	int64_t attempt;
	char *history;     /* how the attempts before ended, one a line */
	int64_t redeploys; /* number of the deployment that was made again; 0: none */
	int64_t created_ms;
	int64_t started_ms;
	int64_t finished_ms;
};

/* Something to tell somebody. Targets: "build:17" is the event "build 17 has a new state", which notify/ turns into
 * notices for real targets by store_outbox_fanout. */
struct notice {
	char *notice; /* its id */
	char *target; /* order is kept within a target */
	char *kind;   /* "build" for events, otherwise notify/'s word: status, mail */
	int64_t build;
	char *state;      /* the build's new state */
	char *payload;    /* notify/'s own */
	int64_t attempts; /* made so far */
	int64_t created_ms;
	char *last_error;
};

const char *build_state_name(enum build_state state); /* "planning", "timed_out" */
bool build_state_from_name(const char *name, enum build_state *ret);
bool build_state_is_final(enum build_state state);
const char *job_state_name(enum job_state state);
bool job_state_from_name(const char *name, enum job_state *ret);
bool job_state_is_final(enum job_state state);

bool repo_id_is_valid(const char *id);
bool access_token_name_is_valid(const char *name);
/* "17.2" to 17 and 2; false for anything else. */
bool job_id_parse(const char *id, int64_t *build, int64_t *k);

struct repo *repo_copy(const struct repo *repo);
void repo_free(struct repo **repo);
void job_free(struct job **job);
void build_free(struct build **build);
void notice_free(struct notice **notice);
void environment_free(struct environment **environment);
/* Wipes the value. */
void secret_fini(struct secret *secret);

/* What callbacks get as lists is handed over too. */
struct repo_list {
	struct repo *items;
	size_t count;
};

struct build_list {
	struct build *items;
	size_t count;
};

struct job_list {
	struct job *items;
	size_t count;
};

struct access_token_list {
	struct access_token *items;
	size_t count;
};

struct secret_list {
	struct secret *items;
	size_t count;
};

struct schedule_list {
	struct schedule *items;
	size_t count;
};

struct environment_list {
	struct environment *items;
	size_t count;
};

struct deployment_list {
	struct deployment *items;
	size_t count;
};

void repo_list_fini(struct repo_list *list);
void build_list_fini(struct build_list *list);
void job_list_fini(struct job_list *list);
void access_token_list_fini(struct access_token_list *list);
void secret_list_fini(struct secret_list *list);
void schedule_list_fini(struct schedule_list *list);
void environment_list_fini(struct environment_list *list);
void deployment_list_fini(struct deployment_list *list);

#endif
