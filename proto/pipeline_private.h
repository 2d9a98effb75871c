/* What the files of the pipeline reader share. Each of them reads one noun; pipeline_job.c has the table of a job's
 * keys, the only place that says which there are.
 *
 * A file becomes drafts (a job as it is written), a draft its jobs (one for each combination of its matrix). Values
 * come from layers: the job's own mapping, then the file's top, then what it includes. */
#ifndef DAVIT_PROTO_PIPELINE_PRIVATE_H
#define DAVIT_PROTO_PIPELINE_PRIVATE_H

#include "proto/arena.h"
#include "proto/condition.h"
#include "proto/nearest.h"
#include "proto/pipeline.h"

enum {
	PIPELINE_JOBS_MAX = 256,
	PIPELINE_NAME_MAX = 100,
	PIPELINE_LIST_MAX = 200, /* items of a list of texts */
};

/* The forms of a file; bits, as a key stands in several. */
enum {
	FORM_FLAT = 1,   /* one job, at the file's top or below test: */
	FORM_STAGES = 2, /* stages, and jobs beside them */
	FORM_JOBS = 4,   /* jobs below jobs: */
	FORM_TOP = 8,    /* at the top of the two before, for all their jobs */
	FORM_HALF = 16,  /* build: of version 2, which has keys of its own */
	FORM_ANY = FORM_FLAT | FORM_STAGES | FORM_JOBS,
};

/* A job that another one wants behind it. */
struct draft_need {
	const char *name;
	const struct yml_node *at;
	bool files;
	size_t draft; /* found later */
	size_t job;   /* the one of its matrix that is meant; SIZE_MAX: all */
};

/* A job as it is written. */
struct draft {
	const char *name;
	const struct yml_node *key;
	const struct yml_node *node; /* its mapping */
	unsigned form;
	enum job_kind kind;
	unsigned stage; /* of FORM_STAGES */
	bool gives_all; /* its whole workspace is handed over: a dependency of FORM_STAGES */
	struct draft_need *needs;
	size_t need_count;
	size_t first, count; /* its jobs in the plan */
};

struct pipeline {
	const struct yml *doc;
	const struct pipeline_context *context; /* never NULL */
	struct plan *plan;                      /* being made */
	struct err *err;
	struct arena arena;             /* texts that live as long as the reading */
	size_t bytes;                   /* of text taken over: aliases let a small file name the same text many times */
	size_t job_bytes;               /* of the job that is being read */
	struct condition_budget budget; /* for conditions on names */
	struct condition_budget path_budget; /* on the changed files */

	struct yml *included[PIPELINE_INCLUDE_MAX];
	size_t included_count;
	const struct yml_node *layers[PIPELINE_INCLUDE_MAX + 1]; /* mappings with defaults, the strongest first */
	size_t layer_count;

	struct draft *drafts;
	size_t draft_count;
	size_t *owners; /* of each job of the plan: its draft */

	struct draft *draft;   /* the one that is being read */
	struct env matrix;     /* its values in this combination, */
	const char *suffix;    /* as they stand behind its name, */
	bool allow_failure;    /* and whether the combination may fail */
	bool skipped;          /* its conditions left it out: what has no value need not have one */
	const char *missing;   /* what an image's name asks for, and this event does not have; NULL: nothing */
	const char *lacks;     /* what any of its texts asks for and is left as it is written, likewise */
	struct env parameters; /* of the file, with their values */
};

/* --- pipeline.c: messages and texts --- */

/* Adds a warning "FILE:LINE:COLUMN: ..." to the plan; from the hundredth on they are dropped. */
void pipeline_warn(struct pipeline *p, const struct yml_node *at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Refuses the node: "KEY wants WHAT, not a list". Returns false. */
bool pipeline_wants(struct pipeline *p, const struct yml_node *at, const char *key, const char *what);
/* Refuses the key: "unknown key "X" in WHERE", with the nearest of those offered, or what other systems' word is here.
 * where may be NULL. Returns false. */
bool pipeline_unknown(struct pipeline *p, const struct yml_node *key, const char *where, const struct nearest *near);
/* Counts text against the limits; false when one is passed. */
bool pipeline_count(struct pipeline *p, const struct yml_node *at, size_t len);
/* The mapping's key itself, for its place; NULL when it has none of that name. */
const struct yml_node *pipeline_find_key(const struct yml_node *mapping, const char *name);

/* --- pipeline_text.c: ${...} --- */

/* What stands for what in a text. ${matrix.X} and ${parameters.X} are replaced everywhere. */
enum pipeline_text {
	TEXT_VALUE,   /* ${branch} and the like too; an unknown name is an error */
	TEXT_IMAGE,   /* likewise, and a name that has no value leaves the job out */
	TEXT_CACHE,   /* likewise, but ${checksum:FILE} stays */
	TEXT_LITERAL, /* all other dollar signs stay */
	TEXT_SHELL,   /* likewise, and a parameter becomes a reference to its variable, so that no value is run */
};
/* The node's text, replaced; good as long as p is. "" for what is no scalar. */
bool pipeline_text(struct pipeline *p, const struct yml_node *node, enum pipeline_text kind, const char **ret);

/* --- pipeline_field.c: mappings with fixed keys, and simple values --- */

/* at is what the row's offset names in the mapping's struct. */
typedef bool pipeline_read_fn(struct pipeline *p, const char *name, const struct yml_node *value, void *at);

struct pipeline_field {
	const char *name;
	pipeline_read_fn *read;
	size_t offset;
};

/* Each pair of the mapping by its row; where is what the mapping is, for messages. */
bool pipeline_read_fields(struct pipeline *p, const struct yml_node *node, const char *where,
    const struct pipeline_field *fields, size_t count, void *target);
#define PIPELINE_READ_FIELDS(p, node, where, fields, target) \
	pipeline_read_fields(p, node, where, fields, sizeof(fields) / sizeof((fields)[0]), target)

bool pipeline_read_text(struct pipeline *p, const char *name, const struct yml_node *value, void *at);  /* char * */
bool pipeline_read_texts(struct pipeline *p, const char *name, const struct yml_node *value, void *at); /* strings */
bool pipeline_read_bool(struct pipeline *p, const char *name, const struct yml_node *value, void *at);  /* bool */
/* Whether a fullwidth number sign (U+FF03) begins a word: somebody took it for the sign that begins a comment. */
bool pipeline_has_fullwidth(const struct yml_node *node);
bool pipeline_read_image_name(
    struct pipeline *p, const char *name, const struct yml_node *value, void *at);   /* char * */
bool pipeline_duration(const struct yml_node *value, uint64_t max_s, unsigned *ret); /* from 1s on */
/* A path below the repository's root, without / or ./ before it: "" for the root itself. */
bool pipeline_read_path(struct pipeline *p, const char *name, const struct yml_node *value, void *at);   /* char * */
bool pipeline_read_cpus(struct pipeline *p, const char *name, const struct yml_node *value, void *at);   /* uint64_t */
bool pipeline_read_memory(struct pipeline *p, const char *name, const struct yml_node *value, void *at); /* uint64_t */
/* NAME=VALUE, as a list or a mapping. */
bool pipeline_read_pairs(struct pipeline *p, const char *name, const struct yml_node *value, void *at); /* strings */
/* Appends a zeroed item to a list of the struct. */
void *pipeline_append(void *list, size_t *count, size_t size);

/* --- one noun each --- */

/* Whose variables they are. A job's values keep references ($NAME) alive and write a dollar sign as $$; a service's are
 * taken literally, since no shell reads them; a build's arguments too, and ${branch} stands in them. */
enum pipeline_env { PIPELINE_ENV_JOB, PIPELINE_ENV_SERVICE, PIPELINE_ENV_BUILD };
bool pipeline_read_env(struct pipeline *p, const struct yml_node *node, enum pipeline_env whose, struct env *env);

bool pipeline_read_services(struct pipeline *p, const struct yml_node *node, struct job_spec *job);

/* Readers of a job's keys, for the table in pipeline_job.c. */
typedef bool pipeline_job_fn(struct pipeline *p, const char *name, const struct yml_node *value, struct job_spec *job);
pipeline_job_fn pipeline_job_segment, pipeline_job_install, pipeline_job_after, pipeline_job_steps; /* _script.c */
pipeline_job_fn pipeline_job_when, pipeline_job_only, pipeline_job_except, pipeline_job_pull_request,
    pipeline_job_changed;                                                                               /* _when.c */
pipeline_job_fn pipeline_job_cache, pipeline_job_artifacts, pipeline_job_reports, pipeline_job_secrets; /* _files.c */
pipeline_job_fn pipeline_job_timeout, pipeline_job_retry, pipeline_job_allow_failure, pipeline_job_resources,
    pipeline_job_labels, pipeline_job_old_label, pipeline_job_concurrency, pipeline_job_hold,
    pipeline_job_mirror; /* _run.c */
pipeline_job_fn pipeline_job_build, pipeline_job_dockerfile, pipeline_job_build_dir, pipeline_job_build_args,
    pipeline_job_compile, pipeline_job_extract, pipeline_job_package;        /* _build.c */
pipeline_job_fn pipeline_job_deploy, pipeline_job_app, pipeline_job_cluster; /* _deploy.c */

/* The folders for reports of old, where the commands name them. */
void pipeline_add_old_reports(struct job_spec *job);
/* Whether a text is the name of a variable, for secrets and parameters. */
bool pipeline_is_variable(const char *name);
/* application: of a job that deploys, its value in the pipeline or the text of a compose file. */
bool pipeline_read_application(struct pipeline *p, const struct yml_node *node, struct deploy_spec *deploy);
/* What remains to be said of a build when all its keys are read. */
bool pipeline_finish_build(struct pipeline *p, const struct yml_node *at, struct job_spec *job);
/* build: of version 2. */
bool pipeline_read_old_build(struct pipeline *p, const struct yml_node *node, struct job_spec *job);

/* --- pipeline_job.c --- */

/* Makes the draft's jobs, one for each combination of its matrix. */
bool pipeline_read_job(struct pipeline *p, struct draft *draft);
bool pipeline_is_job_key(const char *name, unsigned form);
/* Offers all keys of the form. */
void pipeline_offer_job_keys(struct nearest *near, unsigned form);
/* A new draft; its name is checked. NULL: refused. */
struct draft *pipeline_add_draft(
    struct pipeline *p, const struct yml_node *key, const char *name, const struct yml_node *node, unsigned form);

/* --- the forms --- */

bool pipeline_read_flat(struct pipeline *p, const struct yml_node *root);
bool pipeline_read_halves(struct pipeline *p, const struct yml_node *root);
bool pipeline_read_stages(struct pipeline *p, const struct yml_node *root);
bool pipeline_read_jobs(struct pipeline *p, const struct yml_node *root);
/* Whether the file looks like stages without their list: a mapping with stage: or job_type: in it. */
bool pipeline_has_staged_job(const struct yml_node *root);
/* Keys of the file itself, which are no job's. */
bool pipeline_is_file_key(const char *name);
const char *pipeline_file_key_name(size_t i); /* NULL behind the last one */
void pipeline_offer_file_keys(struct nearest *near);

/* The values of a matrix, combination by combination: fn is called with p->matrix set. */
typedef bool pipeline_combination_fn(struct pipeline *p, const char *suffix, bool allow_failure);
bool pipeline_each_combination(struct pipeline *p, const struct yml_node *matrix, pipeline_combination_fn *fn);

/* platforms: of build:, into a struct strings, each as proto/platform.h spells it. */
bool pipeline_read_platforms(struct pipeline *p, const char *name, const struct yml_node *value, void *at);
/* The job that was read last builds an image: with several platforms it becomes one for each of them, and the list's
 * behind these. again reads the same job once more, as the plan's next. */
typedef bool pipeline_again_fn(struct pipeline *p);
bool pipeline_expand_platforms(struct pipeline *p, const struct yml_node *at, pipeline_again_fn *again);
/* How many jobs right in front of this one are its platforms'. */
size_t pipeline_parts_of(const struct job_spec *job);
/* Whether the job with that index builds a platform for a list, which stands in front of end. */
bool pipeline_is_part(const struct job_spec *jobs, size_t index, size_t end);

/* Reads needs: into the draft, without looking whether there are such jobs. */
bool pipeline_read_needs(struct pipeline *p, const char *name, const struct yml_node *value, struct draft *draft);
void pipeline_add_need(struct draft *draft, const char *name, const struct yml_node *at, bool files);
/* Puts the plan's jobs behind what they need, and fills their needs. */
bool pipeline_settle_needs(struct pipeline *p);

bool pipeline_read_notify(struct pipeline *p, const struct yml_node *notify);
bool pipeline_read_parameters(struct pipeline *p, const struct yml_node *node);
bool pipeline_check_parameters(struct pipeline *p, const struct yml_node *root);
/* The items are added to *includes, which the caller ends in any case. */
bool pipeline_read_includes(struct pipeline *p, const struct yml_node *node, struct pipeline_includes *includes);
/* Those files, too, that the jobs below jobs: name as their applications. */
bool pipeline_read_application_files(
    struct pipeline *p, const struct yml_node *root, struct pipeline_includes *includes);
/* The root of such a file, which the node names; NULL: refused. */
const struct yml_node *pipeline_open_application(struct pipeline *p, const struct yml_node *node);
/* Parses the included texts that the context has, as further layers. */
bool pipeline_open_includes(struct pipeline *p, const struct yml_node *node);

#endif
