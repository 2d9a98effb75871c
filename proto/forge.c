#include "proto/forge.h"

#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"
#include "proto/str.h"

static const struct {
	const char *name;
	const char *api_path; /* what stands between a forge's address and its API */
} forges[] = {
	[FORGE_GENERIC] = { "generic", "" },
	[FORGE_GITHUB] = { "github", "/api/v3" },
	[FORGE_GITLAB] = { "gitlab", "/api/v4" },
	[FORGE_GITEA] = { "gitea", "/api/v1" },
};

const char *
forge_name(enum forge_kind kind)
{
	return forges[kind].name;
}

bool
forge_from_name(const char *name, enum forge_kind *ret)
{
	for (unsigned i = 0; i < sizeof(forges) / sizeof(forges[0]); i++) {
		if (strcmp(name, forges[i].name) == 0) {
			*ret = (enum forge_kind)i;
			return true;
		}
	}
	if (strcmp(name, "forgejo") != 0)
		return false;
	*ret = FORGE_GITEA;
	return true;
}

/* The three parts of an address that matter here. */
struct place {
	struct str scheme;
	struct str host; /* with its port */
	struct str path; /* without slashes at its ends */
};

static struct str
drop(struct str s, size_t len)
{
	return (struct str){ s.p + len, s.len - len };
}

static bool
has_suffix(struct str s, const char *suffix)
{
	size_t len = strlen(suffix);

	return s.len >= len && memcmp(s.p + s.len - len, suffix, len) == 0;
}

static struct str
trim_slashes(struct str s)
{
	while (s.len > 0 && s.p[0] == '/')
		s = drop(s, 1);
	while (s.len > 0 && s.p[s.len - 1] == '/')
		s.len--;
	return s;
}

static bool
is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
	       c == '-';
}

static bool
is_host(struct str host)
{
	for (size_t i = 0; i < host.len; i++) {
		if (!is_name_char(host.p[i]) && host.p[i] != ':' && host.p[i] != '[' && host.p[i] != ']')
			return false;
	}
	return host.len > 0;
}

/* What the user wrote in front of the host: a password may contain an @, hence the last one counts. */
static struct str
without_user(struct str host)
{
	for (size_t i = host.len; i > 0; i--) {
		if (host.p[i - 1] == '@')
			return drop(host, i);
	}
	return host;
}

static struct str
without_port(struct str host)
{
	struct str rest = host;

	if (host.len > 0 && host.p[0] == '[') {
		struct str inner = str_cut(&rest, ']');

		return (struct str){ host.p, inner.len < host.len ? inner.len + 1 : host.len };
	}
	return str_cut(&rest, ':');
}

/* USER@HOST:PATH, git's own form for ssh. */
static bool
split_scp(struct str url, struct place *ret)
{
	struct str rest = url;
	struct str host = without_user(str_cut(&rest, ':'));

	*ret = (struct place){ STR("ssh"), host, trim_slashes(rest) };
	return rest.len > 0 && is_host(host);
}

static bool
split(struct str url, struct place *ret)
{
	static const char *const schemes[] = { "https", "http", "ssh", "git", "git+ssh" };
	const char *mark = memmem(url.p, url.len, "://", 3);
	struct str rest, host;

	if (mark == NULL)
		return split_scp(url, ret);
	rest = drop(url, (size_t)(mark - url.p) + 3);
	host = without_user(str_cut(&rest, '/'));
	*ret = (struct place){ { url.p, (size_t)(mark - url.p) }, host, trim_slashes(rest) };
	for (unsigned i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		if (str_is_nocase(ret->scheme, schemes[i]))
			return is_host(host);
	}
	return false;
}

static bool
is_web(const struct place *place)
{
	return str_is_nocase(place->scheme, "https") || str_is_nocase(place->scheme, "http");
}

/* The number of names in a path of plain names; 0 when one of them is empty, odd or dots only. */
static unsigned
count_names(struct str path)
{
	unsigned count = 0;

	while (path.len > 0) {
		struct str name = str_cut(&path, '/');

		if (name.len == 0 || str_is(name, ".") || str_is(name, ".."))
			return 0;
		for (size_t i = 0; i < name.len; i++) {
			if (!is_name_char(name.p[i]))
				return 0;
		}
		count++;
	}
	return count;
}

/* Splits path in front of its last two names. */
static struct str
last_two(struct str path, struct str *before)
{
	unsigned slashes = 0;
	size_t at;

	for (at = path.len; at > 0; at--) {
		if (path.p[at - 1] == '/' && ++slashes == 2)
			break;
	}
	*before = (struct str){ path.p, at > 0 ? at - 1 : 0 };
	return drop(path, at);
}

/* An address as the user gave it, completed to the API's. */
static char *
complete_api(enum forge_kind kind, const struct place *api)
{
	const char *slash = api->path.len > 0 ? "/" : "";
	const char *more = forges[kind].api_path;

	if (kind == FORGE_GITHUB && str_is_nocase(api->host, "github.com"))
		return xstrdup("https://api.github.com");
	/* as it stands: with its /api/vN, or GitHub's own hosts api.github.com and api.NAME.ghe.com */
	if (has_suffix(api->path, more + 1) || (kind == FORGE_GITHUB && str_has_prefix(api->host, "api.")))
		more = "";
	return xasprintf("%s://%.*s%s%.*s%s", str_is_nocase(api->scheme, "http") ? "http" : "https", (int)api->host.len,
	    api->host.p, slash, (int)api->path.len, api->path.p, more);
}

/* The folder of the web server that the forge as a whole lies in: "git" of https://example.com/git/api/v4. */
static struct str
api_folder(enum forge_kind kind, struct str path)
{
	const char *more = forges[kind].api_path + 1;

	if (has_suffix(path, more))
		path.len -= strlen(more);
	return trim_slashes(path);
}

static bool
parse_clone(enum forge_kind kind, const char *clone_url, struct place *ret, struct err *err)
{
	if (strlen(clone_url) > 2048 || !split(str_of(clone_url), ret))
		return err_set(err, ERR_INPUT, 0,
		    "the repository's URL is neither https://, ssh:// nor USER@HOST:PATH, so that its %s project is "
		    "unknown",
		    forge_name(kind));
	if (has_suffix(ret->path, ".git"))
		ret->path.len -= 4;
	if (count_names(ret->path) < 2)
		return err_set(err, ERR_INPUT, 0, "the repository's URL does not end in OWNER/NAME, as %s needs it",
		    forge_name(kind));
	if (!is_web(ret)) {
		ret->scheme = STR("https");
		ret->host = without_port(ret->host);
	}
	return true;
}

static bool
parse_api(const char *api_url, struct place *ret, struct err *err)
{
	if (strlen(api_url) > 2048 || !split(str_of(api_url), ret) || !is_web(ret) ||
	    (ret->path.len > 0 && count_names(ret->path) == 0))
		return err_set(err, ERR_INPUT, 0,
		    "the forge's API address must look like https://git.example.com, without a query");
	return true;
}

bool
forge_locate(enum forge_kind kind, const char *clone_url, const char *api_url, struct forge_repo *ret, struct err *err)
{
	bool guess = api_url == NULL || api_url[0] == '\0';
	struct place clone, api;
	struct str path, folder;

	if (kind == FORGE_GENERIC)
		return err_set(err, ERR_INPUT, 0, "a repository of kind \"generic\" has no forge API");
	if (!parse_clone(kind, clone_url, &clone, err) || (!guess && !parse_api(api_url, &api, err)))
		return false;
	path = last_two(clone.path, &folder);
	if (kind == FORGE_GITLAB) { /* groups nest, so only the API's address can tell a folder from a group */
		folder = guess ? (struct str){ clone.path.p, 0 } : api_folder(kind, api.path);
		path = clone.path;
		if (folder.len > 0 && path.len > folder.len && path.p[folder.len] == '/' &&
		    memcmp(path.p, folder.p, folder.len) == 0)
			path = drop(path, folder.len + 1);
	}
	if (guess)
		api = (struct place){ clone.scheme, clone.host, folder };
	*ret = (struct forge_repo){ .api = complete_api(kind, &api), .path = str_dup(path) };
	return true;
}

bool
forge_locate_named(enum forge_kind kind, const char *name, const char *clone_url, const char *api_url,
    struct forge_repo *ret, struct err *err)
{
	struct place api;

	if (kind == FORGE_GENERIC || api_url == NULL || api_url[0] == '\0' || count_names(str_of(name)) < 2)
		return forge_locate(kind, clone_url, api_url, ret, err);
	if (!parse_api(api_url, &api, err))
		return false;
	*ret = (struct forge_repo){ .api = complete_api(kind, &api), .path = xstrdup(name) };
	return true;
}

void
forge_repo_fini(struct forge_repo *repo)
{
	free(repo->api);
	free(repo->path);
	*repo = (struct forge_repo){ 0 };
}
