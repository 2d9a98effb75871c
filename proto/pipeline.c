#include "proto/pipeline_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"

#define WARNING_MAX 100
#define TEXT_MAX (4u << 20)
#define JOB_TEXT_MAX (1u << 20)
#define ITEM_BYTES 64             /* what each text counts besides: very many small ones take their time too */
#define CONDITION_BUDGET 10000000 /* some 10 ms */

/* The forms of the file, by the first of these keys that it has; without any it is flat. */
static const struct {
	const char *key;
	bool (*read)(struct pipeline *p, const struct yml_node *root);
} forms[] = {
	{ "jobs", pipeline_read_jobs },
	{ "stages", pipeline_read_stages },
	{ "test", pipeline_read_halves },
	{ "build", pipeline_read_halves },
};

#define FORM_COUNT (sizeof(forms) / sizeof(forms[0]))

/* Keys that stand at the file's top in every form. */
static const char *const file_keys[] = { "version", "notify", "parameters", "include" };

#define FILE_KEY_COUNT (sizeof(file_keys) / sizeof(file_keys[0]))

void
pipeline_warn(struct pipeline *p, const struct yml_node *at, const char *fmt, ...)
{
	struct plan *plan = p->plan;
	char text[200], *message;
	va_list ap;

	if (plan->warning_count == WARNING_MAX)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	message = yml_message(p->doc, at, "%s", text);
	for (size_t i = 0; i < plan->warning_count; i++) {
		if (strcmp(plan->warnings[i], message) == 0) { /* of another job of the same matrix */
			free(message);
			return;
		}
	}
	plan->warnings = xrealloc(plan->warnings, (plan->warning_count + 1) * sizeof(*plan->warnings));
	plan->warnings[plan->warning_count++] = message;
}

bool
pipeline_wants(struct pipeline *p, const struct yml_node *at, const char *key, const char *what)
{
	if (yml_type(at) == YML_SCALAR)
		return yml_err(p->doc, at, p->err, "%.40s wants %s, not \"%.60s\"", key, what, yml_text(at));
	return yml_err(p->doc, at, p->err, "%.40s wants %s, not %s", key, what, yml_type_name(at));
}

/* What several of them mean. */
#define CLOCK "a setting of the repository: davit repo cron add"
#define MAIL_ALONE "email: ADDRESS, the only kind beside the commit status at the forge"
#define PLATFORMS "build: {platforms: [...]} of an image, and labels: {platform: ...} of any other job"
#define READY_WORDS "tcp: PORT, or healthcheck: true where the image has a HEALTHCHECK"

/* Words of other systems, and what stands for them here. where: the mapping in which it means that; NULL: any. */
struct foreign_word {
	const char *word, *here, *where;
};

static const struct foreign_word *
find_foreign(const char *word, const char *where)
{
	static const struct foreign_word words[] = {
		{ "chat", MAIL_ALONE, "notify" },
		{ "command", READY_WORDS, "ready" },
		{ "discord", MAIL_ALONE, "notify" },
		{ "exec", READY_WORDS, "ready" },
		{ "health", READY_WORDS, "ready" },
		{ "healthcheck", "ready: {healthcheck: true} where the image has a HEALTHCHECK, or ready: {tcp: PORT}",
		    "a service" },
		{ "health_cmd", "ready: {tcp: PORT}", "a service" },
		{ "http", "tcp: PORT; nothing is asked by HTTP", "ready" },
		{ "irc", MAIL_ALONE, "notify" },
		{ "matrix", MAIL_ALONE, "notify" },
		{ "platform", "platforms", "build" },
		{ "port", "tcp", "ready" },
		{ "slack", MAIL_ALONE, "notify" },
		{ "teams", MAIL_ALONE, "notify" },
		{ "telegram", MAIL_ALONE, "notify" },
		{ "test", READY_WORDS, "ready" },
		{ "url", "tcp: PORT; nothing is asked by HTTP", "ready" },
		{ "webhook", MAIL_ALONE, "notify" },
		{ "webhooks", MAIL_ALONE, "notify" },
		{ "after_failure", "when: {status: failure} in a job with needs:", NULL },
		{ "after_success", "a job with needs:", NULL },
		{ "before_install", "install", NULL },
		{ "branches", "when: {branch: ...}", NULL },
		{ "cancel-in-progress", "cancel", NULL },
		{ "cobertura", "coverage", "reports" },
		{ "command", "script", NULL },
		{ "commands", "script", NULL },
		{ "container", "image", NULL },
		{ "coverage_report", "coverage", "reports" },
		{ "cron", CLOCK, NULL },
		{ "default", "the same keys at the file's top", NULL },
		{ "depends_on", "needs", NULL },
		{ "docker", "image", NULL },
		{ "entrypoint", "script", NULL },
		{ "environment", "env", NULL },
		{ "extends", "an anchor and <<: *name", NULL },
		{ "fallback_keys", "fallback", NULL },
		{ "global", "the same keys at the file's top", NULL },
		{ "if", "when", NULL },
		{ "interruptible", "concurrency: {group: ..., cancel: true}", NULL },
		{ "kind", "jobs", NULL },
		{ "language", "image, as in image: python:3.12; see davit convert", NULL },
		{ "links", "services", NULL },
		{ "on", "when, in a job", NULL },
		{ "os", "labels", NULL },
		{ "parallel", "matrix", NULL },
		{ "notifications", "notify: {email: ADDRESS}", NULL },
		{ "pipeline", "jobs", NULL },
		{ "platform", PLATFORMS, NULL },
		{ "platforms", PLATFORMS, NULL },
		{ "ports", "ready: {tcp: PORT}; a job reaches each service by its name", NULL },
		{ "privileged", "not to be had: no job or service is privileged", NULL },
		{ "resource_group", "concurrency", NULL },
		{ "restore-keys", "fallback", NULL },
		{ "restore_keys", "fallback", NULL },
		{ "rules", "when", NULL },
		{ "run", "script", NULL },
		{ "runs-on", "labels", NULL },
		{ "schedule", CLOCK, NULL },
		{ "schedules", CLOCK, NULL },
		{ "slack", "notify: {email: ADDRESS}", NULL },
		{ "strategy", "matrix", NULL },
		{ "tags", "labels", NULL },
		{ "timeout-minutes", "timeout, as in timeout: 20m", NULL },
		{ "trigger", "when", NULL },
		{ "uses", "script: what an action does is written as commands", NULL },
		{ "variables", "env", NULL },
		{ "volumes", "cache, for folders that are kept; jobs have none of the server's", NULL },
		{ "workflow", "when", NULL },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(word, words[i].word) == 0 &&
		    (words[i].where == NULL || (where != NULL && strcmp(where, words[i].where) == 0)))
			return &words[i];
	return NULL;
}

/* Where a sign of a Chinese keyboard stands for one of YAML. */
static bool
refuse_fullwidth(struct pipeline *p, const struct yml_node *key)
{
	static const char *const signs[][3] = {
		{ "\xef\xbc\x9a", "U+FF1A", ": and a blank" },
		{ "\xef\xbc\x8d", "U+FF0D", "- and a blank" },
		{ "\xef\xbc\x9d", "U+FF1D", "=" },
		{ "\xe3\x80\x80", "U+3000", "a blank" },
		{ "\xc2\xa0", "U+00A0", "a blank" },
	};

	for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++)
		if (strstr(yml_text(key), signs[i][0]) != NULL)
			return !yml_err(p->doc, key, p->err,
			    "the sign %s (%s) in \"%.60s\" is no sign of YAML; write %s", signs[i][0], signs[i][1],
			    yml_text(key), signs[i][2]);
	return false;
}

bool
pipeline_unknown(struct pipeline *p, const struct yml_node *key, const char *where, const struct nearest *near)
{
	const struct foreign_word *foreign = find_foreign(yml_text(key), where);
	char hint[100];

	if (refuse_fullwidth(p, key))
		return false;
	nearest_hint(near, hint);
	if (foreign != NULL && (hint[0] == '\0' || foreign->where != NULL))
		return yml_err(
		    p->doc, key, p->err, "unknown key \"%.60s\"; here it is %s", yml_text(key), foreign->here);
	return yml_err(p->doc, key, p->err, "unknown key \"%.60s\"%s%s%s", yml_text(key), where != NULL ? " in " : "",
	    where != NULL ? where : "", hint);
}

bool
pipeline_count(struct pipeline *p, const struct yml_node *at, size_t len)
{
	len += ITEM_BYTES;
	if (len > JOB_TEXT_MAX - p->job_bytes)
		return yml_err(
		    p->doc, at, p->err, "a job holds more than %u bytes of commands and variables", JOB_TEXT_MAX);
	if (len > TEXT_MAX - p->bytes)
		return yml_err(
		    p->doc, at, p->err, "the jobs hold more than %u bytes of commands and variables", TEXT_MAX);
	p->job_bytes += len;
	p->bytes += len;
	return true;
}

const struct yml_node *
pipeline_find_key(const struct yml_node *mapping, const char *name)
{
	for (size_t i = 0; i < yml_count(mapping); i++)
		if (strcmp(yml_text(yml_key_at(mapping, i)), name) == 0)
			return yml_key_at(mapping, i);
	return NULL;
}

bool
pipeline_is_file_key(const char *name)
{
	for (size_t i = 0; i < FILE_KEY_COUNT; i++)
		if (strcmp(name, file_keys[i]) == 0)
			return true;
	return false;
}

const char *
pipeline_file_key_name(size_t i)
{
	return i < FILE_KEY_COUNT ? file_keys[i] : NULL;
}

void
pipeline_offer_file_keys(struct nearest *near)
{
	for (size_t i = 0; i < FILE_KEY_COUNT; i++)
		nearest_offer(near, file_keys[i]);
}

/* docker-compose.yml under this name: its services are a mapping, and nothing says what to run. */
static bool
is_compose(const struct yml_node *root)
{
	return yml_type(yml_get(root, "services")) == YML_MAPPING && pipeline_find_key(root, "script") == NULL &&
	       pipeline_find_key(root, "jobs") == NULL && pipeline_find_key(root, "stages") == NULL &&
	       pipeline_find_key(root, "test") == NULL;
}

static bool
check_root(struct pipeline *p, const struct yml_node *root)
{
	const struct yml_node *version = yml_get(root, "version");

	if (yml_type(root) == YML_NULL)
		return yml_err(p->doc, root, p->err, "the file is empty; write at least image: and script:");
	if (yml_type(root) == YML_SCALAR && refuse_fullwidth(p, root))
		return false;
	if (yml_type(root) != YML_MAPPING)
		return yml_err(p->doc, root, p->err,
		    "the file is %s; it must be a mapping with image: and script:", yml_type_name(root));
	if (yml_type(version) != YML_NULL && yml_type(version) != YML_SCALAR)
		return pipeline_wants(p, version, "version", "a number");
	if (is_compose(root))
		return yml_err(p->doc, pipeline_find_key(root, "services"), p->err,
		    "this looks like a docker-compose file; daocloud.yml says what to run: image:, script:, and "
		    "services: as "
		    "a list");
	return true;
}

/* The first layer that has one of the forms' keys says which it is. */
static size_t
form_of(const struct pipeline *p)
{
	for (size_t i = 0; i < p->layer_count; i++)
		for (size_t form = 0; form < FORM_COUNT; form++)
			if (pipeline_find_key(p->layers[i], forms[form].key) != NULL)
				return form;
	return FORM_COUNT;
}

static bool
read_form(struct pipeline *p, const struct yml_node *root)
{
	size_t form = form_of(p);

	/* test: and build: may be names of jobs in stages whose list is missing. */
	if ((form == FORM_COUNT || forms[form].read == pipeline_read_halves) && pipeline_has_staged_job(root))
		return pipeline_read_stages(p, root);
	return form < FORM_COUNT ? forms[form].read(p, root) : pipeline_read_flat(p, root);
}

/* What counts once for the file; the layers' own order says who wins. */
static bool
read_file_keys(struct pipeline *p)
{
	const struct yml_node *notify = NULL;

	for (size_t i = p->layer_count; i-- > 0;) {
		const struct yml_node *own = yml_get(p->layers[i], "notify");

		if (own != NULL)
			notify = own;
	}
	for (size_t i = 0; i < p->layer_count; i++)
		if (!pipeline_read_parameters(p, yml_get(p->layers[i], "parameters")))
			return false;
	return pipeline_check_parameters(p, p->layers[0]) && pipeline_read_notify(p, notify);
}

static bool
read_file(struct pipeline *p, const struct yml_node *root)
{
	if (!check_root(p, root))
		return false;
	p->layers[p->layer_count++] = root;
	if (!pipeline_open_includes(p, yml_get(root, "include")) || !read_file_keys(p) || !read_form(p, root))
		return false;
	for (size_t i = 0; i < p->draft_count; i++)
		if (!pipeline_read_job(p, &p->drafts[i]))
			return false;
	return pipeline_settle_needs(p);
}

static void
pipeline_fini(struct pipeline *p)
{
	for (size_t i = 0; i < p->included_count; i++)
		yml_free(&p->included[i]);
	for (size_t i = 0; i < p->draft_count; i++)
		free(p->drafts[i].needs);
	free(p->drafts);
	free(p->owners);
	env_fini(&p->matrix);
	env_fini(&p->parameters);
	arena_fini(&p->arena);
}

bool
pipeline_parse(
    struct str text, const char *file, const struct pipeline_context *context, struct plan **ret, struct err *err)
{
	static const struct pipeline_context unknown = { 0 };
	struct pipeline p = {
		.context = context != NULL ? context : &unknown,
		.err = err,
		.budget = { CONDITION_BUDGET },
		.path_budget = { CONDITION_BUDGET },
	};
	struct yml *doc;
	bool ok;

	if (!yml_parse(text, file, &doc, err))
		return false;
	p.doc = doc;
	p.plan = xcalloc(1, sizeof(*p.plan));
	p.plan->notify = (struct notify_spec){ .on_success = NOTIFY_CHANGE, .on_failure = NOTIFY_ALWAYS };
	ok = read_file(&p, yml_root(doc));
	pipeline_fini(&p);
	yml_free(&doc);
	if (ok)
		*ret = p.plan;
	else
		plan_free(&p.plan);
	return ok;
}
