/* .travis.yml: one job per combination of versions and environments, or jobs in stages (docs.travis-ci.com/user). */
#include "proto/convert_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"

/* What Travis does for a language when the file says no more. */
/* clang-format off */
static const struct language {
	const char *name;
	const char *versions; /* the key of its list of versions; NULL: none */
	const char *image;    /* followed by ":" and a version */
	const char *latest;   /* the version without one */
	const char *install;
	const char *script;
	const char *cache;    /* folder of cache: true */
} languages[] = {
	{ "python",  "python",  "python",      "3",      "pip install -r requirements.txt", NULL, "/root/.cache/pip" },
	{ "node_js", "node_js", "node",        "lts",    "npm ci",                          "npm test", "/root/.npm" },
	{ "ruby",    "rvm",     "ruby",        "3",      "bundle install",                  "rake", "/usr/local/bundle" },
	{ "go",      "go",      "golang",      "latest", "go mod download",                 "go test ./...", "/go/pkg/mod" },
	{ "rust",    "rust",    "rust",        "latest", NULL, "cargo build --verbose && cargo test --verbose", "/usr/local/cargo/registry" },
	{ "php",     "php",     "php",         "8",      "composer install",                "phpunit", "/root/.composer/cache" },
	{ "java",    "jdk",     "eclipse-temurin", "21", NULL, "mvn test", "/root/.m2" },
	{ "c",       NULL,      "gcc",         "latest", NULL, "./configure && make && make test", "/root/.ccache" },
	{ "cpp",     NULL,      "gcc",         "latest", NULL, "./configure && make && make test", "/root/.ccache" },
	{ "generic", NULL,      "buildpack-deps", "bookworm", NULL, NULL, NULL },
	{ "bash",    NULL,      "buildpack-deps", "bookworm", NULL, NULL, NULL },
	{ "minimal", NULL,      "debian",      "bookworm", NULL, NULL, NULL },
};
/* clang-format on */

static const struct language *
find_language(const char *name)
{
	for (size_t i = 0; i < sizeof(languages) / sizeof(languages[0]); i++)
		if (strcmp(languages[i].name, name) == 0)
			return &languages[i];
	return NULL;
}

/* --- values --- */

static void
take_install(struct convert *c, const struct yml_node *value, struct ymlw_node *job)
{
	bool no_install = false;

	if (yml_type(value) == YML_SCALAR && (!yml_to_bool(value, &no_install) || !yml_is_plain(value)))
		no_install = strcmp(yml_text(value), "skip") == 0;
	else if (yml_type(value) == YML_SCALAR)
		no_install = true; /* install: true is the way to say: nothing */
	if (!no_install)
		convert_add(c, job, "install", value, NULL);
}

static struct ymlw_node *
only_when_passed(struct convert *c, const struct yml_node *item)
{
	return convert_text(c, "if [ \"$DAVIT_JOB_STATUS\" = passed ]; then %s; fi", yml_text(item));
}

static struct ymlw_node *
only_when_failed(struct convert *c, const struct yml_node *item)
{
	return convert_text(c, "if [ \"$DAVIT_JOB_STATUS\" != passed ]; then %s; fi", yml_text(item));
}

static void
take_after_success(struct convert *c, const struct yml_node *value, struct ymlw_node *job)
{
	convert_add(c, job, "after_script", value, only_when_passed);
}

static void
take_after_failure(struct convert *c, const struct yml_node *value, struct ymlw_node *job)
{
	convert_add(c, job, "after_script", value, only_when_failed);
}

static struct ymlw_node *
service(struct convert *c, const struct yml_node *item)
{
	static const char *const names[][2] = { { "mysql", "mysql" }, { "mariadb", "mariadb" },
		{ "postgresql", "postgres" }, { "redis", "redis" }, { "redis-server", "redis" },
		{ "mongodb", "mongodb" }, { "rabbitmq", "rabbitmq" }, { "memcached", "memcached" },
		{ "influxdb", "influxdb" } };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(yml_text(item), names[i][0]) == 0)
			return ymlw_text(c->out, str_of(names[i][1]));
	convert_note(c, item, "the service %.60s is not carried over", yml_text(item));
	return NULL;
}

static void
take_services(struct convert *c, const struct yml_node *value, struct ymlw_node *job)
{
	convert_add(c, job, "services", value, service);
	if (ymlw_get(job, "services") != NULL)
		convert_note(c, value, "services are reached by their names here (mysql, redis ...), not at localhost");
}

/* {secure: ...} can be read by Travis alone. */
static bool
is_secure(struct convert *c, const struct yml_node *item)
{
	if (yml_get(item, "secure") == NULL)
		return false;
	convert_note(c, item,
	    "an encrypted variable is not carried over: give it to the server with davit secret set NAME, and list "
	    "NAME "
	    "below secrets:");
	return true;
}

static void
add_env_list(struct convert *c, const struct yml_node *value, struct ymlw_node *to)
{
	if (yml_type(value) == YML_MAPPING) {
		if (!is_secure(c, value))
			for (size_t i = 0; i < yml_count(value); i++)
				ymlw_add(c->out, to,
				    convert_text(
					c, "%s=%s", yml_text(yml_key_at(value, i)), yml_text(yml_at(value, i))));
	} else if (yml_type(value) == YML_SCALAR) {
		ymlw_add(c->out, to, ymlw_text(c->out, str_of(yml_text(value))));
	} else {
		for (size_t i = 0; i < yml_count(value); i++)
			add_env_list(c, yml_at(value, i), to);
	}
}

static void
add_env(struct convert *c, struct ymlw_node *job, const struct yml_node *value)
{
	struct ymlw_node *list = ymlw_get(job, "env");

	if (list == NULL)
		list = ymlw_list(c->out);
	add_env_list(c, value, list);
	if (ymlw_count(list) > 0 && ymlw_get(job, "env") == NULL)
		ymlw_set(c->out, job, "env", list);
}

/* Lines of env: are a matrix: one job each. */
static void
add_env_matrix(struct convert *c, struct ymlw_node *job, const struct yml_node *value)
{
	struct ymlw_node *lines = ymlw_list(c->out);

	add_env_list(c, value, lines);
	if (ymlw_count(lines) == 0)
		return;
	ymlw_set(c->out, convert_mapping(c, job, "matrix"), "env", lines);
	if (ymlw_get(job, "env") == NULL)
		ymlw_set(c->out, job, "env", ymlw_list(c->out));
	ymlw_add(c->out, ymlw_get(job, "env"), ymlw_text(c->out, STR("${matrix.env}")));
}

/* A job of its own takes the first of the file's lines. */
static void
take_first_env(struct convert *c, const struct yml_node *value, struct ymlw_node *job)
{
	const struct yml_node *jobs =
	    yml_get(value, "jobs") != NULL ? yml_get(value, "jobs") : yml_get(value, "matrix");
	const struct yml_node *global = yml_get(value, "global");
	const struct yml_node *lines = global == NULL && jobs == NULL ? value : jobs;

	if (global != NULL)
		add_env(c, job, global);
	if (yml_type(lines) == YML_SEQUENCE && yml_count(lines) > 0)
		add_env(c, job, yml_at(lines, 0));
	else if (lines != NULL)
		add_env(c, job, lines);
}

static void
take_env(struct convert *c, const struct yml_node *value, struct ymlw_node *job)
{
	const struct yml_node *jobs =
	    yml_get(value, "jobs") != NULL ? yml_get(value, "jobs") : yml_get(value, "matrix");
	const struct yml_node *global = yml_get(value, "global");

	if (global != NULL)
		add_env(c, job, global);
	if (jobs != NULL)
		add_env_matrix(c, job, jobs);
	if (global == NULL && jobs == NULL && yml_type(value) == YML_SEQUENCE && yml_count(value) > 1)
		add_env_matrix(c, job, value);
	else if (global == NULL && jobs == NULL)
		add_env(c, job, value);
}

static const struct language *
language_of(const struct yml_node *root)
{
	const struct yml_node *name = yml_get(root, "language");
	const struct language *language = find_language(name != NULL ? yml_text(name) : "ruby");

	return language != NULL ? language : find_language("generic");
}

/* A key that a branch shares, else any branch's newest. */
static void
add_cache(struct convert *c, struct ymlw_node *job, const char *name, struct ymlw_node *paths)
{
	struct ymlw_node *cache = ymlw_mapping(c->out), *caches = ymlw_get(job, "cache");

	ymlw_set(c->out, cache, "key", convert_text(c, "%s-${branch}", name));
	ymlw_set(c->out, cache, "fallback", ymlw_flow(ymlw_list(c->out)));
	ymlw_add(c->out, ymlw_get(cache, "fallback"), convert_text(c, "%s-", name));
	ymlw_set(c->out, cache, "paths", paths);
	if (caches == NULL)
		ymlw_set(c->out, job, "cache", caches = ymlw_list(c->out));
	ymlw_add(c->out, caches, cache);
}

/* $HOME is root's here. */
static struct ymlw_node *
folder(struct convert *c, const struct yml_node *item)
{
	const char *path = yml_text(item);

	if (strncmp(path, "$HOME/", 6) == 0)
		return convert_text(c, "/root/%s", path + 6);
	if (strncmp(path, "~/", 2) == 0)
		return convert_text(c, "/root/%s", path + 2);
	return ymlw_text(c->out, str_of(path));
}

static void
add_folders_cache(struct convert *c, struct ymlw_node *job, const struct yml_node *folders)
{
	struct ymlw_node *holder = ymlw_mapping(c->out), *paths = ymlw_list(c->out);

	convert_add(c, holder, "paths", folders, folder);
	if (ymlw_get(holder, "paths") != NULL)
		paths = ymlw_get(holder, "paths");
	add_cache(c, job, "folders", paths);
}

/* cache: pip, npm, bundler, cargo ...: the folder of the tool that the language uses. */
static void
add_named_cache(struct convert *c, struct ymlw_node *job, const struct yml_node *name)
{
	const struct language *language = language_of(yml_root(c->in));
	struct ymlw_node *paths = ymlw_list(c->out);

	if (language->cache == NULL) {
		convert_note(
		    c, name, "cache: %.40s is not carried over: list its folders below cache:", yml_text(name));
		return;
	}
	ymlw_add(c->out, paths, ymlw_text(c->out, str_of(language->cache)));
	add_cache(c, job, yml_text(name), paths);
}

static void
take_cache(struct convert *c, const struct yml_node *value, struct ymlw_node *job)
{
	bool on;

	if (yml_to_bool(value, &on))
		return;
	if (yml_type(value) == YML_SEQUENCE)
		for (size_t i = 0; i < yml_count(value); i++)
			take_cache(c, yml_at(value, i), job);
	else if (yml_type(value) == YML_SCALAR)
		add_named_cache(c, job, value);
	for (size_t i = 0; yml_type(value) == YML_MAPPING && i < yml_count(value); i++) {
		if (strcmp(yml_text(yml_key_at(value, i)), "directories") == 0)
			add_folders_cache(c, job, yml_at(value, i));
		else if (yml_to_bool(yml_at(value, i), &on) && on)
			add_named_cache(c, job, yml_key_at(value, i));
	}
}

static void
take_branches(struct convert *c, const struct yml_node *value, struct ymlw_node *job)
{
	const struct yml_node *only = yml_get(value, "only"), *except = yml_get(value, "except");
	struct ymlw_node *when = convert_mapping(c, job, "when");

	if (only == NULL && except == NULL && yml_type(value) == YML_SEQUENCE)
		only = value;
	for (size_t i = 0; i < yml_count(only); i++)
		convert_add_pattern(c, when, "branch", str_of(yml_text(yml_at(only, i))), "");
	for (size_t i = 0; i < yml_count(except); i++)
		convert_add_pattern(c, when, "branch", str_of(yml_text(yml_at(except, i))), "!");
	if (yml_type(only) == YML_SCALAR)
		convert_add_pattern(c, when, "branch", str_of(yml_text(only)), "");
}

static void
take_addons(struct convert *c, const struct yml_node *value, struct ymlw_node *job)
{
	const struct yml_node *apt = yml_get(value, "apt");
	const struct yml_node *packages = yml_get(apt, "packages") != NULL ? yml_get(apt, "packages") : apt;

	for (size_t i = 0; i < yml_count(value); i++)
		if (strcmp(yml_text(yml_key_at(value, i)), "apt") != 0)
			convert_note(c, yml_key_at(value, i), "addons: %.40s is not carried over",
			    yml_text(yml_key_at(value, i)));
	for (size_t i = 0; yml_type(packages) == YML_SEQUENCE && i < yml_count(packages); i++) {
		if (i == 0)
			convert_add_text(c, job, "install", "apt-get update");
		ymlw_add(c->out, ymlw_get(job, "install"),
		    convert_text(c, "apt-get install -y --no-install-recommends %s", yml_text(yml_at(packages, i))));
	}
}

static void
take_notifications(struct convert *c, const struct yml_node *value, struct ymlw_node *job)
{
	const struct yml_node *email = yml_get(value, "email");
	const struct yml_node *recipients = yml_get(email, "recipients") != NULL ? yml_get(email, "recipients") : email;
	struct ymlw_node *to;

	(void)job;
	for (size_t i = 0; i < yml_count(value); i++)
		if (strcmp(yml_text(yml_key_at(value, i)), "email") != 0)
			convert_note(c, yml_key_at(value, i), "notifications: %.40s is not carried over",
			    yml_text(yml_key_at(value, i)));
	if (yml_type(recipients) != YML_SEQUENCE)
		return;
	to = convert_mapping(c, convert_mapping(c, ymlw_root(c->out), "notify"), "email");
	convert_add(c, to, "recipients", recipients, NULL);
	for (size_t i = 0; i < 2; i++) {
		const char *key = i == 0 ? "on_success" : "on_failure";

		if (yml_get(email, key) != NULL)
			ymlw_set(c->out, to, key, ymlw_copy(c->out, yml_get(email, key)));
	}
}

/* --- jobs --- */

/* Read in this order: the packages of addons are installed first, as on Travis. */
/* clang-format off */
static const struct convert_key keys[] = {
	{ "addons",         take_addons,        NULL },
	{ "services",       take_services,      NULL },
	{ "env",            take_env,           NULL },
	{ "branches",       take_branches,      NULL },
	{ "cache",          take_cache,         NULL },
	{ "before_install", take_install,       NULL },
	{ "install",        take_install,       NULL },
	{ "before_script",  convert_take_before_script, NULL },
	{ "script",         convert_take_script,        NULL },
	{ "after_success",  take_after_success, NULL },
	{ "after_failure",  take_after_failure, NULL },
	{ "after_script",   convert_take_after_script,  NULL },
	{ "notifications",  take_notifications, NULL },
	{ "language",       NULL, NULL },
	{ "sudo",           NULL, NULL },
	{ "name",           NULL, NULL },
	{ "stage",          NULL, NULL },
	{ "stages",         NULL, NULL },
	{ "jobs",           NULL, NULL },
	{ "matrix",         NULL, NULL },
	{ "version",        NULL, NULL },
	{ "os",             NULL, "jobs run in the image's system" },
	{ "dist",           NULL, "jobs run in the image's system" },
	{ "osx_image",      NULL, "there are no jobs on macOS" },
	{ "arch",           NULL, "choose engines by labels:" },
	{ "group",          NULL, NULL },
	{ "git",            NULL, "the server's git.full decides about the depth" },
	{ "if",             NULL, "write the condition below when:" },
	{ "deploy",         NULL, "write a job with deploy:, or one with a script and when:" },
	{ "before_deploy",  NULL, "write it into the deploying job" },
	{ "after_deploy",   NULL, "write it into the deploying job" },
	{ "before_cache",   NULL, "write it at the end of script:" },
};
/* clang-format on */

#define KEY_COUNT (sizeof(keys) / sizeof(keys[0]))

static bool
is_version_key(const char *name)
{
	for (size_t i = 0; i < sizeof(languages) / sizeof(languages[0]); i++)
		if (languages[i].versions != NULL && strcmp(languages[i].versions, name) == 0)
			return true;
	return false;
}

/* What has no counterpart is said once, where it stands. */
static void
note_keys(struct convert *c, const struct yml_node *mapping)
{
	for (size_t i = 0; i < yml_count(mapping); i++) {
		const struct yml_node *name = yml_key_at(mapping, i);

		if (!is_version_key(yml_text(name)))
			convert_note_key(c, name, convert_find(keys, KEY_COUNT, yml_text(name)));
	}
}

static void
set_image(struct convert *c, struct ymlw_node *job, const struct language *language, const struct yml_node *versions)
{
	if (yml_count(versions) > 1) {
		ymlw_set(c->out, convert_mapping(c, job, "matrix"), language->versions, ymlw_copy(c->out, versions));
		ymlw_set(c->out, job, "image", convert_text(c, "%s:${matrix.%s}", language->image, language->versions));
		return;
	}
	if (yml_count(versions) == 1)
		versions = yml_at(versions, 0);
	ymlw_set(c->out, job, "image",
	    convert_text(c, "%s:%s", language->image, versions != NULL ? yml_text(versions) : language->latest));
}

static const struct yml_node *
versions_of(const struct yml_node *mapping, const struct language *language)
{
	return language->versions != NULL ? yml_get(mapping, language->versions) : NULL;
}

static void
set_defaults(struct convert *c, struct ymlw_node *job, const struct language *language)
{
	if (ymlw_get(job, "install") == NULL && language->install != NULL &&
	    yml_get(yml_root(c->in), "install") == NULL)
		convert_add_text(c, job, "install", language->install);
	if (ymlw_get(job, "script") == NULL)
		convert_add_text(c, job, "script", language->script != NULL ? language->script : "true");
}

/* The job of the file's own keys; each of its combinations becomes one by matrix:. */
static void
add_main_job(struct convert *c, const struct yml_node *root, struct ymlw_node *job)
{
	const struct language *language = language_of(root);

	set_image(c, job, language, versions_of(root, language));
	for (size_t i = 0; i < KEY_COUNT; i++)
		if (keys[i].take != NULL && keys[i].take != take_notifications && yml_get(root, keys[i].name) != NULL)
			keys[i].take(c, yml_get(root, keys[i].name), job);
	set_defaults(c, job, language);
}

/* A job and its stage; item NULL: the file's own. */
struct staged {
	const struct yml_node *item;
	char *name;
	const char *stage;
};

/* Its own keys go before those of the file, of whose lists it takes the first. */
static void
add_included_job(struct convert *c, const struct staged *staged, struct ymlw_node *job)
{
	const struct yml_node *root = yml_root(c->in), *item = staged->item;
	const struct language *language = language_of(yml_get(item, "language") != NULL ? item : root);
	const struct yml_node *versions = versions_of(item, language);

	if (versions == NULL)
		versions = versions_of(root, language);
	set_image(c, job, language, yml_count(versions) > 1 ? yml_at(versions, 0) : versions);
	for (size_t i = 0; i < KEY_COUNT; i++) {
		const struct yml_node *own = yml_get(item, keys[i].name), *value = yml_get(root, keys[i].name);

		if (keys[i].take == take_env && value != NULL)
			take_first_env(c,
			    own != NULL && yml_get(value, "global") != NULL ? yml_get(value, "global")
			    : own != NULL                                   ? own
									    : value,
			    job);
		else if (keys[i].take != NULL && keys[i].take != take_notifications && (own != NULL || value != NULL))
			keys[i].take(c, own != NULL ? own : value, job);
	}
	note_keys(c, item);
	set_defaults(c, job, language);
}

/* A job begins when those of the stage before its own have passed; the stages are in the order in which they appear. */
static void
add_needs(struct convert *c, const struct staged *all, size_t index, struct ymlw_node *jobs)
{
	const char *before = NULL;
	size_t first = index;

	while (first > 0 && strcmp(all[first - 1].stage, all[index].stage) == 0)
		first--;
	if (first > 0)
		before = all[first - 1].stage;
	for (size_t i = 0; i < first; i++)
		if (strcmp(all[i].stage, before) == 0)
			convert_add_text(c, ymlw_get(jobs, all[index].name), "needs", all[i].name);
}

static size_t
list_jobs(const struct yml_node *include, bool has_main, struct staged *all)
{
	const char *stage = "test";
	size_t count = 0;

	if (has_main)
		all[count++] = (struct staged){ .name = xstrdup("test"), .stage = stage };
	for (size_t i = 0; i < yml_count(include); i++) {
		const struct yml_node *item = yml_at(include, i), *name = yml_get(item, "name");

		stage = yml_get(item, "stage") != NULL ? yml_text(yml_get(item, "stage")) : stage;
		all[count] = (struct staged){ .item = item, .stage = stage };
		all[count++].name = name != NULL ? xstrdup(yml_text(name)) : xasprintf("job %zu", i + 1);
	}
	return count;
}

static void
add_jobs(struct convert *c, const struct yml_node *include, bool has_main, struct ymlw_node *jobs)
{
	struct staged *all = xcalloc(yml_count(include) + 1, sizeof(*all));
	size_t count = list_jobs(include, has_main, all);

	for (size_t i = 0; i < count; i++) {
		struct ymlw_node *job = ymlw_mapping(c->out);

		ymlw_set(c->out, jobs, all[i].name, job);
		if (all[i].item == NULL)
			add_main_job(c, yml_root(c->in), job);
		else
			add_included_job(c, &all[i], job);
		add_needs(c, all, i, jobs);
	}
	for (size_t i = 0; i < count; i++)
		free(all[i].name);
	free(all);
}

bool
convert_travis(struct convert *c, const struct yml_node *root)
{
	const struct yml_node *matrix = yml_get(root, "jobs") != NULL ? yml_get(root, "jobs") : yml_get(root, "matrix");
	const struct yml_node *include = yml_get(matrix, "include");
	bool has_main = yml_count(include) == 0 || yml_get(root, "script") != NULL ||
			yml_count(versions_of(root, language_of(root))) > 1;

	for (size_t i = 0; i < yml_count(matrix); i++)
		if (strcmp(yml_text(yml_key_at(matrix, i)), "include") != 0)
			convert_note(c, yml_key_at(matrix, i),
			    "jobs: %.40s is not carried over: write it below matrix:", yml_text(yml_key_at(matrix, i)));
	note_keys(c, root);
	add_jobs(c, include, has_main, convert_mapping(c, ymlw_root(c->out), "jobs"));
	if (yml_get(root, "notifications") != NULL)
		take_notifications(c, yml_get(root, "notifications"), NULL);
	return true;
}
