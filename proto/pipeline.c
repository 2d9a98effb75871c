#include "proto/pipeline_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/image.h"
#include "proto/mem.h"
#include "proto/nearest.h"
#include "proto/units.h"

#define WARNING_MAX 100
#define TEXT_MAX (1u << 20)
#define TIMEOUT_MAX_S (7u * 86400)
#define RECIPIENT_MAX 50

/* Where a job's keys may stand. */
enum { FLAT = 1, MODERN = 2 };

struct job_key {
	const char *name;
	unsigned forms;
	/* NULL: the key is known and waits for a later version. */
	bool (*read)(struct pipeline *p, const char *name, const struct yml_node *value, struct job_spec *job);
};

static bool read_image(struct pipeline *p, const char *name, const struct yml_node *value, struct job_spec *job);
static bool read_services(struct pipeline *p, const char *name, const struct yml_node *value, struct job_spec *job);
static bool read_env(struct pipeline *p, const char *name, const struct yml_node *value, struct job_spec *job);
static bool read_timeout(struct pipeline *p, const char *name, const struct yml_node *value, struct job_spec *job);
static bool read_install(struct pipeline *p, const char *name, const struct yml_node *value, struct job_spec *job);
static bool read_segment(struct pipeline *p, const char *name, const struct yml_node *value, struct job_spec *job);

/* Read in this order, whatever the file's: so segments come as they run. */
/* clang-format off */
static const struct job_key job_keys[] = {
	{ "image",         FLAT | MODERN, read_image },
	{ "services",      FLAT | MODERN, read_services },
	{ "env",           FLAT | MODERN, read_env },
	{ "timeout",       FLAT | MODERN, read_timeout },
	{ "install",       FLAT | MODERN, read_install },
	{ "before_script", FLAT | MODERN, read_segment },
	{ "script",        FLAT | MODERN, read_segment },
	{ "after_script",  FLAT | MODERN, NULL },
	{ "cache",         FLAT | MODERN, NULL },
	{ "secrets",       FLAT | MODERN, NULL },
	{ "artifacts",     FLAT | MODERN, NULL },
	{ "reports",       FLAT | MODERN, NULL },
	{ "retry",         FLAT | MODERN, NULL },
	{ "resources",     FLAT | MODERN, NULL },
	{ "labels",        FLAT | MODERN, NULL },
	{ "concurrency",   FLAT | MODERN, NULL },
	{ "when",          FLAT | MODERN, NULL },
	{ "needs",         MODERN,        NULL },
	{ "matrix",        MODERN,        NULL },
	{ "build",         MODERN,        NULL },
	{ "deploy",        MODERN,        NULL },
};
/* clang-format on */

#define JOB_KEY_COUNT (sizeof(job_keys) / sizeof(job_keys[0]))

static bool read_flat(struct pipeline *p, const struct yml_node *root);
static bool read_halves(struct pipeline *p, const struct yml_node *root);
static bool read_unsupported(struct pipeline *p, const struct yml_node *root);

/* The forms of the file, by the first of these keys that it has; without any it is flat. */
static const struct {
	const char *key;
	bool (*read)(struct pipeline *p, const struct yml_node *root);
} forms[] = {
	{ "jobs", read_unsupported },
	{ "stages", read_unsupported },
	{ "test", read_halves },
	{ "build", read_halves },
};

/* Keys that stand at the file's top in every form. */
static const char *const file_keys[] = { "version", "notify" };

void
pipeline_warn(struct pipeline *p, const struct yml_node *at, const char *fmt, ...)
{
	struct plan *plan = p->plan;
	char text[200];
	va_list ap;

	if (plan->warning_count == WARNING_MAX)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	plan->warnings = xrealloc(plan->warnings, (plan->warning_count + 1) * sizeof(*plan->warnings));
	plan->warnings[plan->warning_count++] = yml_message(p->doc, at, "%s", text);
}

bool
pipeline_wants(struct pipeline *p, const struct yml_node *at, const char *key, const char *what)
{
	if (yml_type(at) == YML_SCALAR)
		return yml_err(p->doc, at, p->err, "%.40s wants %s, not \"%.60s\"", key, what, yml_text(at));
	return yml_err(p->doc, at, p->err, "%.40s wants %s, not %s", key, what, yml_type_name(at));
}

bool
pipeline_count(struct pipeline *p, const struct yml_node *at, size_t len)
{
	if (len > TEXT_MAX - p->bytes)
		return yml_err(
		    p->doc, at, p->err, "the jobs hold more than %u bytes of commands and variables", TEXT_MAX);
	p->bytes += len;
	return true;
}

bool
pipeline_read_image(struct pipeline *p, const struct yml_node *node, const char *key, char **image)
{
	struct str name = str_trim(str_of(yml_text(node)));
	struct image_ref ref;
	struct err err;

	if (yml_type(node) != YML_SCALAR)
		return pipeline_wants(p, node, key, "an image such as debian:bookworm");
	if (!image_parse(name, &ref, &err))
		return yml_err(p->doc, node, p->err, "%s: %s", key, err.text);
	free(*image);
	*image = str_dup(name);
	return true;
}

static bool
read_image(struct pipeline *p, const char *name, const struct yml_node *value, struct job_spec *job)
{
	return pipeline_read_image(p, value, name, &job->image);
}

static bool
read_services(struct pipeline *p, const char *name, const struct yml_node *value, struct job_spec *job)
{
	(void)name;
	return pipeline_read_services(p, value, job);
}

static bool
read_env(struct pipeline *p, const char *name, const struct yml_node *value, struct job_spec *job)
{
	(void)name;
	return pipeline_read_env(p, value, PIPELINE_ENV_JOB, &job->env);
}

static bool
read_timeout(struct pipeline *p, const char *name, const struct yml_node *value, struct job_spec *job)
{
	uint64_t seconds;

	if (!units_duration(str_of(yml_text(value)), TIMEOUT_MAX_S, &seconds) || seconds == 0)
		return pipeline_wants(p, value, name, "a duration such as 90s, 20m or 1h30m, at most 7d");
	job->timeout_s = (unsigned)seconds;
	return true;
}

/* U+FF03 behind a blank: somebody took it for the sign that begins a comment. */
static void
warn_of_fullwidth(struct pipeline *p, const struct yml_node *node)
{
	const char *at = strstr(yml_text(node), "\xef\xbc\x83");

	if (at != NULL && (at == yml_text(node) || at[-1] == ' ' || at[-1] == '\t'))
		pipeline_warn(
		    p, node, "the fullwidth \xef\xbc\x83 (U+FF03) is part of this text; a comment begins with #");
}

static bool
add_command(struct pipeline *p, const struct yml_node *node, struct segment_spec *segment)
{
	struct str text = str_of(yml_text(node));

	while (text.len > 0 && strchr(" \t\n", text.p[text.len - 1]) != NULL)
		text.len--;
	if (text.len == 0)
		return true;
	if (!pipeline_count(p, node, text.len))
		return false;
	warn_of_fullwidth(p, node);
	segment->commands = xrealloc(segment->commands, (segment->command_count + 1) * sizeof(*segment->commands));
	segment->commands[segment->command_count++] = str_dup(text);
	return true;
}

/* One text, or a list of them, or of lists that aliases brought in. */
static bool
add_commands(struct pipeline *p, const char *name, const struct yml_node *node, struct segment_spec *segment)
{
	switch (yml_type(node)) {
	case YML_NULL:
		return true;
	case YML_SCALAR:
		return add_command(p, node, segment);
	case YML_MAPPING:
		return yml_err(p->doc, node, p->err,
		    "%s: a command is text, not a mapping; quote the line with \": \" in it", name);
	case YML_SEQUENCE:
		break;
	}
	for (size_t i = 0; i < yml_count(node); i++)
		if (!add_commands(p, name, yml_at(node, i), segment))
			return false;
	return true;
}

static bool
read_segment(struct pipeline *p, const char *name, const struct yml_node *value, struct job_spec *job)
{
	struct segment_spec *segment;

	job->segments = xrealloc(job->segments, (job->segment_count + 1) * sizeof(*job->segments));
	segment = &job->segments[job->segment_count++];
	*segment = (struct segment_spec){ .name = xstrdup(name) };
	if (!add_commands(p, name, value, segment))
		return false;
	if (segment->command_count == 0) {
		free(segment->name);
		job->segment_count--;
	}
	return true;
}

/* Whether the command reads files of the checkout: the usual ones, by their beginning. */
static bool
needs_checkout(const char *command)
{
	static const char *const beginnings[] = { "./", "make", "npm ci", "pip install -r", "pip install .",
		"pip3 install -r", "bundle install", "composer install", "dotnet restore", "mvn ", "gradle ",
		"go get ./", "go build" };
	static const char *const wholes[] = { "npm install", "npm i", "yarn", "yarn install", "bundle", "mvn",
		"gradle" };

	if (strncmp(command, "sudo ", 5) == 0)
		command += 5;
	for (size_t i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++)
		if (strncmp(command, beginnings[i], strlen(beginnings[i])) == 0)
			return true;
	for (size_t i = 0; i < sizeof(wholes) / sizeof(wholes[0]); i++)
		if (strcmp(command, wholes[i]) == 0)
			return true;
	return false;
}

static bool
read_install(struct pipeline *p, const char *name, const struct yml_node *value, struct job_spec *job)
{
	size_t before = job->segment_count;

	if (!read_segment(p, name, value, job))
		return false;
	for (size_t i = 0; job->segment_count > before && i < job->segments[before].command_count; i++) {
		const char *command = job->segments[before].commands[i];

		if (needs_checkout(command)) {
			pipeline_warn(p, value,
			    "install: \"%.40s\" needs the checkout, which is there, but on DaoCloud came after "
			    "install; "
			    "before_script is its place",
			    command);
			break;
		}
	}
	return true;
}

/* The mapping's key itself, for its place; NULL when it has none of that name. */
static const struct yml_node *
find_key(const struct yml_node *mapping, const char *name)
{
	for (size_t i = 0; i < yml_count(mapping); i++)
		if (strcmp(yml_text(yml_key_at(mapping, i)), name) == 0)
			return yml_key_at(mapping, i);
	return NULL;
}

static bool
is_file_key(const char *name)
{
	for (size_t i = 0; i < sizeof(file_keys) / sizeof(file_keys[0]); i++)
		if (strcmp(name, file_keys[i]) == 0)
			return true;
	return false;
}

static const struct job_key *
find_job_key(const char *name)
{
	for (size_t i = 0; i < JOB_KEY_COUNT; i++)
		if (strcmp(name, job_keys[i].name) == 0)
			return &job_keys[i];
	return NULL;
}

static bool
unknown_job_key(struct pipeline *p, const struct yml_node *key, unsigned form)
{
	struct nearest near = nearest_to(yml_text(key));
	char hint[100];

	for (size_t i = 0; i < JOB_KEY_COUNT; i++)
		if ((job_keys[i].forms & form) != 0)
			nearest_offer(&near, job_keys[i].name);
	for (size_t i = 0; i < sizeof(file_keys) / sizeof(file_keys[0]); i++)
		nearest_offer(&near, file_keys[i]);
	return yml_err(p->doc, key, p->err, "unknown key \"%.60s\"%s", yml_text(key), nearest_hint(&near, hint));
}

static bool
check_job_keys(struct pipeline *p, const struct yml_node *node, unsigned form, bool is_file)
{
	for (size_t i = 0; i < yml_count(node); i++) {
		const struct yml_node *key = yml_key_at(node, i);
		const struct job_key *known = find_job_key(yml_text(key));

		if (is_file && is_file_key(yml_text(key)))
			continue;
		if (known == NULL || (known->forms & form) == 0)
			return unknown_job_key(p, key, form);
		if (known->read == NULL)
			return yml_err(p->doc, key, p->err, "%s is not supported by this version yet", known->name);
	}
	return true;
}

static bool
check_job(struct pipeline *p, const struct yml_node *node, const struct job_spec *job)
{
	const struct yml_node *script = find_key(node, "script");
	bool has_script = job->segment_count > 0 && strcmp(job->segments[job->segment_count - 1].name, "script") == 0;

	if (job->image == NULL)
		return yml_err(p->doc, node, p->err,
		    "the job %.60s has no image; write image: NAME, as in image: debian:bookworm", job->name);
	if (!has_script)
		return yml_err(p->doc, script != NULL ? script : node, p->err,
		    "the job %.60s has no script; write script: and a list of commands", job->name);
	return true;
}

/* A job's mapping; is_file: the file itself is the job's mapping. */
static bool
read_job(struct pipeline *p, const struct yml_node *node, const char *name, unsigned form, bool is_file)
{
	struct plan *plan = p->plan;
	struct job_spec *job;

	if (yml_type(node) != YML_MAPPING && yml_type(node) != YML_NULL)
		return pipeline_wants(p, node, name, "a mapping with image: and script:");
	plan->jobs = xrealloc(plan->jobs, (plan->job_count + 1) * sizeof(*plan->jobs));
	job = &plan->jobs[plan->job_count++];
	*job = (struct job_spec){ .name = xstrdup(name) };
	for (size_t i = 0; i < JOB_KEY_COUNT; i++) {
		const struct yml_node *value = yml_get(node, job_keys[i].name);

		if (value != NULL && job_keys[i].read != NULL && !job_keys[i].read(p, job_keys[i].name, value, job))
			return false;
	}
	return check_job_keys(p, node, form, is_file) && check_job(p, node, job);
}

static bool
read_flat(struct pipeline *p, const struct yml_node *root)
{
	return read_job(p, root, "test", FLAT, true);
}

/* version: 2.0 with test: and build:, of which build: is for later. */
static bool
read_halves(struct pipeline *p, const struct yml_node *root)
{
	const struct yml_node *test = find_key(root, "test"), *build = find_key(root, "build");

	for (size_t i = 0; i < yml_count(root); i++) {
		const struct yml_node *key = yml_key_at(root, i);
		struct nearest near = nearest_to(yml_text(key));
		char hint[100];

		if (key == test || key == build || is_file_key(yml_text(key)))
			continue;
		if (find_job_key(yml_text(key)) != NULL)
			return yml_err(p->doc, key, p->err,
			    "%.60s stands beside %s:; put it below test:", yml_text(key),
			    test != NULL ? "test" : "build");
		nearest_offer(&near, "test");
		nearest_offer(&near, "build");
		nearest_offer(&near, "version");
		nearest_offer(&near, "notify");
		return yml_err(
		    p->doc, key, p->err, "unknown key \"%.60s\"%s", yml_text(key), nearest_hint(&near, hint));
	}
	if (test == NULL)
		return yml_err(
		    p->doc, build, p->err, "build is not supported by this version yet, and there is no test: to run");
	if (build != NULL)
		pipeline_warn(p, build, "build is not supported by this version yet; only test: runs");
	return read_job(p, yml_get(root, "test"), "test", FLAT, false);
}

static bool
read_unsupported(struct pipeline *p, const struct yml_node *root)
{
	const struct yml_node *key = find_key(root, "jobs");

	if (key == NULL)
		key = find_key(root, "stages");
	return yml_err(p->doc, key, p->err,
	    "the form with %s: is not supported by this version yet; write one job with image: and script:",
	    yml_text(key));
}

static bool
is_mail_address(const char *s)
{
	const char *at = strchr(s, '@');

	if (at == NULL || at == s || at[1] == '\0' || strchr(at + 1, '@') != NULL || strlen(s) > 254)
		return false;
	for (; *s != '\0'; s++)
		if ((unsigned char)*s <= ' ' || *s == 0x7f || strchr("<>()[],;:\\\"", *s) != NULL)
			return false;
	return true;
}

static bool
add_recipient(struct pipeline *p, const struct yml_node *node)
{
	struct notify_spec *notify = &p->plan->notify;

	if (yml_type(node) == YML_NULL)
		return true;
	if (!is_mail_address(yml_text(node)))
		return pipeline_wants(p, node, "recipients", "an address such as dev@example.org");
	if (notify->recipient_count == RECIPIENT_MAX)
		return yml_err(p->doc, node, p->err, "more than %d recipients", RECIPIENT_MAX);
	notify->recipients = xrealloc(notify->recipients, (notify->recipient_count + 1) * sizeof(*notify->recipients));
	notify->recipients[notify->recipient_count++] = xstrdup(yml_text(node));
	return true;
}

static bool
read_recipients(struct pipeline *p, const struct yml_node *node)
{
	if (yml_type(node) != YML_SEQUENCE)
		return add_recipient(p, node);
	for (size_t i = 0; i < yml_count(node); i++)
		if (!add_recipient(p, yml_at(node, i)))
			return false;
	return true;
}

/* on and off, as of old, or a word. */
static bool
read_when(struct pipeline *p, const char *key, const struct yml_node *node, enum notify_when *ret)
{
	static const char *const words[] = {
		[NOTIFY_NEVER] = "never",
		[NOTIFY_ALWAYS] = "always",
		[NOTIFY_CHANGE] = "change",
	};
	bool on;

	if (yml_to_bool(node, &on)) {
		*ret = on ? NOTIFY_ALWAYS : NOTIFY_NEVER;
		return true;
	}
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(yml_text(node), words[i]) == 0) {
			*ret = (enum notify_when)i;
			return true;
		}
	}
	return pipeline_wants(p, node, key, "always, never or change");
}

static bool
read_email_key(struct pipeline *p, const struct yml_node *key, const struct yml_node *value)
{
	static const char *const keys[] = { "recipients", "on_success", "on_failure" };
	struct nearest near = nearest_to(yml_text(key));
	char hint[100];

	if (strcmp(yml_text(key), "recipients") == 0)
		return read_recipients(p, value);
	if (strcmp(yml_text(key), "on_success") == 0)
		return read_when(p, "on_success", value, &p->plan->notify.on_success);
	if (strcmp(yml_text(key), "on_failure") == 0)
		return read_when(p, "on_failure", value, &p->plan->notify.on_failure);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		nearest_offer(&near, keys[i]);
	return yml_err(
	    p->doc, key, p->err, "unknown key \"%.60s\" in email%s", yml_text(key), nearest_hint(&near, hint));
}

/* notify: {email: {recipients, on_success, on_failure}}, or the recipients alone. */
static bool
read_notify(struct pipeline *p, const struct yml_node *notify)
{
	const struct yml_node *email = yml_get(notify, "email");

	if (yml_type(notify) != YML_MAPPING && yml_type(notify) != YML_NULL)
		return pipeline_wants(p, notify, "notify", "a mapping with email:");
	for (size_t i = 0; i < yml_count(notify); i++)
		if (strcmp(yml_text(yml_key_at(notify, i)), "email") != 0)
			return yml_err(p->doc, yml_key_at(notify, i), p->err,
			    "unknown key \"%.60s\" in notify; it has email", yml_text(yml_key_at(notify, i)));
	if (yml_type(email) != YML_MAPPING)
		return read_recipients(p, email);
	for (size_t i = 0; i < yml_count(email); i++)
		if (!read_email_key(p, yml_key_at(email, i), yml_at(email, i)))
			return false;
	return true;
}

static bool
read_file(struct pipeline *p, const struct yml_node *root)
{
	const struct yml_node *version = yml_get(root, "version");
	size_t form = 0;

	if (yml_type(root) == YML_NULL)
		return yml_err(p->doc, root, p->err, "the file is empty; write at least image: and script:");
	if (yml_type(root) != YML_MAPPING)
		return yml_err(p->doc, root, p->err,
		    "the file is %s; it must be a mapping with image: and script:", yml_type_name(root));
	if (yml_type(version) != YML_NULL && yml_type(version) != YML_SCALAR)
		return pipeline_wants(p, version, "version", "a number");
	if (!read_notify(p, yml_get(root, "notify")))
		return false;
	while (form < sizeof(forms) / sizeof(forms[0]) && find_key(root, forms[form].key) == NULL)
		form++;
	return form < sizeof(forms) / sizeof(forms[0]) ? forms[form].read(p, root) : read_flat(p, root);
}

bool
pipeline_parse(
    struct str text, const char *file, const struct pipeline_context *context, struct plan **ret, struct err *err)
{
	static const struct pipeline_context unknown = { 0 };
	struct pipeline p = { .context = context != NULL ? context : &unknown, .err = err };
	struct yml *doc;
	bool ok;

	if (!yml_parse(text, file, &doc, err))
		return false;
	p.doc = doc;
	p.plan = xcalloc(1, sizeof(*p.plan));
	p.plan->notify = (struct notify_spec){ .on_success = NOTIFY_CHANGE, .on_failure = NOTIFY_ALWAYS };
	ok = read_file(&p, yml_root(doc));
	yml_free(&doc);
	if (ok)
		*ret = p.plan;
	else
		plan_free(&p.plan);
	return ok;
}
