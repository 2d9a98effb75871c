/* Conditions of a job: when, and only, except, pull_request, context of the form with stages. A condition that does not
 * hold leaves the job out: job.skipped says why. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/buf.h"
#include "proto/condition.h"
#include "proto/glob.h"
#include "proto/mem.h"
#include "proto/pipeline_private.h"
#include "proto/regex.h"

#define SHOWN_MAX 200
static const char *const events[] = { "push", "tag", "pull_request", "cron", "manual", "api", "deploy" };

struct when {
	struct strings branch, tag, event, path, status, environment;
	const struct yml_node *at; /* of the patterns that are being read */
};

static void
when_fini(struct when *when)
{
	strings_fini(&when->branch);
	strings_fini(&when->tag);
	strings_fini(&when->event);
	strings_fini(&when->path);
	strings_fini(&when->status);
	strings_fini(&when->environment);
}

/* No branch, tag or file begins with ^, and no branch or tag with a slash: what is meant is an expression. */
static void
warn_of_expression(struct pipeline *p, const char *name, const struct yml_node *at, const char *pattern)
{
	const char *text = pattern + (pattern[0] == '!');
	size_t len = strlen(text);
	struct err err;

	if (text[0] == '^' && !regex_check(text, &err))
		pipeline_warn(p, at, "%s; it fits nothing", err.text);
	if (strcmp(name, "path") != 0 && len > 2 && text[0] == '/' && text[len - 1] == '/')
		pipeline_warn(
		    p, at, "\"%.60s\" fits nothing: an expression is written without slashes around it", text);
}

static bool
check_patterns(struct pipeline *p, const char *name, const struct yml_node *at, const struct strings *patterns)
{
	struct err err;

	for (size_t i = 0; i < patterns->count; i++) {
		if (!condition_check(patterns->items[i], &err))
			return yml_err(p->doc, at, p->err, "%s", err.text);
		warn_of_expression(p, name, at, patterns->items[i]);
	}
	return true;
}

static bool
read_patterns(struct pipeline *p, const char *name, const struct yml_node *value, void *at)
{
	if (yml_type(value) == YML_NULL)
		return pipeline_wants(p, value, name, "a pattern or a list of them");
	return pipeline_read_texts(p, name, value, at) && check_patterns(p, name, value, at);
}

/* An event that does not exist would leave the job out for ever. */
static bool
check_event(struct pipeline *p, const struct yml_node *at, const char *pattern)
{
	struct nearest near;
	char hint[100];

	pattern += pattern[0] == '!';
	near = nearest_to(pattern);
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		struct strings one = { 0 };
		bool fits;

		strings_add(&one, str_of(pattern));
		fits = condition_holds_within(&one, events[i], &p->budget);
		strings_fini(&one);
		if (fits)
			return true;
		nearest_offer(&near, events[i]);
	}
	nearest_hint(&near, hint);
	return yml_err(p->doc, at, p->err, "there is no event \"%.40s\"%s", pattern,
	    hint[0] != '\0' ? hint : "; there are push, tag, pull_request, cron, manual, api and deploy");
}

static bool
read_events(struct pipeline *p, const char *name, const struct yml_node *value, void *at)
{
	const struct strings *patterns = at;

	if (!read_patterns(p, name, value, at))
		return false;
	for (size_t i = 0; i < patterns->count; i++)
		if (!check_event(p, value, patterns->items[i]))
			return false;
	return true;
}

static bool
read_status(struct pipeline *p, const char *name, const struct yml_node *value, void *at)
{
	const struct strings *words = at;

	if (!pipeline_read_texts(p, name, value, at))
		return false;
	for (size_t i = 0; i < words->count; i++)
		if (strcmp(words->items[i], "success") != 0 && strcmp(words->items[i], "failure") != 0 &&
		    strcmp(words->items[i], "always") != 0)
			return pipeline_wants(p, value, name, "success, failure, always, or a list of them");
	return true;
}

static const struct pipeline_field when_fields[] = {
	{ "branch", read_patterns, offsetof(struct when, branch) },
	{ "tag", read_patterns, offsetof(struct when, tag) },
	{ "event", read_events, offsetof(struct when, event) },
	{ "path", read_patterns, offsetof(struct when, path) },
	{ "status", read_status, offsetof(struct when, status) },
	{ "environment", read_patterns, offsetof(struct when, environment) },
};

/* --- whether they hold --- */

/* "main, release-*" */
static char *
list_text(const struct strings *patterns)
{
	struct buf b;

	buf_init(&b, 1u << 20);
	for (size_t i = 0; i < patterns->count && b.len < SHOWN_MAX; i++)
		buf_addf(&b, "%s%.*s", i > 0 ? ", " : "", SHOWN_MAX, patterns->items[i]);
	return b.data;
}

/* Why the condition leaves the job out; NULL: it does not. free() it. */
static char *
why_not(struct pipeline *p, const char *what, const struct strings *patterns, const char *value)
{
	char *list, *why;

	if (patterns->count == 0 || (value == NULL && p->context->event == NULL) ||
	    condition_holds_within(patterns, value, &p->budget))
		return NULL;
	list = list_text(patterns);
	why = value != NULL ? xasprintf("%s is %.100s, wants %.*s", what, value, SHOWN_MAX, list)
			    : xasprintf("there is no %s, wants %.*s", what, SHOWN_MAX, list);
	free(list);
	return why;
}

/* Only a push and a pull request have changed files. */
static bool
has_changes(const struct pipeline_context *context)
{
	return context->event == NULL || strcmp(context->event, "push") == 0 ||
	       strcmp(context->event, "pull_request") == 0;
}

static char *
paths_why_not(struct pipeline *p, const struct yml_node *at, const struct strings *patterns)
{
	const struct strings *paths = p->context->paths;
	char *list, *why;

	if (patterns->count == 0 || !has_changes(p->context))
		return NULL;
	if (paths == NULL) {
		p->plan->wants_paths = true;
		return NULL;
	}
	if (condition_holds_for_path(patterns, paths, &p->path_budget)) {
		if (p->path_budget.left == 0)
			pipeline_warn(p, at, "comparing %zu changed files takes too long; this condition counts as met",
			    paths->count);
		return NULL;
	}
	list = list_text(patterns);
	why = xasprintf("no changed file fits %.*s", SHOWN_MAX, list);
	free(list);
	return why;
}

/* Conditions in the order in which their answers say most. */
static char *
when_why_not(struct pipeline *p, const struct yml_node *at, const struct when *when)
{
	const struct pipeline_context *context = p->context;
	char *why = why_not(p, "event", &when->event, context->event);
	if (why == NULL)
		why = why_not(p, "branch", &when->branch, context->branch);
	if (why == NULL)
		why = why_not(p, "tag", &when->tag, context->tag);
	if (why == NULL)
		why = why_not(p, "environment", &when->environment, context->environment);
	return why != NULL ? why : paths_why_not(p, at, &when->path);
}

/* The first reason stays. Takes why. */
static void
skip(struct pipeline *p, struct job_spec *job, const char *key, char *why)
{
	if (why != NULL && job->skipped == NULL) {
		job->skipped = xasprintf("%s: %s", key, why);
		p->skipped = true;
	}
	free(why);
}

static enum run_on
run_on_of(const struct strings *status)
{
	bool success = status->count == 0, failure = false;

	for (size_t i = 0; i < status->count; i++) {
		success = success || strcmp(status->items[i], "failure") != 0;
		failure = failure || strcmp(status->items[i], "success") != 0;
	}
	return success && failure ? RUN_ALWAYS : failure ? RUN_ON_FAILURE : RUN_ON_SUCCESS;
}

/* Names are short, so that only who wants it uses that up. */
static bool
check_budget(struct pipeline *p, const struct yml_node *at)
{
	return p->budget.left > 0 ||
	       yml_err(p->doc, at, p->err, "the conditions take too long; write fewer patterns, or simpler ones");
}

/* One mapping. *why: what it lacks; NULL: it holds. */
static bool
read_mapping(struct pipeline *p, const struct yml_node *node, struct job_spec *job, char **why)
{
	struct when when = { 0 };
	bool ok;

	*why = NULL;
	if (yml_type(node) != YML_MAPPING)
		return pipeline_wants(p, node, "when", "a mapping such as {branch: main}");
	ok = PIPELINE_READ_FIELDS(p, node, "when", when_fields, &when);
	if (ok)
		*why = when_why_not(p, node, &when);
	ok = ok && check_budget(p, node);
	if (ok && *why == NULL)
		job->run_on = run_on_of(&when.status);
	when_fini(&when);
	if (!ok)
		free(*why);
	return ok;
}

/* A list of mappings: one of them is enough. */
static bool
read_alternatives(struct pipeline *p, const char *name, const struct yml_node *list, struct job_spec *job)
{
	char *first = NULL, *why = NULL;
	bool holds = yml_count(list) == 0;

	for (size_t i = 0; i < yml_count(list); i++) {
		enum run_on before = job->run_on;

		if (!read_mapping(p, yml_at(list, i), job, &why)) {
			free(first);
			return false;
		}
		if (why == NULL && holds)
			job->run_on = before; /* the first that holds says it */
		holds = holds || why == NULL;
		if (first == NULL)
			first = why;
		else
			free(why);
	}
	if (holds) {
		free(first);
		first = NULL;
	}
	skip(p, job, name, first);
	return true;
}

/* GitLab's words. */
static bool
read_word(struct pipeline *p, const struct yml_node *value, struct job_spec *job)
{
	const char *word = yml_text(value);

	if (strcmp(word, "manual") == 0)
		return yml_err(p->doc, value, p->err,
		    "when: manual is deploy: {environment: ..., approve: true} here, or a build started with "
		    "parameters");
	if (strcmp(word, "never") == 0)
		skip(p, job, "when", xstrdup("never"));
	else if (strcmp(word, "always") == 0)
		job->run_on = RUN_ALWAYS;
	else if (strcmp(word, "on_failure") == 0)
		job->run_on = RUN_ON_FAILURE;
	else if (strcmp(word, "on_success") != 0)
		return pipeline_wants(p, value, "when", "a mapping such as {branch: main}");
	return true;
}

bool
pipeline_job_when(struct pipeline *p, const char *name, const struct yml_node *value, struct job_spec *job)
{
	char *why;

	if (yml_type(value) == YML_NULL)
		return true;
	if (yml_type(value) == YML_SCALAR)
		return read_word(p, value, job);
	if (yml_type(value) == YML_SEQUENCE)
		return read_alternatives(p, name, value, job);
	if (!read_mapping(p, value, job, &why))
		return false;
	skip(p, job, name, why);
	return true;
}

/* --- the form with stages --- */

struct refs {
	struct strings branches, tags;
};

/* Written without a value it is not written. */
static bool
read_ref_patterns(struct pipeline *p, const char *name, const struct yml_node *value, void *at)
{
	return yml_type(value) == YML_NULL || read_patterns(p, name, value, at);
}

static const struct pipeline_field ref_fields[] = {
	{ "branches", read_ref_patterns, offsetof(struct refs, branches) },
	{ "tags", read_ref_patterns, offsetof(struct refs, tags) },
};

/* A list of names, as elsewhere: branches and tags are all of them. */
static bool
read_ref_list(struct pipeline *p, const char *name, const struct yml_node *value, struct refs *refs)
{
	struct strings names = { 0 };
	bool ok = read_patterns(p, name, value, &names);

	for (size_t i = 0; ok && i < names.count; i++) {
		if (strcmp(names.items[i], "branches") == 0) {
			strings_add(&refs->branches, STR("*"));
		} else if (strcmp(names.items[i], "tags") == 0) {
			strings_add(&refs->tags, STR("*"));
		} else {
			strings_add(&refs->branches, str_of(names.items[i]));
			strings_add(&refs->tags, str_of(names.items[i]));
		}
	}
	strings_fini(&names);
	return ok;
}

static bool
read_refs(struct pipeline *p, const char *name, const struct yml_node *value, struct refs *refs)
{
	if (yml_type(value) == YML_MAPPING)
		return PIPELINE_READ_FIELDS(p, value, name, ref_fields, refs);
	return yml_type(value) == YML_NULL || read_ref_list(p, name, value, refs);
}

/* Whether the change's branch or tag is among them. */
static bool
has_ref(struct pipeline *p, const struct refs *refs)
{
	const struct pipeline_context *context = p->context;

	if (context->tag != NULL)
		return refs->tags.count > 0 && condition_holds_within(&refs->tags, context->tag, &p->budget);
	return context->branch != NULL && refs->branches.count > 0 &&
	       condition_holds_within(&refs->branches, context->branch, &p->budget);
}

static char *
ref_text(const struct pipeline_context *context)
{
	if (context->tag != NULL)
		return xasprintf("the tag is %.100s", context->tag);
	if (context->branch != NULL)
		return xasprintf("the branch is %.100s", context->branch);
	return xstrdup("there is neither branch nor tag");
}

static bool
is_known(const struct pipeline_context *context)
{
	return context->event != NULL || context->branch != NULL || context->tag != NULL;
}

static void
refs_fini(struct refs *refs)
{
	strings_fini(&refs->branches);
	strings_fini(&refs->tags);
}

bool
pipeline_job_only(struct pipeline *p, const char *name, const struct yml_node *value, struct job_spec *job)
{
	struct refs refs = { 0 };
	bool ok = read_refs(p, name, value, &refs), any = refs.branches.count + refs.tags.count > 0;

	if (ok && any && is_known(p->context) && !has_ref(p, &refs))
		skip(p, job, name, ref_text(p->context));
	refs_fini(&refs);
	return ok && check_budget(p, value);
}

bool
pipeline_job_except(struct pipeline *p, const char *name, const struct yml_node *value, struct job_spec *job)
{
	struct refs refs = { 0 };
	bool ok = read_refs(p, name, value, &refs);

	if (ok && is_known(p->context) && has_ref(p, &refs))
		skip(p, job, name, ref_text(p->context));
	refs_fini(&refs);
	return ok && check_budget(p, value);
}

bool
pipeline_job_pull_request(struct pipeline *p, const char *name, const struct yml_node *value, struct job_spec *job)
{
	const char *event = p->context->event;
	bool wanted;

	if (!pipeline_read_bool(p, name, value, &wanted))
		return false;
	if (!wanted && event != NULL && strcmp(event, "pull_request") == 0)
		skip(p, job, name, xstrdup("not for pull requests"));
	return true;
}

static const struct pipeline_field context_fields[] = {
	{ "path", read_patterns, offsetof(struct when, path) },
};

/* context: {path: [...]} */
bool
pipeline_job_changed(struct pipeline *p, const char *name, const struct yml_node *value, struct job_spec *job)
{
	struct when when = { 0 };
	char *why = NULL;
	bool ok;

	if (yml_type(value) != YML_MAPPING && yml_type(value) != YML_NULL)
		return pipeline_wants(p, value, name, "a mapping with path:");
	ok = PIPELINE_READ_FIELDS(p, value, name, context_fields, &when);
	if (ok && job->skipped == NULL)
		why = paths_why_not(p, value, &when.path);
	when_fini(&when);
	if (ok)
		skip(p, job, name, why);
	return ok;
}
