#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"
#include "server/io/git_impl.h"

/* Configuration of every git process, above which there is none: system and user files are not read. */
static const struct {
	const char *key;
	const char *value;
} settings[] = {
	{ "core.hooksPath", "/dev/null" },
	{ "core.fsmonitor", "false" },
	{ "core.protectHFS", "true" },
	{ "core.protectNTFS", "true" },
	{ "protocol.version", "2" },
	{ "transfer.bundleURI", "false" },
	{ "fetch.recurseSubmodules", "no" },
	{ "submodule.recurse", "false" },
	{ "http.followRedirects", "initial" },
	{ "http.lowSpeedLimit", "100" },
	{ "http.lowSpeedTime", "60" },
	/* After a power cut a mirror's refs have their objects, and objects their bytes. */
	{ "core.fsync", "objects,reference" },
	{ "core.fsyncMethod", "batch" },
	{ "gc.auto", "0" },
	{ "maintenance.auto", "false" },
	{ "fetch.fsckObjects", "true" },
	/* What old tools wrote into honest repositories; forges take it too. */
	{ "fetch.fsck.badTimezone", "ignore" },
	{ "fetch.fsck.missingEmail", "ignore" },
	{ "fetch.fsck.missingSpaceBeforeDate", "ignore" },
	{ "fetch.fsck.missingSpaceBeforeEmail", "ignore" },
	{ "fetch.fsck.zeroPaddedDate", "ignore" },
	{ "fetch.fsck.zeroPaddedFilemode", "ignore" },
};

#define CA_FILE "GIT_SSL_CAINFO"

/* Taken over from our own environment: how to reach the network, and whom to trust. */
static const char *const inherited[] = { "PATH", "http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY",
	"no_proxy", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", CA_FILE };

/* git runs it by its own shell when a server asks; the text is constant, the secrets are in the environment. */
static const char helper[] =
    "!f() { printf 'username=%s\\npassword=%s\\n' \"$DAVIT_GIT_USER\" \"$DAVIT_GIT_PASSWORD\"; }; f";

enum { SETTINGS = sizeof(settings) / sizeof(settings[0]), INHERITED = sizeof(inherited) / sizeof(inherited[0]) };
enum { ENV_MAX = 2 * (SETTINGS + 1) + INHERITED + 21 };

struct env_list {
	char **vars;
	size_t count;
};

static void
add(struct env_list *list, const char *name, const char *value)
{
	list->vars[list->count++] = xasprintf("%s=%s", name, value);
}

static void
add_setting(struct env_list *list, unsigned number, const char *key, const char *value)
{
	list->vars[list->count++] = xasprintf("GIT_CONFIG_KEY_%u=%s", number, key);
	list->vars[list->count++] = xasprintf("GIT_CONFIG_VALUE_%u=%s", number, value);
}

static void
add_count(struct env_list *list, unsigned count)
{
	list->vars[list->count++] = xasprintf("GIT_CONFIG_COUNT=%u", count);
}

/* text in single quotes, for the one setting that git hands to a shell. */
static char *
shell_quote(const char *text)
{
	char *quoted = xcalloc(1, 4 * strlen(text) + 3);
	char *to = quoted;

	*to++ = '\'';
	for (const char *from = text; *from != '\0'; from++) {
		if (*from == '\'')
			to = stpcpy(to, "'\\'");
		*to++ = *from;
	}
	*to = '\'';
	return quoted;
}

/* No questions, no configuration of the user's; hosts are trusted at first sight, and held to it. */
static void
add_ssh(struct env_list *list, const struct git_conf *conf)
{
	char *hosts = xasprintf("%s/git/known_hosts", conf->state_dir);
	char *quoted_hosts = shell_quote(hosts);
	char *key = conf->ssh_key == NULL ? NULL : shell_quote(conf->ssh_key);
	char *command = xasprintf("ssh -F /dev/null -o BatchMode=yes -o StrictHostKeyChecking=accept-new -o "
				  "UserKnownHostsFile=%s -o IdentitiesOnly=yes%s%s",
	    quoted_hosts, key == NULL ? "" : " -i ", key == NULL ? "" : key);

	add(list, "GIT_SSH_COMMAND", command);
	free(command);
	free(key);
	free(quoted_hosts);
	free(hosts);
}

static void
add_credentials(struct env_list *list, const char *origin, const char *user, const char *token)
{
	char *key = xasprintf("credential.%s.helper", origin);

	add_setting(list, SETTINGS, key, helper);
	free(key);
	add(list, "DAVIT_GIT_USER", git_is_given(user) ? user : "git");
	add(list, "DAVIT_GIT_PASSWORD", token);
}

char **
git_env_new(const struct git_conf *conf, const char *origin, const char *user, const char *token)
{
	bool has_token = origin != NULL && git_is_given(token);
	struct env_list list = { .vars = xcalloc(ENV_MAX, sizeof(char *)) };

	for (unsigned i = 0; i < INHERITED; i++)
		if (getenv(inherited[i]) != NULL && !(conf->ca_file != NULL && strcmp(inherited[i], CA_FILE) == 0))
			add(&list, inherited[i], getenv(inherited[i]));
	if (conf->ca_file != NULL)
		add(&list, CA_FILE, conf->ca_file);
	add(&list, "HOME", "/nonexistent");
	add(&list, "LC_ALL", "C");
	add(&list, "GIT_CONFIG_NOSYSTEM", "1");
	add(&list, "GIT_CONFIG_GLOBAL", "/dev/null");
	add(&list, "GIT_ATTR_NOSYSTEM", "1");
	add(&list, "GIT_NO_REPLACE_OBJECTS", "1");
	add(&list, "GIT_OPTIONAL_LOCKS", "0");
	add(&list, "GIT_TERMINAL_PROMPT", "0");
	add(&list, "GIT_ALLOW_PROTOCOL", conf->allow_local ? "http:https:ssh:git:file" : "http:https:ssh:git");
	add_ssh(&list, conf);
	for (unsigned i = 0; i < SETTINGS; i++)
		add_setting(&list, i, settings[i].key, settings[i].value);
	if (has_token)
		add_credentials(&list, origin, user, token);
	add_count(&list, SETTINGS + has_token);
	return list.vars;
}

char **
git_env_with(char *const *env, const char *name, const char *value)
{
	struct env_list list = { .vars = xcalloc(ENV_MAX, sizeof(char *)) };

	for (; env[list.count] != NULL; list.count++)
		list.vars[list.count] = xstrdup(env[list.count]);
	add(&list, name, value);
	return list.vars;
}

void
git_env_free(char ***env)
{
	char **vars = *env;

	*env = NULL;
	if (vars == NULL)
		return;
	for (size_t i = 0; vars[i] != NULL; i++) {
		explicit_bzero(vars[i], strlen(vars[i]));
		free(vars[i]);
	}
	free(vars);
}
