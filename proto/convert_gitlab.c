/* .gitlab-ci.yml (docs.gitlab.com/ci/yaml): jobs by name, in stages or by needs; keys come from the job, what it
 * extends, default: and the file, in this order. */
#include "proto/convert_private.h"

#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"

/* extends: may go in circles, and each of a list again: the depth and the number of looks bound it. */
enum { EXTENDS_DEPTH = 10, LOOKS_MAX = 100000 };

/* --- what a job says, by itself or by what it extends --- */

static bool
may_look(struct convert *c)
{
	return c->looks++ < LOOKS_MAX;
}

static const struct yml_node *
from_extended(struct convert *c, const struct yml_node *job, const char *key, unsigned depth)
{
	const struct yml_node *root = yml_root(c->in);
	const struct yml_node *own = yml_get(job, key), *extends = yml_get(job, "extends");
	const struct yml_node *found = NULL;

	if (own != NULL || extends == NULL || depth == EXTENDS_DEPTH || !may_look(c))
		return own;
	if (yml_type(extends) == YML_SCALAR)
		return from_extended(c, yml_get(root, yml_text(extends)), key, depth + 1);
	for (size_t i = yml_count(extends); found == NULL && i > 0; i--) /* the last one wins */
		found = from_extended(c, yml_get(root, yml_text(yml_at(extends, i - 1))), key, depth + 1);
	return found;
}

static const struct yml_node *
job_get(struct convert *c, const struct yml_node *job, const char *key)
{
	const struct yml_node *root = yml_root(c->in);
	const struct yml_node *value = from_extended(c, job, key, 0);

	if (value == NULL)
		value = yml_get(yml_get(root, "default"), key);
	return value != NULL ? value : yml_get(root, key);
}

static const char *
stage_of(struct convert *c, const struct yml_node *job)
{
	const struct yml_node *stage = from_extended(c, job, "stage", 0);

	return stage != NULL ? yml_text(stage) : "test";
}

/* --- keys of a job --- */

static void
take_image(struct convert *c, const struct yml_node *value, struct ymlw_node *job)
{
	const struct yml_node *name = yml_type(value) == YML_MAPPING ? yml_get(value, "name") : value;

	if (yml_get(value, "entrypoint") != NULL)
		convert_note(c, value, "image: entrypoint needs no counterpart: entrypoints of images are not run");
	if (name != NULL)
		ymlw_set(c->out, job, "image", ymlw_text(c->out, str_of(yml_text(name))));
}

static struct ymlw_node *
service(struct convert *c, const struct yml_node *item)
{
	const struct yml_node *image = yml_get(item, "name"), *alias = yml_get(item, "alias");
	struct ymlw_node *to;

	if (yml_type(item) == YML_SCALAR)
		return ymlw_text(c->out, str_of(yml_text(item)));
	if (image == NULL)
		return NULL;
	for (size_t i = 0; i < yml_count(item); i++) {
		const char *key = yml_text(yml_key_at(item, i));

		if (strcmp(key, "name") != 0 && strcmp(key, "alias") != 0 && strcmp(key, "variables") != 0)
			convert_note(c, yml_key_at(item, i), "services: %.40s is not carried over", key);
	}
	to = ymlw_mapping(c->out);
	if (alias != NULL)
		ymlw_set(c->out, to, "name", ymlw_text(c->out, str_of(yml_text(alias))));
	ymlw_set(c->out, to, "image", ymlw_text(c->out, str_of(yml_text(image))));
	if (yml_get(item, "variables") != NULL)
		convert_env(c, yml_get(item, "variables"), to);
	return to;
}

static void
take_services(struct convert *c, const struct yml_node *value, struct ymlw_node *job)
{
	convert_add(c, job, "services", value, service);
}

/* key: text, or {files: [...], prefix: text} */
static struct ymlw_node *
cache_key(struct convert *c, const struct yml_node *key)
{
	const struct yml_node *files = yml_get(key, "files"), *prefix = yml_get(key, "prefix");

	if (yml_type(key) == YML_SCALAR && strncmp(yml_text(key), "$CI_COMMIT_REF", 14) == 0)
		return convert_text(c, "gitlab-${branch}");
	if (yml_type(key) == YML_SCALAR)
		return ymlw_text(c->out, str_of(yml_text(key)));
	if (yml_count(files) > 0)
		return convert_text(
		    c, "%s-${checksum:%s}", prefix != NULL ? yml_text(prefix) : "files", yml_text(yml_at(files, 0)));
	return convert_text(c, "default");
}

/* Each key that none of the words is. */
static void
note_others(struct convert *c, const struct yml_node *value, const char *where, const char *const *words)
{
	for (size_t i = 0; yml_type(value) == YML_MAPPING && i < yml_count(value); i++) {
		const struct yml_node *key = yml_key_at(value, i);
		size_t k = 0;

		while (words[k] != NULL && strcmp(words[k], yml_text(key)) != 0)
			k++;
		if (words[k] == NULL)
			convert_note(c, key, "%s: %.40s is not carried over", where, yml_text(key));
	}
}

static void
add_cache(struct convert *c, const struct yml_node *value, struct ymlw_node *job)
{
	static const char *const words[] = { "key", "paths", "policy", "fallback_keys", NULL };
	struct ymlw_node *cache = ymlw_mapping(c->out), *caches = ymlw_get(job, "cache");

	note_others(c, value, "cache", words);
	if (yml_count(yml_get(value, "paths")) == 0)
		return;
	if (yml_get(value, "policy") != NULL && strcmp(yml_text(yml_get(value, "policy")), "pull-push") != 0)
		convert_note(c, yml_get(value, "policy"), "cache: policy is not carried over");
	ymlw_set(c->out, cache, "key", cache_key(c, yml_get(value, "key")));
	convert_add(c, cache, "fallback", yml_get(value, "fallback_keys"), NULL);
	convert_add(c, cache, "paths", yml_get(value, "paths"), NULL);
	if (caches == NULL)
		ymlw_set(c->out, job, "cache", caches = ymlw_list(c->out));
	ymlw_add(c->out, caches, cache);
}

static void
take_cache(struct convert *c, const struct yml_node *value, struct ymlw_node *job)
{
	if (yml_type(value) == YML_MAPPING)
		add_cache(c, value, job);
	for (size_t i = 0; yml_type(value) == YML_SEQUENCE && i < yml_count(value); i++)
		add_cache(c, yml_at(value, i), job);
}

static void
add_expiry(struct convert *c, const struct yml_node *value, struct ymlw_node *artifact)
{
	const struct yml_node *expire = yml_get(value, "expire_in");
	char *duration = expire != NULL ? convert_duration(yml_text(expire), 1) : NULL;

	if (duration != NULL)
		ymlw_set(c->out, artifact, "expire", ymlw_text(c->out, str_of(duration)));
	else if (expire != NULL && strcmp(yml_text(expire), "never") != 0)
		convert_note(c, expire, "artifacts: expire_in \"%.40s\" is no duration", yml_text(expire));
	free(duration);
}

static void
add_outcome(struct convert *c, const struct yml_node *value, struct ymlw_node *artifact)
{
	const char *when = yml_text(yml_get(value, "when"));

	if (strcmp(when, "always") == 0 || strcmp(when, "on_failure") == 0)
		ymlw_set(c->out, artifact, "on", convert_text(c, "%s", when[0] == 'a' ? "always" : "failure"));
}

static void
take_artifacts(struct convert *c, const struct yml_node *value, struct ymlw_node *job)
{
	static const char *const words[] = { "paths", "expire_in", "reports", "when", NULL };
	const struct yml_node *reports = yml_get(value, "reports"), *coverage;
	struct ymlw_node *artifact = ymlw_mapping(c->out), *list;

	note_others(c, value, "artifacts", words);
	convert_add(c, artifact, "paths", yml_get(value, "paths"), NULL);
	if (ymlw_get(artifact, "paths") != NULL) {
		add_expiry(c, value, artifact);
		add_outcome(c, value, artifact);
		ymlw_set(c->out, job, "artifacts", list = ymlw_list(c->out));
		ymlw_add(c->out, list, artifact);
	}
	for (size_t i = 0; i < yml_count(reports); i++)
		if (strcmp(yml_text(yml_key_at(reports, i)), "junit") != 0 &&
		    strcmp(yml_text(yml_key_at(reports, i)), "coverage_report") != 0)
			convert_note(c, yml_key_at(reports, i), "reports: %.40s is not carried over",
			    yml_text(yml_key_at(reports, i)));
	if (yml_get(reports, "junit") != NULL)
		convert_add(c, convert_mapping(c, job, "reports"), "junit", yml_get(reports, "junit"), NULL);
	coverage = yml_get(yml_get(reports, "coverage_report"), "path");
	if (coverage != NULL)
		ymlw_set(c->out, convert_mapping(c, job, "reports"), "coverage",
		    ymlw_text(c->out, str_of(yml_text(coverage))));
}

static void
take_timeout(struct convert *c, const struct yml_node *value, struct ymlw_node *job)
{
	char *duration = convert_duration(yml_text(value), 60);

	if (duration != NULL)
		ymlw_set(c->out, job, "timeout", ymlw_text(c->out, str_of(duration)));
	else
		convert_note(c, value, "timeout \"%.40s\" is no duration", yml_text(value));
	free(duration);
}

static void
take_retry(struct convert *c, const struct yml_node *value, struct ymlw_node *job)
{
	const struct yml_node *max = yml_type(value) == YML_MAPPING ? yml_get(value, "max") : value;
	const struct yml_node *when = yml_get(value, "when");
	struct ymlw_node *retry = convert_mapping(c, job, "retry");

	if (max != NULL)
		ymlw_set(c->out, retry, "max", ymlw_plain(c->out, yml_text(max)));
	if (when == NULL || strcmp(yml_text(when), "always") == 0) {
		convert_add_text(c, retry, "on", "infrastructure");
		convert_add_text(c, retry, "on", "failure");
	} else if (strcmp(yml_text(when), "script_failure") == 0) {
		convert_add_text(c, retry, "on", "failure");
	} else {
		convert_add_text(c, retry, "on", "infrastructure");
	}
	ymlw_flow(ymlw_get(retry, "on"));
}

static void
take_interruptible(struct convert *c, const struct yml_node *value, struct ymlw_node *job)
{
	bool on = false;

	(void)job;
	if (yml_to_bool(value, &on) && on)
		convert_note(
		    c, value, "interruptible is not carried over: write concurrency: {group: ..., cancel: true}");
}

static void
take_allow_failure(struct convert *c, const struct yml_node *value, struct ymlw_node *job)
{
	bool allowed = yml_type(value) == YML_MAPPING;

	if (allowed)
		convert_note(c, value, "allow_failure: exit_codes is not carried over: every failure is allowed");
	if (allowed || (yml_to_bool(value, &allowed) && allowed))
		ymlw_set(c->out, job, "allow_failure", ymlw_plain(c->out, "true"));
}

static void
take_parallel(struct convert *c, const struct yml_node *value, struct ymlw_node *job)
{
	const struct yml_node *matrix = yml_get(value, "matrix");
	const struct yml_node *only = yml_count(matrix) == 1 ? yml_at(matrix, 0) : NULL;
	struct ymlw_node *to;

	if (only == NULL) {
		convert_note(c, value, "parallel is carried over for a matrix of one entry alone");
		return;
	}
	to = convert_mapping(c, job, "matrix");
	for (size_t i = 0; i < yml_count(only); i++) {
		const char *name = yml_text(yml_key_at(only, i));

		convert_add(c, to, name, yml_at(only, i), NULL);
		ymlw_set(c->out, convert_mapping(c, job, "env"), name, convert_text(c, "${matrix.%s}", name));
	}
}

static void
take_resource_group(struct convert *c, const struct yml_node *value, struct ymlw_node *job)
{
	ymlw_set(c->out, convert_mapping(c, job, "concurrency"), "group", ymlw_text(c->out, str_of(yml_text(value))));
}

static void
take_variables(struct convert *c, const struct yml_node *value, struct ymlw_node *job)
{
	convert_env(c, value, job);
}

/* --- conditions --- */

/* Words of only: and except: that are kinds of events. */
static const char *
event_of(const char *word)
{
	static const char *const events[][2] = { { "branches", "push" }, { "pushes", "push" }, { "tags", "tag" },
		{ "merge_requests", "pull_request" }, { "schedules", "cron" }, { "web", "manual" }, { "api", "api" },
		{ "triggers", "api" }, { "pipelines", "api" } };

	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++)
		if (strcmp(word, events[i][0]) == 0)
			return events[i][1];
	return NULL;
}

/* Names in only: and except: are branches, /regular expressions/, or words for kinds of events. */
static void
add_refs(struct convert *c, const struct yml_node *refs, const char *prefix, struct ymlw_node *job)
{
	struct ymlw_node *when = convert_mapping(c, job, "when");

	for (size_t i = 0; i < yml_count(refs); i++) {
		const char *event = event_of(yml_text(yml_at(refs, i)));

		if (event != NULL)
			ymlw_add(c->out, convert_list(c, when, "event"), convert_text(c, "%s%s", prefix, event));
		else
			convert_add_pattern(c, when, "branch", str_of(yml_text(yml_at(refs, i))), prefix);
	}
	if (prefix[0] == '\0' && ymlw_get(when, "event") != NULL && ymlw_get(when, "branch") != NULL)
		convert_note(c, refs,
		    "only: names branches and kinds of events, of which one was enough; below when: both must hold");
}

static void
add_only(struct convert *c, const struct yml_node *value, const char *prefix, struct ymlw_node *job)
{
	const struct yml_node *refs = yml_type(value) == YML_MAPPING ? yml_get(value, "refs") : value;
	const struct yml_node *changes = yml_get(value, "changes");

	if (refs != NULL)
		add_refs(c, refs, prefix, job);
	for (size_t i = 0; i < yml_count(changes); i++)
		convert_add_pattern(
		    c, convert_mapping(c, job, "when"), "path", str_of(yml_text(yml_at(changes, i))), prefix);
	for (size_t i = 0; yml_type(value) == YML_MAPPING && i < yml_count(value); i++)
		if (yml_at(value, i) != refs && yml_at(value, i) != changes)
			convert_note(c, yml_key_at(value, i), "only/except: %.40s is not carried over",
			    yml_text(yml_key_at(value, i)));
}

static void
take_only(struct convert *c, const struct yml_node *value, struct ymlw_node *job)
{
	add_only(c, value, "", job);
}

static void
take_except(struct convert *c, const struct yml_node *value, struct ymlw_node *job)
{
	add_only(c, value, "!", job);
}

/* The value of a condition "$NAME == "value"" or "$NAME =~ /value/", copied; free() it. NULL: it is no such one. */
static char *
compared_with(const char *condition, const char *name)
{
	struct str rest = str_trim(str_of(condition));
	size_t len = strlen(name);

	if (!str_has_prefix(rest, name) || rest.len == len)
		return NULL;
	rest = str_trim((struct str){ rest.p + len, rest.len - len });
	if (!str_has_prefix(rest, "==") && !str_has_prefix(rest, "=~"))
		return NULL;
	rest = str_trim((struct str){ rest.p + 2, rest.len - 2 });
	if (rest.len > 2 && (rest.p[0] == '"' || rest.p[0] == '\'') && rest.p[rest.len - 1] == rest.p[0])
		return xstrndup(rest.p + 1, rest.len - 2);
	return rest.len > 2 && rest.p[0] == '/' && rest.p[rest.len - 1] == '/' ? str_dup(rest) : NULL;
}

/* One condition of rules: that when: can say. */
static bool
add_condition(struct convert *c, const char *condition, struct ymlw_node *job)
{
	static const char *const names[][2] = { { "$CI_COMMIT_BRANCH", "branch" }, { "$CI_COMMIT_REF_NAME", "branch" },
		{ "$CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "branch" }, { "$CI_COMMIT_TAG", "tag" } };
	char *value = compared_with(condition, "$CI_PIPELINE_SOURCE");

	if (value != NULL) {
		convert_add_text(c, convert_mapping(c, job, "when"), "event",
		    strcmp(value, "merge_request_event") == 0 ? "pull_request"
		    : strcmp(value, "schedule") == 0          ? "cron"
		    : strcmp(value, "web") == 0               ? "manual"
							      : value);
		free(value);
		return true;
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if ((value = compared_with(condition, names[i][0])) == NULL)
			continue;
		convert_add_pattern(c, convert_mapping(c, job, "when"), names[i][1], str_of(value), "");
		free(value);
		return true;
	}
	if (strcmp(condition, "$CI_COMMIT_TAG") == 0)
		convert_add_text(c, convert_mapping(c, job, "when"), "event", "tag");
	else if (strcmp(condition, "$CI_COMMIT_BRANCH") == 0)
		convert_add_text(c, convert_mapping(c, job, "when"), "event", "push");
	else
		return false;
	return true;
}

/* Rules are tried in order there; here a list of them can be said when it is one rule, or one and then "never". */
static void
take_rules(struct convert *c, const struct yml_node *value, struct ymlw_node *job)
{
	const struct yml_node *rule = yml_at(value, 0), *condition = yml_get(rule, "if"), *how = yml_get(rule, "when");
	const struct yml_node *changes = yml_get(rule, "changes");

	if (yml_get(changes, "paths") != NULL)
		changes = yml_get(changes, "paths");
	if (yml_count(value) > 1)
		convert_note(c, yml_at(value, 1), "rules: only the first rule is carried over");
	if (how != NULL && strcmp(yml_text(how), "on_success") != 0)
		convert_note(c, how, "rules: when: %.40s is not carried over", yml_text(how));
	if (condition != NULL && !add_condition(c, yml_text(condition), job))
		convert_note(c, condition, "rules: the condition is not carried over: write it below when:");
	for (size_t i = 0; i < yml_count(changes); i++)
		convert_add_pattern(
		    c, convert_mapping(c, job, "when"), "path", str_of(yml_text(yml_at(changes, i))), "");
	if (ymlw_get(job, "when") == NULL)
		convert_note(c, value, "rules: nothing of them is left; the job runs always");
}

static void
take_when(struct convert *c, const struct yml_node *value, struct ymlw_node *job)
{
	const char *word = yml_text(value);

	if (strcmp(word, "on_failure") == 0)
		convert_add_text(c, convert_mapping(c, job, "when"), "status", "failure");
	else if (strcmp(word, "always") == 0)
		convert_add_text(c, convert_mapping(c, job, "when"), "status", "always");
	else if (strcmp(word, "on_success") != 0)
		convert_note(c, value, "when: %.40s is not carried over", word);
}

/* --- jobs --- */

/* Asked for in this order, which is that of the keys in the new file. */
/* clang-format off */
static const struct convert_key keys[] = {
	{ "image",          take_image,          NULL },
	{ "services",       take_services,       NULL },
	{ "parallel",       take_parallel,       NULL },
	{ "rules",          take_rules,          NULL },
	{ "only",           take_only,           NULL },
	{ "except",         take_except,         NULL },
	{ "when",           take_when,           NULL },
	{ "cache",          take_cache,          NULL },
	{ "before_script",  convert_take_before_script,  NULL },
	{ "script",         convert_take_script,         NULL },
	{ "after_script",   convert_take_after_script,   NULL },
	{ "artifacts",      take_artifacts,      NULL },
	{ "timeout",        take_timeout,        NULL },
	{ "retry",          take_retry,          NULL },
	{ "allow_failure",  take_allow_failure,  NULL },
	{ "resource_group", take_resource_group, NULL },
	{ "stage",          NULL, NULL },
	{ "needs",          NULL, NULL },
	{ "extends",        NULL, NULL },
	{ "variables",      NULL, NULL },
	{ "interruptible",  take_interruptible,  NULL },
	{ "dependencies",   NULL, "every job that is needed hands its artifacts over" },
	{ "tags",           NULL, "choose engines by labels:" },
	{ "environment",    NULL, "write a job with deploy: to a named environment" },
	{ "coverage",       NULL, "give a Cobertura file below reports:" },
	{ "trigger",        NULL, "one repository does not start another's build" },
	{ "release",        NULL, "write it as a script" },
	{ "secrets",        NULL, "give secrets to the server with davit secret set, and list them below secrets:" },
	{ "id_tokens",      NULL, "there are no such tokens" },
	{ "inherit",        NULL, "defaults are inherited whole" },
};

static const struct convert_key file_keys[] = {
	{ "stages",        NULL, NULL },
	{ "image",         NULL, NULL },
	{ "services",      NULL, NULL },
	{ "cache",         NULL, NULL },
	{ "before_script", NULL, NULL },
	{ "after_script",  NULL, NULL },
	{ "default",       NULL, NULL },
	{ "variables",     take_variables, NULL },
	{ "include",       NULL, "copy what is needed, or include a file of this repository" },
	{ "workflow",      NULL, "the repository's settings say which events build" },
};
/* clang-format on */

#define KEY_COUNT (sizeof(keys) / sizeof(keys[0]))
#define FILE_KEY_COUNT (sizeof(file_keys) / sizeof(file_keys[0]))

static bool
is_job(const struct yml_node *name, const struct yml_node *value)
{
	for (size_t i = 0; i < FILE_KEY_COUNT; i++)
		if (strcmp(yml_text(name), file_keys[i].name) == 0)
			return false;
	return yml_type(value) == YML_MAPPING && yml_text(name)[0] != '.';
}

/* The place of a stage in stages:, or in the order that GitLab has without them. */
static size_t
stage_rank(const struct yml_node *root, const char *stage)
{
	static const char *const usual[] = { ".pre", "build", "test", "deploy", ".post" };
	const struct yml_node *stages = yml_get(root, "stages");
	size_t count = stages != NULL ? yml_count(stages) : sizeof(usual) / sizeof(usual[0]);

	for (size_t i = 0; i < count; i++)
		if (strcmp(stage, stages != NULL ? yml_text(yml_at(stages, i)) : usual[i]) == 0)
			return i + 1;
	return 0;
}

/* needs: as written, else all jobs of the nearest stage before the own one that has any. */
static void
add_needs(struct convert *c, const struct yml_node *root, const struct yml_node *job, struct ymlw_node *to)
{
	const struct yml_node *needs = from_extended(c, job, "needs", 0);
	size_t own = stage_rank(root, stage_of(c, job)), nearest = 0;

	for (size_t i = 0; needs != NULL && i < yml_count(needs); i++) {
		const struct yml_node *item = yml_at(needs, i), *name = yml_get(item, "job");

		if (yml_type(item) == YML_SCALAR || name != NULL)
			convert_add_text(c, to, "needs", yml_text(name != NULL ? name : item));
	}
	if (needs != NULL)
		return;
	for (size_t i = 0; i < yml_count(root); i++) {
		size_t rank = stage_rank(root, stage_of(c, yml_at(root, i)));

		if (is_job(yml_key_at(root, i), yml_at(root, i)) && rank < own && rank > nearest)
			nearest = rank;
	}
	for (size_t i = 0; nearest > 0 && i < yml_count(root); i++)
		if (is_job(yml_key_at(root, i), yml_at(root, i)) &&
		    stage_rank(root, stage_of(c, yml_at(root, i))) == nearest)
			convert_add_text(c, to, "needs", yml_text(yml_key_at(root, i)));
}

/* Variables of what is extended come first, so that the own ones win. */
static void
add_variables(
    struct convert *c, const struct yml_node *root, const struct yml_node *job, unsigned depth, struct ymlw_node *to)
{
	const struct yml_node *extends = yml_get(job, "extends");

	if (!may_look(c))
		return;
	if (depth < EXTENDS_DEPTH && yml_type(extends) == YML_SCALAR)
		add_variables(c, root, yml_get(root, yml_text(extends)), depth + 1, to);
	for (size_t i = 0; depth < EXTENDS_DEPTH && i < yml_count(extends); i++)
		add_variables(c, root, yml_get(root, yml_text(yml_at(extends, i))), depth + 1, to);
	if (yml_get(job, "variables") != NULL)
		convert_env(c, yml_get(job, "variables"), to);
}

static void
add_job(struct convert *c, const struct yml_node *root, const struct yml_node *job, struct ymlw_node *to)
{
	add_needs(c, root, job, to);
	add_variables(c, root, job, 0, to);
	for (size_t i = 0; i < KEY_COUNT; i++) {
		const struct yml_node *value = job_get(c, job, keys[i].name);

		if (keys[i].take != NULL && value != NULL)
			keys[i].take(c, value, to);
	}
	for (size_t i = 0; i < yml_count(job); i++)
		convert_note_key(c, yml_key_at(job, i), convert_find(keys, KEY_COUNT, yml_text(yml_key_at(job, i))));
}

bool
convert_gitlab(struct convert *c, const struct yml_node *root)
{
	struct ymlw_node *jobs = ymlw_mapping(c->out);

	for (size_t i = 0; i < yml_count(root); i++) {
		const struct yml_node *name = yml_key_at(root, i), *value = yml_at(root, i);
		const struct convert_key *key = convert_find(file_keys, FILE_KEY_COUNT, yml_text(name));

		if (key != NULL && key->take != NULL)
			key->take(c, value, ymlw_root(c->out));
		else if (key != NULL)
			convert_note_key(c, name, key);
		if (!is_job(name, value))
			continue;
		ymlw_set(c->out, jobs, yml_text(name), ymlw_mapping(c->out));
		add_job(c, root, value, ymlw_get(jobs, yml_text(name)));
	}
	if (ymlw_count(jobs) == 0)
		return yml_err(c->in, root, c->err, "there is no job in this file");
	ymlw_set(c->out, ymlw_root(c->out), "jobs", jobs);
	return true;
}
