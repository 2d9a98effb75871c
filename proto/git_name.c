#include "proto/git_name.h"

#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"
#include "proto/str.h"
#include "proto/url.h"

enum { REF_MAX = 1000, GIT_URL_MAX = 2000 };

bool
git_commit_is_valid(const char *commit)
{
	size_t len = strspn(commit, "0123456789abcdef");

	return commit[len] == '\0' && (len == 40 || len == 64);
}

/* One component of a ref, as git-check-ref-format(1) wants it. */
static bool
component_is_valid(struct str part)
{
	static const char lock[] = ".lock";

	if (part.len == 0 || part.p[0] == '.')
		return false;
	if (part.len >= sizeof(lock) - 1 && memcmp(part.p + part.len - (sizeof(lock) - 1), lock, sizeof(lock) - 1) == 0)
		return false;
	for (size_t i = 0; i < part.len; i++) {
		unsigned char c = (unsigned char)part.p[i];
		char next = i + 1 < part.len ? part.p[i + 1] : '\0';

		if (c <= ' ' || c == 0x7f || strchr("~^:?*[\\", c) != NULL)
			return false;
		if ((c == '.' && next == '.') || (c == '@' && next == '{'))
			return false;
	}
	return true;
}

bool
git_ref_is_valid(const char *ref)
{
	struct str rest = str_of(ref);

	if (!str_has_prefix(rest, "refs/") || rest.len > REF_MAX || ref[rest.len - 1] == '/' ||
	    ref[rest.len - 1] == '.')
		return false;
	while (rest.len > 0)
		if (!component_is_valid(str_cut(&rest, '/')))
			return false;
	return true;
}

const char *
git_ref_short(const char *ref, const char *prefix)
{
	size_t len = strlen(prefix);

	return strncmp(ref, prefix, len) == 0 ? ref + len : NULL;
}

/* --- URLs --- */

static bool
is_host_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       strchr(".-_:[]", c) != NULL;
}

static bool
host_is_valid(struct str host)
{
	if (host.len == 0 || host.p[0] == '-' || host.p[0] == ':')
		return false;
	for (size_t i = 0; i < host.len; i++)
		if (host.p[i] == '\0' || !is_host_char(host.p[i]))
			return false;
	return true;
}

/* [user@]host[:port], what stands between "://" and the next '/'. */
static bool
authority_check(struct str authority, struct err *err)
{
	const char *at = memrchr(authority.p, '@', authority.len);
	struct str user = { authority.p, at == NULL ? 0 : (size_t)(at - authority.p) };

	if (memchr(user.p, ':', user.len) != NULL)
		return err_set(err, ERR_INPUT, 0,
		    "the repository's URL holds a password: leave it out and set the repository's token");
	if (at != NULL)
		authority = (struct str){ at + 1, authority.len - user.len - 1 };
	if ((at != NULL && user.len == 0) || (user.len > 0 && user.p[0] == '-') || !host_is_valid(authority))
		return err_set(err, ERR_INPUT, 0, "the repository's URL has no valid host");
	return true;
}

/* The part behind "scheme://"; NULL for another scheme. */
static const char *
behind_scheme(const char *url)
{
	static const char *const schemes[] = { "http://", "https://", "ssh://", "git://" };

	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
		if (strncmp(url, schemes[i], strlen(schemes[i])) == 0)
			return url + strlen(schemes[i]);
	return NULL;
}

/* [user@]host:path. */
static bool
scp_check(const char *url, struct err *err)
{
	const char *colon = strchr(url, ':');

	if (colon == NULL || memchr(url, '/', (size_t)(colon - url)) != NULL)
		return err_set(err, ERR_INPUT, 0,
		    "the repository's URL is none: use https://host/path, ssh://git@host/path or git@host:path");
	if (colon[1] == ':' || colon[1] == '-' || colon[1] == '\0' || strncmp(colon, "://", 3) == 0)
		return err_set(err, ERR_INPUT, 0,
		    "the repository's URL is of no kind that Davit takes: use https, http, ssh or git");
	return authority_check((struct str){ url, (size_t)(colon - url) }, err);
}

bool
git_url_check(const char *url, bool allow_local, struct err *err)
{
	size_t len = strlen(url);
	const char *rest = behind_scheme(url);

	if (len == 0 || len > GIT_URL_MAX)
		return err_set(err, ERR_INPUT, 0, "the repository's URL is empty or longer than %d bytes", GIT_URL_MAX);
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)url[i] <= ' ' || url[i] == 0x7f)
			return err_set(err, ERR_INPUT, 0, "the repository's URL has blanks or control bytes");
	if (url[0] == '/' || strncmp(url, "file:///", 8) == 0)
		return allow_local || err_set(err, ERR_INPUT, 0,
					  "repositories on this machine's disk are not allowed (git: allow_local)");
	if (rest == NULL)
		return scp_check(url, err);
	return authority_check((struct str){ rest, strcspn(rest, "/?#") }, err);
}

/* Where the authority of an http or https URL begins; NULL for others. */
static const char *
http_authority(const char *url)
{
	return strncmp(url, "http", 4) == 0 ? behind_scheme(url) : NULL;
}

static bool
is_local(const char *url)
{
	return url[0] == '/' || strncmp(url, "file://", 7) == 0;
}

/* Of an URL or [user@]host:path. Without a port it is the scheme's, 0 for ssh. */
static void
split_authority(const char *url, struct str *host, unsigned *port)
{
	const char *rest = behind_scheme(url), *at;
	struct str authority = { rest != NULL ? rest : url, rest != NULL ? strcspn(rest, "/?#") : strcspn(url, ":") };

	at = memrchr(authority.p, '@', authority.len);
	if (at != NULL)
		authority = (struct str){ at + 1, authority.len - (size_t)(at + 1 - authority.p) };
	if (!url_split_host(authority, host, port))
		*host = STR("");
	else if (*port == 0 && http_authority(url) != NULL)
		*port = strncmp(url, "https", 5) == 0 ? 443 : 80;
}

bool
git_url_is_near(const char *fork, const char *repository)
{
	struct str host, own;
	unsigned port = 0, own_port = 0;

	if (is_local(fork) || is_local(repository))
		return is_local(fork) && is_local(repository);
	split_authority(fork, &host, &port);
	split_authority(repository, &own, &own_port);
	if (host.len == 0 || !str_eq_nocase(host, own))
		return false;
	return http_authority(fork) == NULL || http_authority(repository) == NULL || port == own_port || port == 443;
}

char *
git_url_clean(const char *url)
{
	const char *rest = http_authority(url);
	const char *at;

	if (rest == NULL)
		return xstrdup(url);
	at = memrchr(rest, '@', strcspn(rest, "/?#"));
	return xasprintf("%.*s%s", (int)(rest - url), url, at == NULL ? rest : at + 1);
}

char *
git_url_origin(const char *url)
{
	char *clean = git_url_clean(url);
	const char *rest = http_authority(clean);
	char *origin = NULL;

	if (rest != NULL)
		origin = xstrndup(clean, (size_t)(rest - clean) + strcspn(rest, "/?#"));
	free(clean);
	return origin;
}
