#include "proto/registry_login.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base64.h"
#include "proto/buf.h"
#include "proto/json.h"
#include "proto/mem.h"

#define CONFIG "DOCKER_AUTH_CONFIG"
#define LOGIN_MAX (16 * 1024)

static const char *
variable(const struct env *env, const char *name)
{
	for (size_t i = env != NULL ? env->count : 0; i > 0; i--)
		if (strcmp(env->vars[i - 1].name, name) == 0)
			return env->vars[i - 1].value;
	return NULL;
}

/* The host of "https://host:port/v1/", which older clients wrote; Docker Hub goes by another name there. */
static struct str
host_of(const char *key)
{
	const char *scheme = strstr(key, "://");
	struct str rest = str_of(scheme != NULL ? scheme + 3 : key), host = str_cut(&rest, '/');

	return str_is(host, "index.docker.io") || str_is(host, "registry-1.docker.io") ? STR("docker.io") : host;
}

static const struct json_value *
find_auth(const struct json_value *auths, struct str registry)
{
	for (size_t i = 0; i < json_count(auths); i++)
		if (str_eq(host_of(json_key_at(auths, i)), registry))
			return json_at(auths, i);
	return NULL;
}

/* The header's alphabet is base64url with padding, and ours has none: blanks behind the object make it needless. */
char *
registry_login_print(struct str user, const char *password, struct str registry)
{
	struct json_writer *w = json_writer_new(LOGIN_MAX);
	char *text, *encoded = NULL;
	struct buf json, out;
	size_t len;

	json_write_object_open(w);
	json_write_key(w, "username");
	json_write_str(w, user);
	json_member_string(w, "password", password);
	json_write_key(w, "serveraddress");
	json_write_str(w, registry);
	json_write_object_close(w);
	text = json_writer_finish(&w, &len);
	if (text == NULL)
		return NULL;
	buf_init(&json, LOGIN_MAX + 3);
	buf_init(&out, 2 * LOGIN_MAX);
	buf_add(&json, text, len);
	while (json.len % 3 != 0)
		buf_addc(&json, ' ');
	base64_encode(buf_str(&json), BASE64_URL, &out);
	encoded = buf_take(&out, NULL);
	explicit_bzero(text, len);
	explicit_bzero(json.data, json.len);
	free(text);
	buf_fini(&json);
	buf_fini(&out);
	return encoded;
}

/* {"auth": base64 of user:password}, or the two apart. False: there is none. */
static bool
read_pair(const struct json_value *auth, struct buf *pair)
{
	const char *user = json_string(json_get(auth, "username"), NULL);

	if (user != NULL)
		return buf_addf(pair, "%s:%s", user, json_string(json_get(auth, "password"), ""));
	return base64_decode(str_of(json_string(json_get(auth, "auth"), "")), BASE64_STANDARD, pair);
}

static char *
print_basic(struct str user, const char *password, struct str registry)
{
	struct buf pair, out;
	char *text;

	(void)registry;
	buf_init(&pair, LOGIN_MAX);
	buf_init(&out, 2 * LOGIN_MAX);
	buf_adds(&out, "Basic ");
	buf_addstr(&pair, user);
	buf_addf(&pair, ":%s", password);
	base64_encode(buf_str(&pair), BASE64_STANDARD, &out);
	text = buf_take(&out, NULL);
	explicit_bzero(pair.data, pair.len);
	buf_fini(&pair);
	buf_fini(&out);
	return text;
}

typedef char *print_fn(struct str user, const char *password, struct str registry);

static char *
login_of(const struct json_value *auth, struct str registry, print_fn *print)
{
	struct buf pair;
	struct str password, user;
	char *login = NULL;

	buf_init(&pair, LOGIN_MAX);
	if (read_pair(auth, &pair)) {
		password = buf_str(&pair);
		user = str_cut(&password, ':');
		if (user.len > 0 && user.len < pair.len)
			login = print(user, password.p, registry);
	}
	explicit_bzero(pair.data, pair.len);
	buf_fini(&pair);
	return login;
}

static char *
find_login(const struct env *env, const char *image, print_fn *print)
{
	const char *config = variable(env, CONFIG);
	struct str rest = str_of(image), registry = str_cut(&rest, '/');
	const struct json_value *auth;
	struct json *doc;
	char *login = NULL;
	struct err ignored;

	if (config == NULL || !json_parse(str_of(config), NULL, &doc, &ignored))
		return NULL;
	auth = find_auth(json_get(json_root(doc), "auths"), registry);
	if (auth != NULL)
		login = login_of(auth, registry, print);
	json_free(&doc);
	return login;
}

char *
registry_login(const struct env *env, const char *image)
{
	return find_login(env, image, registry_login_print);
}

char *
registry_login_basic(const struct env *env, const char *image)
{
	return find_login(env, image, print_basic);
}
