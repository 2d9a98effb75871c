#include "server/store/records.h"

#include <stdlib.h>
#include <string.h>

#include "proto/crypto.h"
#include "proto/mem.h"
#include "proto/str.h"
#include "server/store/fields.h"

static const char *const build_states[] = {
	[BUILD_PLANNING] = "planning",
	[BUILD_QUEUED] = "queued",
	[BUILD_WAITING] = "waiting",
	[BUILD_RUNNING] = "running",
	[BUILD_PASSED] = "passed",
	[BUILD_FAILED] = "failed",
	[BUILD_CANCELLED] = "cancelled",
	[BUILD_TIMED_OUT] = "timed_out",
	[BUILD_ERROR] = "error",
};

static const char *const job_states[] = {
	[JOB_WAITING] = "waiting",
	[JOB_QUEUED] = "queued",
	[JOB_RUNNING] = "running",
	[JOB_PASSED] = "passed",
	[JOB_FAILED] = "failed",
	[JOB_CANCELLED] = "cancelled",
	[JOB_TIMED_OUT] = "timed_out",
	[JOB_ERROR] = "error",
	[JOB_SKIPPED] = "skipped",
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

const char *
build_state_name(enum build_state state)
{
	return build_states[state];
}

bool
build_state_from_name(const char *name, enum build_state *ret)
{
	for (size_t i = 0; i < COUNT(build_states); i++)
		if (strcmp(name, build_states[i]) == 0) {
			*ret = (enum build_state)i;
			return true;
		}
	return false;
}

bool
build_state_is_final(enum build_state state)
{
	return state >= BUILD_PASSED;
}

const char *
job_state_name(enum job_state state)
{
	return job_states[state];
}

bool
job_state_from_name(const char *name, enum job_state *ret)
{
	for (size_t i = 0; i < COUNT(job_states); i++)
		if (strcmp(name, job_states[i]) == 0) {
			*ret = (enum job_state)i;
			return true;
		}
	return false;
}

bool
job_state_is_final(enum job_state state)
{
	return state >= JOB_PASSED;
}

static bool
is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool
repo_id_is_valid(const char *id)
{
	size_t len = strlen(id);

	if (len == 0 || len > REPO_ID_MAX || !is_alnum(id[0]))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!is_alnum(id[i]) && strchr("._-", id[i]) == NULL)
			return false;
	return true;
}

bool
access_token_name_is_valid(const char *name)
{
	return repo_id_is_valid(name) && strcmp(name, ACCESS_TOKEN_ADMIN) != 0;
}

static bool
parse_number(struct str s, int64_t *ret)
{
	uint64_t n;

	if (s.len == 0 || s.p[0] == '0' || !str_to_u64(s, INT64_MAX, &n))
		return false;
	*ret = (int64_t)n;
	return true;
}

bool
job_id_parse(const char *id, int64_t *build, int64_t *k)
{
	struct str rest = str_of(id);
	struct str first = str_cut(&rest, '.');

	return parse_number(first, build) && parse_number(rest, k);
}

/* --- ends --- */

static void
repo_fini(struct repo *repo)
{
	crypto_wipe_free(&repo->secret);
	crypto_wipe_free(&repo->token);
	record_fini(&repo_record, repo);
}

static void
build_fini(struct build *build)
{
	record_fini(&build_record, build);
	if (build->change != NULL)
		change_fini(build->change);
	free(build->change);
	for (size_t i = 0; i < build->job_count; i++)
		record_fini(&job_record, &build->jobs[i]);
	free(build->jobs);
}

struct repo *
repo_copy(const struct repo *repo)
{
	struct repo *copy = xcalloc(1, sizeof(*copy));

	*copy = *repo;
	record_own_texts(&repo_record, copy);
	return copy;
}

void
repo_free(struct repo **repo)
{
	if (*repo != NULL)
		repo_fini(*repo);
	free(*repo);
	*repo = NULL;
}

void
job_free(struct job **job)
{
	if (*job != NULL)
		record_fini(&job_record, *job);
	free(*job);
	*job = NULL;
}

void
build_free(struct build **build)
{
	if (*build != NULL)
		build_fini(*build);
	free(*build);
	*build = NULL;
}

void
notice_free(struct notice **notice)
{
	if (*notice != NULL)
		record_fini(&notice_record, *notice);
	free(*notice);
	*notice = NULL;
}

void
repo_list_fini(struct repo_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		repo_fini(&list->items[i]);
	free(list->items);
	*list = (struct repo_list){ 0 };
}

void
build_list_fini(struct build_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		build_fini(&list->items[i]);
	free(list->items);
	*list = (struct build_list){ 0 };
}

void
job_list_fini(struct job_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		record_fini(&job_record, &list->items[i]);
	free(list->items);
	*list = (struct job_list){ 0 };
}

void
secret_fini(struct secret *secret)
{
	crypto_wipe_free(&secret->value);
	record_fini(&secret_record, secret);
}

void
access_token_list_fini(struct access_token_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		record_fini(&access_token_record, &list->items[i]);
	free(list->items);
	*list = (struct access_token_list){ 0 };
}

void
secret_list_fini(struct secret_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		secret_fini(&list->items[i]);
	free(list->items);
	*list = (struct secret_list){ 0 };
}

void
schedule_list_fini(struct schedule_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		record_fini(&schedule_record, &list->items[i]);
	free(list->items);
	*list = (struct schedule_list){ 0 };
}

void
environment_free(struct environment **environment)
{
	if (*environment != NULL)
		record_fini(&environment_record, *environment);
	free(*environment);
	*environment = NULL;
}

void
environment_list_fini(struct environment_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		record_fini(&environment_record, &list->items[i]);
	free(list->items);
	*list = (struct environment_list){ 0 };
}

void
deployment_list_fini(struct deployment_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		record_fini(&deployment_record, &list->items[i]);
	free(list->items);
	*list = (struct deployment_list){ 0 };
}
