#include "proto/variables.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"
#include "proto/slug.h"

#define SHORT_COMMIT 7

/* What the names stand for. */
enum fact {
	FACT_TRUE,
	FACT_SYSTEM,
	FACT_SERVER,
	FACT_BUILD,
	FACT_BUILD_URL,
	FACT_JOB,
	FACT_JOB_NAME,
	FACT_ATTEMPT,
	FACT_WORKSPACE,
	FACT_EVENT,
	FACT_SOURCE,
	FACT_REPO,
	FACT_REPO_SLUG,
	FACT_REPO_OWNER,
	FACT_REPO_NAME,
	FACT_REPO_URL,
	FACT_REF,
	FACT_REF_NAME,
	FACT_REF_SLUG,
	FACT_BRANCH,
	FACT_TAG,
	FACT_TARGET,
	FACT_COMMIT,
	FACT_SHORT_COMMIT,
	FACT_CHECKOUT,
	FACT_BEFORE,
	FACT_MESSAGE,
	FACT_TITLE,
	FACT_AUTHOR,
	FACT_AUTHOR_NAME,
	FACT_AUTHOR_EMAIL,
	FACT_SENDER,
	FACT_PULL,
	FACT_ENVIRONMENT,
	FACT_DEPLOY_IMAGE,
	FACT_IMAGE,
	FACT_IMAGE_DIGEST,
	FACT_COUNT
};

static const struct {
	const char *name;
	enum fact fact;
} names[] = {
	{ "CI", FACT_TRUE },
	{ "CONTINUOUS_INTEGRATION", FACT_TRUE },
	{ "DAVIT", FACT_TRUE },
	{ "DAVIT_SERVER", FACT_SERVER },
	{ "DAVIT_URL", FACT_BUILD_URL },
	{ "DAVIT_BUILD", FACT_BUILD },
	{ "DAVIT_JOB", FACT_JOB },
	{ "DAVIT_JOB_NAME", FACT_JOB_NAME },
	{ "DAVIT_ATTEMPT", FACT_ATTEMPT },
	{ "DAVIT_WORKSPACE", FACT_WORKSPACE },
	{ "DAVIT_EVENT", FACT_EVENT },
	{ "DAVIT_REPO", FACT_REPO },
	{ "DAVIT_REF", FACT_REF },
	{ "DAVIT_BRANCH", FACT_BRANCH },
	{ "DAVIT_TAG", FACT_TAG },
	{ "DAVIT_TARGET_BRANCH", FACT_TARGET },
	{ "DAVIT_COMMIT", FACT_COMMIT },
	{ "DAVIT_SHORT_COMMIT", FACT_SHORT_COMMIT },
	{ "DAVIT_CHECKOUT", FACT_CHECKOUT },
	{ "DAVIT_BEFORE", FACT_BEFORE },
	{ "DAVIT_MESSAGE", FACT_MESSAGE },
	{ "DAVIT_AUTHOR", FACT_AUTHOR_NAME },
	{ "DAVIT_AUTHOR_EMAIL", FACT_AUTHOR_EMAIL },
	{ "DAVIT_SENDER", FACT_SENDER },
	{ "DAVIT_PULL_REQUEST", FACT_PULL },
	{ "DAVIT_ENVIRONMENT", FACT_ENVIRONMENT },
	{ "DAVIT_DEPLOY_IMAGE", FACT_DEPLOY_IMAGE },
	{ "DAVIT_IMAGE", FACT_IMAGE },
	{ "DAVIT_IMAGE_DIGEST", FACT_IMAGE_DIGEST },
	{ "CI_NAME", FACT_SYSTEM },
	{ "CI_SERVER", FACT_TRUE },
	{ "CI_SERVER_NAME", FACT_SYSTEM },
	{ "CI_SERVER_URL", FACT_SERVER },
	{ "CI_BUILD_NUMBER", FACT_BUILD },
	{ "CI_BUILD_URL", FACT_BUILD_URL },
	{ "CI_PIPELINE_ID", FACT_BUILD },
	{ "CI_PIPELINE_IID", FACT_BUILD },
	{ "CI_PIPELINE_URL", FACT_BUILD_URL },
	{ "CI_PIPELINE_SOURCE", FACT_SOURCE },
	{ "CI_JOB_ID", FACT_JOB },
	{ "CI_JOB_NAME", FACT_JOB_NAME },
	{ "CI_JOB_URL", FACT_BUILD_URL },
	{ "CI_PROJECT_DIR", FACT_WORKSPACE },
	{ "CI_PROJECT_PATH", FACT_REPO },
	{ "CI_PROJECT_PATH_SLUG", FACT_REPO_SLUG },
	{ "CI_PROJECT_NAMESPACE", FACT_REPO_OWNER },
	{ "CI_PROJECT_NAME", FACT_REPO_NAME },
	{ "CI_REPO", FACT_REPO },
	{ "CI_REPOSITORY_URL", FACT_REPO_URL },
	{ "CI_BRANCH", FACT_REF_NAME },
	{ "CI_COMMIT_REF", FACT_REF },
	{ "CI_COMMIT_REF_NAME", FACT_REF_NAME },
	{ "CI_COMMIT_REF_SLUG", FACT_REF_SLUG },
	{ "CI_COMMIT_BRANCH", FACT_BRANCH },
	{ "CI_COMMIT_TAG", FACT_TAG },
	{ "CI_COMMIT_SHA", FACT_COMMIT },
	{ "CI_COMMIT_SHORT_SHA", FACT_SHORT_COMMIT },
	{ "CI_COMMIT_BEFORE_SHA", FACT_BEFORE },
	{ "CI_COMMIT_MESSAGE", FACT_MESSAGE },
	{ "CI_COMMIT_TITLE", FACT_TITLE },
	{ "CI_COMMIT_AUTHOR", FACT_AUTHOR },
	{ "CI_PULL_REQUEST", FACT_PULL },
	{ "CI_MERGE_REQUEST_IID", FACT_PULL },
	{ "CI_MERGE_REQUEST_TARGET_BRANCH_NAME", FACT_TARGET },
	{ "CI_ENVIRONMENT_NAME", FACT_ENVIRONMENT },
	{ "GIT_COMMIT", FACT_CHECKOUT },
	{ "GIT_PREVIOUS_COMMIT", FACT_BEFORE },
	{ "GIT_BRANCH", FACT_REF_NAME },
	{ "GIT_URL", FACT_REPO_URL },
	{ "BUILD_NUMBER", FACT_BUILD },
	{ "BUILD_ID", FACT_BUILD },
	{ "BUILD_URL", FACT_BUILD_URL },
	{ "JOB_NAME", FACT_JOB_NAME },
	{ "BRANCH_NAME", FACT_REF_NAME },
	{ "TAG_NAME", FACT_TAG },
	{ "CHANGE_ID", FACT_PULL },
	{ "CHANGE_TARGET", FACT_TARGET },
	{ "WORKSPACE", FACT_WORKSPACE },
};

#define NAME_COUNT (sizeof(names) / sizeof(names[0]))

struct facts {
	char *values[FACT_COUNT];
};

static bool
is_set(const char *s)
{
	return s != NULL && s[0] != '\0';
}

static void
set(struct facts *f, enum fact fact, const char *value)
{
	if (is_set(value))
		f->values[fact] = xstrdup(value);
}

static void
set_number(struct facts *f, enum fact fact, int64_t n)
{
	if (n != 0)
		f->values[fact] = xasprintf("%" PRId64, n);
}

static void
set_slug(struct facts *f, enum fact fact, const char *text)
{
	char slug[SLUG_MAX + 1];

	if (!is_set(text))
		return;
	slug_make(text, slug);
	set(f, fact, slug);
}

static bool
begins(const char *s, const char *prefix)
{
	return s != NULL && strncmp(s, prefix, strlen(prefix)) == 0;
}

/* As GitLab calls what made the build. */
static const char *
source_of(const char *event)
{
	static const char *const words[][2] = {
		{ "push", "push" },
		{ "tag", "push" },
		{ "pull_request", "merge_request_event" },
		{ "cron", "schedule" },
		{ "manual", "web" },
		{ "api", "api" },
		{ "deploy", "web" },
	};

	for (size_t i = 0; event != NULL && i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(event, words[i][0]) == 0)
			return words[i][1];
	return NULL;
}

/* A branch, a tag, or "pull/7/head". */
static void
set_ref(struct facts *f, const struct variables *v)
{
	bool is_branch = begins(v->ref, "refs/heads/"), is_tag = begins(v->ref, "refs/tags/");
	const char *name = is_branch || is_tag       ? v->branch
			   : begins(v->ref, "refs/") ? v->ref + strlen("refs/")
						     : v->ref;

	set(f, FACT_REF, v->ref);
	set(f, FACT_REF_NAME, name);
	set_slug(f, FACT_REF_SLUG, name);
	if (is_branch)
		set(f, FACT_BRANCH, v->branch);
	if (is_tag)
		set(f, FACT_TAG, v->branch);
	if (v->pull_number != 0)
		set(f, FACT_TARGET, v->branch);
}

static void
set_commit(struct facts *f, const struct variables *v)
{
	set(f, FACT_COMMIT, v->commit);
	if (is_set(v->commit))
		f->values[FACT_SHORT_COMMIT] = xstrndup(v->commit, strnlen(v->commit, SHORT_COMMIT));
	set(f, FACT_CHECKOUT, is_set(v->merge) ? v->merge : v->commit);
	set(f, FACT_BEFORE, v->before);
	set(f, FACT_MESSAGE, v->message);
	set(f, FACT_TITLE, v->title);
	set(f, FACT_AUTHOR_NAME, v->author_name);
	set(f, FACT_AUTHOR_EMAIL, v->author_email);
	set(f, FACT_SENDER, v->sender);
	if (is_set(v->author_name) && is_set(v->author_email))
		f->values[FACT_AUTHOR] = xasprintf("%s <%s>", v->author_name, v->author_email);
	else
		set(f, FACT_AUTHOR, v->author_name);
}

/* A URL with somebody's password in it stays with the server. */
static bool
has_user(const char *url)
{
	const char *host = url != NULL ? strstr(url, "://") : NULL;

	return host != NULL && memchr(host + 3, '@', strcspn(host + 3, "/")) != NULL;
}

static void
set_repo(struct facts *f, const struct variables *v)
{
	const char *slash = v->repo != NULL ? strrchr(v->repo, '/') : NULL;

	set(f, FACT_REPO, v->repo);
	set_slug(f, FACT_REPO_SLUG, v->repo);
	set(f, FACT_REPO_NAME, slash != NULL ? slash + 1 : v->repo);
	if (slash != NULL && slash > v->repo)
		f->values[FACT_REPO_OWNER] = xstrndup(v->repo, (size_t)(slash - v->repo));
	if (!has_user(v->url))
		set(f, FACT_REPO_URL, v->url);
}

static void
set_image(struct facts *f, const struct built_image *image)
{
	if (image->reference.len == 0)
		return;
	f->values[FACT_IMAGE] = str_dup(image->reference);
	f->values[FACT_IMAGE_DIGEST] = str_dup(built_image_digest(image));
}

static void
set_build(struct facts *f, const struct variables *v)
{
	set(f, FACT_TRUE, "true");
	set(f, FACT_SYSTEM, "davit");
	set(f, FACT_SERVER, v->server);
	set_number(f, FACT_BUILD, v->build);
	if (is_set(v->server))
		f->values[FACT_BUILD_URL] = xasprintf("%s/builds/%" PRId64, v->server, v->build);
	set(f, FACT_JOB, v->job);
	set(f, FACT_JOB_NAME, v->job_name);
	set_number(f, FACT_ATTEMPT, v->attempt);
	set(f, FACT_EVENT, v->event);
	set(f, FACT_SOURCE, source_of(v->event));
	set_number(f, FACT_PULL, v->pull_number);
	set(f, FACT_ENVIRONMENT, v->environment);
	set(f, FACT_DEPLOY_IMAGE, v->deploy_image);
	set_image(f, &v->built);
	set(f, FACT_WORKSPACE, v->workspace);
}

void
variables_add(const struct variables *v, struct env *env)
{
	struct facts f = { { NULL } };

	set_build(&f, v);
	set_repo(&f, v);
	set_ref(&f, v);
	set_commit(&f, v);
	for (size_t i = 0; i < NAME_COUNT; i++)
		if (f.values[names[i].fact] != NULL)
			env_add(env, names[i].name, f.values[names[i].fact]);
	for (size_t i = 0; i < FACT_COUNT; i++)
		free(f.values[i]);
}

const char *
variables_name(size_t i)
{
	return i < NAME_COUNT ? names[i].name : NULL;
}

/* --- reports of the old form --- */

#define REPORTS ".davit"

static bool
names_reports(const char *command)
{
	return strstr(command, "TEST_RESULT") != NULL || strstr(command, "TEST_COVERAGE") != NULL ||
	       strstr(command, "TEST_DIR") != NULL;
}

const char *
variables_reports(const struct job_spec *job)
{
	for (size_t i = 0; i < job->segment_count; i++)
		for (size_t k = 0; k < job->segments[i].command_count; k++)
			if (names_reports(job->segments[i].commands[k]))
				return REPORTS;
	return NULL;
}

static void
add_report(struct env *env, const char *name, const char *workspace, const char *file)
{
	char *path = xasprintf("%s/" REPORTS "%s", workspace, file);

	env_add(env, name, path);
	free(path);
}

void
variables_add_reports(const struct job_spec *job, const char *workspace, struct env *env)
{
	if (variables_reports(job) == NULL)
		return;
	add_report(env, "TEST_DIR", workspace, "");
	add_report(env, "TEST_RESULT", workspace, "/result.xml");
	add_report(env, "TEST_COVERAGE", workspace, "/coverage.xml");
}
