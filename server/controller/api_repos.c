/* /api/v1/repos: what a team builds. Secrets go in and never come out; only one that was made here is shown, once. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/crypto.h"
#include "proto/forge.h"
#include "proto/mem.h"
#include "proto/trigger.h"
#include "server/controller/api_json.h"
#include "server/controller/controller_private.h"

#define TEXT_MAX 2048
#define SECRET_BYTES 24

enum field_kind { FIELD_TEXT, FIELD_BOOL, FIELD_NUMBER };

/* What a body may have. id is set when the repository is added. */
static const struct {
	const char *name;
	enum field_kind kind;
	size_t offset;
	int64_t max;
} fields[] = {
	{ "name", FIELD_TEXT, offsetof(struct repo, name), 200 },
	{ "url", FIELD_TEXT, offsetof(struct repo, url), TEXT_MAX },
	{ "forge", FIELD_TEXT, offsetof(struct repo, forge), 32 },
	{ "api", FIELD_TEXT, offsetof(struct repo, api), TEXT_MAX },
	{ "web", FIELD_TEXT, offsetof(struct repo, web), TEXT_MAX },
	{ "secret", FIELD_TEXT, offsetof(struct repo, secret), 1024 },
	{ "token", FIELD_TEXT, offsetof(struct repo, token), 4096 },
	{ "emails", FIELD_TEXT, offsetof(struct repo, emails), TEXT_MAX },
	{ "statuses", FIELD_BOOL, offsetof(struct repo, statuses), 1 },
	{ "max_running", FIELD_NUMBER, offsetof(struct repo, max_running), 10000 },
	{ "weight", FIELD_NUMBER, offsetof(struct repo, weight), 1000 },
	{ "events", FIELD_TEXT, offsetof(struct repo, events), 100 },
	{ "branches", FIELD_TEXT, offsetof(struct repo, branches), TEXT_MAX },
	{ "tags", FIELD_TEXT, offsetof(struct repo, tags), TEXT_MAX },
	{ "pulls", FIELD_TEXT, offsetof(struct repo, pulls), 16 },
	{ "forks", FIELD_TEXT, offsetof(struct repo, forks), 16 },
	{ "approval_s", FIELD_NUMBER, offsetof(struct repo, approval_s), 365 * 24 * 3600 },
	{ "priority", FIELD_NUMBER, offsetof(struct repo, priority), 7 },
};

/* --- a body into a repository --- */

static bool
has_control(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return true;
	return false;
}

static bool
take_text(char **field, const char *name, int64_t max, const struct json_value *value, struct err *err)
{
	const char *text = json_string(value, NULL);

	if (text == NULL || strlen(text) > (size_t)max || has_control(text))
		return err_set(err, ERR_INPUT, 0, "%s must be a text of at most %d bytes without control characters",
		    name, (int)max);
	free(*field);
	*field = xstrdup(text);
	return true;
}

static bool
take_field(struct repo *repo, size_t i, const struct json_value *value, struct err *err)
{
	void *field = (char *)repo + fields[i].offset;
	int64_t n;

	switch (fields[i].kind) {
	case FIELD_TEXT:
		return take_text(field, fields[i].name, fields[i].max, value, err);
	case FIELD_BOOL:
		if (json_type(value) != JSON_BOOL)
			return err_set(err, ERR_INPUT, 0, "%s must be true or false", fields[i].name);
		*(bool *)field = json_bool(value, false);
		return true;
	case FIELD_NUMBER:
		n = json_int(value, -1);
		if (n < 0 || n > fields[i].max)
			return err_set(
			    err, ERR_INPUT, 0, "%s must be a number from 0 to %d", fields[i].name, (int)fields[i].max);
		*(int64_t *)field = n;
		return true;
	}
	return false;
}

static bool
take_member(struct repo *repo, const char *key, const struct json_value *value, struct err *err)
{
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (strcmp(key, fields[i].name) == 0)
			return take_field(repo, i, value, err);
	return err_set(err, ERR_INPUT, 0, "\"%.64s\" is no field of a repository", key);
}

static bool
take_body(struct repo *repo, const struct json_value *body, struct err *err)
{
	for (size_t i = 0; i < json_count(body); i++) {
		const char *key = json_key_at(body, i);

		if (strcmp(key, "id") != 0 && !take_member(repo, key, json_at(body, i), err))
			return false;
	}
	return true;
}

static bool
check(struct repo *repo, struct err *err)
{
	const struct trigger trigger = { repo->events, repo->branches, repo->tags, repo->pulls, repo->forks };
	enum forge_kind kind;

	if (repo->url[0] == '\0' || repo->url[0] == '-')
		return err_set(err, ERR_INPUT, 0, "url is missing: give the URL that git clones from");
	if (!forge_from_name(repo->forge, &kind))
		return err_set(err, ERR_INPUT, 0, "forge must be github, gitlab, gitea, forgejo or generic");
	if (repo->secret[0] != '\0' && strlen(repo->secret) < 6)
		return err_set(
		    err, ERR_INPUT, 0, "secret is too short: give at least 6 characters, or none to have one made");
	if (!trigger_check(&trigger, err))
		return false;
	free(repo->forge);
	repo->forge = xstrdup(forge_name(kind));
	return true;
}

/* --- what was not said --- */

static const char *
guess_forge(const char *url)
{
	static const char *const hosts[][2] = {
		{ "github.com", "github" },
		{ "gitlab.com", "gitlab" },
		{ "codeberg.org", "gitea" },
		{ "gitea.com", "gitea" },
	};

	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++)
		if (strstr(url, hosts[i][0]) != NULL)
			return hosts[i][1];
	return "generic";
}

/* acme/app of https://git.example.com/acme/app.git and of git@host:acme/app */
static char *
guess_name(const char *url)
{
	const char *end = url + strcspn(url, "?#"), *start;
	unsigned slashes = 0;

	if (end - url > 4 && strncmp(end - 4, ".git", 4) == 0)
		end -= 4;
	for (start = end; start > url && start[-1] != ':'; start--)
		if (start[-1] == '/' && ++slashes == 2)
			break;
	while (*start == '/')
		start++;
	return xstrndup(start, start < end ? (size_t)(end - start) : 0);
}

static void
fill_in(struct repo *repo)
{
	if (repo->forge[0] == '\0') {
		free(repo->forge);
		repo->forge = xstrdup(guess_forge(repo->url));
	}
	if (repo->name[0] == '\0') {
		free(repo->name);
		repo->name = guess_name(repo->url);
	}
}

static void
make_secret(struct repo *repo)
{
	char hex[2 * SECRET_BYTES + 1];

	random_hex(hex, SECRET_BYTES);
	free(repo->secret);
	repo->secret = xstrdup(hex);
}

static struct repo *
repo_new(const char *id)
{
	struct repo *repo = xcalloc(1, sizeof(*repo));

	*repo = (struct repo){ .id = xstrdup(id),
		.name = xstrdup(""),
		.url = xstrdup(""),
		.forge = xstrdup(""),
		.api = xstrdup(""),
		.web = xstrdup(""),
		.secret = xstrdup(""),
		.token = xstrdup(""),
		.emails = xstrdup(""),
		.events = xstrdup(""),
		.branches = xstrdup(""),
		.tags = xstrdup(""),
		.pulls = xstrdup(""),
		.forks = xstrdup(""),
		.parameters = xstrdup(""),
		.statuses = true };
	return repo;
}

/* --- answers --- */

static void
write_repo(struct json_writer *w, struct api_call *call, const struct repo *repo)
{
	struct buf webhook;

	buf_init(&webhook, 4096);
	api_print_base(call->controller, reply_request(call->reply), &webhook);
	buf_addf(&webhook, "/hook/%s", repo->id);
	api_write_repo(w, repo, webhook.data);
	buf_fini(&webhook);
}

static void
answer_repo(struct api_call **call, const struct repo *repo, unsigned status, bool with_secret)
{
	struct json_writer *w = json_writer_new(API_JSON_MAX);

	json_write_object_open(w);
	write_repo(w, *call, repo);
	json_member_bool(w, "secret_set", repo->secret[0] != '\0');
	json_member_bool(w, "token_set", repo->token[0] != '\0');
	if (with_secret)
		json_member_string(w, "secret", repo->secret);
	json_write_object_close(w);
	api_call_json(call, status, &w);
}

/* --- handlers --- */

static void
on_list(void *arg, struct repo_list repos, const struct err *err)
{
	struct api_call *call = arg;
	struct json_writer *w;

	if (!api_call_failed(&call, err)) {
		w = api_list_open("repos");
		for (size_t i = 0; i < repos.count; i++) {
			json_write_object_open(w);
			write_repo(w, call, &repos.items[i]);
			json_write_object_close(w);
		}
		api_list_answer(&call, &w);
	}
	repo_list_fini(&repos);
}

void
api_repo_list(void *arg, struct http_reply *reply)
{
	struct api_call *call = api_call_new(arg, reply);

	call->op = store_repo_list(call->store, on_list, call);
}

static void
on_added(void *arg, const struct err *err)
{
	struct api_call *call = arg;
	bool was_made = json_string(json_get(json_root(call->body), "secret"), "")[0] == '\0';

	if (!api_call_failed(&call, err))
		answer_repo(&call, call->repo, 201, was_made);
}

/* An id that is taken is not overwritten. */
static void
on_looked(void *arg, struct repo *repo, const struct err *err)
{
	struct api_call *call = arg;
	bool is_free = err != NULL && err->code == ERR_NOT_FOUND;

	call->op = NULL;
	if (is_free) {
		call->op = store_repo_put(call->store, call->repo, on_added, call);
	} else if (!api_call_failed(&call, err)) {
		reply_error(&call->reply, 409, "conflict", "repository %s exists; change it with PATCH", repo->id);
		api_call_end(&call);
	}
	repo_free(&repo);
}

void
api_repo_add(void *arg, struct http_reply *reply)
{
	struct api_call *call = api_call_new(arg, reply);
	struct err err;
	const char *id;

	if (!api_call_parse(&call))
		return;
	id = json_string(json_get(json_root(call->body), "id"), "");
	if (!repo_id_is_valid(id)) {
		err = err_make(ERR_INPUT, 0,
		    "id must have 1 to %d of a-z 0-9 . _ - and begin with a letter or digit: it stands in the "
		    "webhook's address",
		    REPO_ID_MAX);
		api_call_failed(&call, &err);
		return;
	}
	call->repo = repo_new(id);
	if (!take_body(call->repo, json_root(call->body), &err)) {
		api_call_failed(&call, &err);
		return;
	}
	fill_in(call->repo);
	if (!check(call->repo, &err)) {
		api_call_failed(&call, &err);
		return;
	}
	if (call->repo->secret[0] == '\0')
		make_secret(call->repo);
	call->op = store_repo_get(call->store, id, on_looked, call);
}

static void
on_got(void *arg, struct repo *repo, const struct err *err)
{
	struct api_call *call = arg;

	if (!api_call_failed(&call, err))
		answer_repo(&call, repo, 200, false);
	repo_free(&repo);
}

void
api_repo_get(void *arg, struct http_reply *reply)
{
	struct api_call *call = api_call_new(arg, reply);

	call->op = store_repo_get(call->store, api_call_param(call, "repo"), on_got, call);
}

static void
on_changed(void *arg, const struct err *err)
{
	struct api_call *call = arg;

	if (!api_call_failed(&call, err))
		answer_repo(&call, call->repo, 200, false);
}

static void
on_old(void *arg, struct repo *repo, const struct err *err)
{
	struct api_call *call = arg;
	struct err wrong;

	call->repo = repo;
	if (api_call_failed(&call, err))
		return;
	if (!take_body(repo, json_root(call->body), &wrong) || !check(repo, &wrong)) {
		api_call_failed(&call, &wrong);
		return;
	}
	if (repo->secret[0] == '\0')
		make_secret(repo); /* a repository without one could be built by anybody */
	call->op = store_repo_put(call->store, repo, on_changed, call);
}

void
api_repo_change(void *arg, struct http_reply *reply)
{
	struct api_call *call = api_call_new(arg, reply);

	if (api_call_parse(&call))
		call->op = store_repo_get(call->store, api_call_param(call, "repo"), on_old, call);
}

void
api_repo_delete(void *arg, struct http_reply *reply)
{
	struct api_call *call = api_call_new(arg, reply);

	call->op = store_repo_delete(call->store, api_call_param(call, "repo"), api_call_done, call);
}
