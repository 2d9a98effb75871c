#include "proto/package_policy.h"

#include <string.h>

#include "proto/hex.h"

#define DAY 86400

static const struct {
	const char *name;
	const char *file_host;
} kinds[] = {
	[PACKAGE_GENERIC] = { "generic", NULL },
	[PACKAGE_APT] = { "apt", NULL },
	[PACKAGE_RPM] = { "rpm", NULL },
	[PACKAGE_APK] = { "apk", NULL },
	[PACKAGE_NPM] = { "npm", NULL },
	[PACKAGE_PYPI] = { "pypi", "files.pythonhosted.org" },
	[PACKAGE_GO] = { "go", NULL },
	[PACKAGE_MAVEN] = { "maven", NULL },
	[PACKAGE_CRATES] = { "crates", "static.crates.io" },
};

/* The first row of the kind that fits: the path has part, and ends with end. What never changes by its name alone is
 * asked about once a day where repositories are known to build anew under one name. */
/* clang-format off */
static const struct {
	enum package_kind kind;
	const char *part, *end;
	int64_t fresh_s;
	bool has_urls;
} rows[] = {
	{ PACKAGE_APT,    "/by-hash/", "",            PACKAGE_FOREVER, false },
	{ PACKAGE_APT,    "/dists/",   "",            0,               false },
	{ PACKAGE_APT,    "",          "Release",     0,               false },
	{ PACKAGE_APT,    "",          "Release.gpg", 0,               false },
	{ PACKAGE_APT,    "/Packages", "",            0,               false },
	{ PACKAGE_APT,    "/Sources",  "",            0,               false },
	{ PACKAGE_APT,    "",          "",            DAY,             false },
	{ PACKAGE_RPM,    "/repodata/repomd.xml", "", 0,               false },
	{ PACKAGE_RPM,    "/repodata/", "",           60,              false },
	{ PACKAGE_RPM,    "",          ".rpm",        DAY,             false },
	{ PACKAGE_APK,    "",          ".apk",        DAY,             false },
	{ PACKAGE_APK,    "",          "",            0,               false },
	{ PACKAGE_NPM,    "/-/",       ".tgz",        PACKAGE_FOREVER, false },
	{ PACKAGE_NPM,    "/-/",       "",            PACKAGE_BY_HTTP, false },
	{ PACKAGE_NPM,    "",          "",            60,              true },
	{ PACKAGE_PYPI,   "/packages/", "",           PACKAGE_FOREVER, false },
	{ PACKAGE_PYPI,   "/simple/",  "",            60,              true },
	{ PACKAGE_GO,     "/@v/list",  "",            60,              false },
	{ PACKAGE_GO,     "/@v/v",     ".info",       PACKAGE_FOREVER, false },
	{ PACKAGE_GO,     "/@v/v",     ".mod",        PACKAGE_FOREVER, false },
	{ PACKAGE_GO,     "/@v/v",     ".zip",        PACKAGE_FOREVER, false },
	{ PACKAGE_GO,     "/lookup/",  "",            PACKAGE_FOREVER, false },
	{ PACKAGE_GO,     "/tile/",    "",            PACKAGE_FOREVER, false },
	{ PACKAGE_GO,     "",          "",            60,              false },
	{ PACKAGE_MAVEN,  "-SNAPSHOT/", "",           60,              false },
	{ PACKAGE_MAVEN,  "/maven-metadata.xml", "",  60,              false },
	{ PACKAGE_MAVEN,  "",          "/",           PACKAGE_BY_HTTP, false },
	{ PACKAGE_MAVEN,  "",          "",            PACKAGE_FOREVER, false },
	{ PACKAGE_CRATES, "",          "/config.json", 60,             true },
	{ PACKAGE_CRATES, "/crates/",  "",            PACKAGE_FOREVER, false },
	{ PACKAGE_CRATES, "",          "",            60,              false },
};
/* clang-format on */

bool
package_kind_from_name(struct str name, enum package_kind *ret)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (str_is(name, kinds[i].name)) {
			*ret = (enum package_kind)i;
			return true;
		}
	return false;
}

const char *
package_kind_name(enum package_kind kind)
{
	return kinds[kind].name;
}

const char *
package_file_host(enum package_kind kind)
{
	return kinds[kind].file_host;
}

static bool
has_part(struct str path, const char *part)
{
	return memmem(path.p, path.len, part, strlen(part)) != NULL;
}

static bool
has_end(struct str path, const char *end)
{
	size_t len = strlen(end);

	return path.len >= len && memcmp(path.p + path.len - len, end, len) == 0;
}

/* .../by-hash/SHA256/DIGEST, and DIGEST-primary.xml.gz of rpm. */
static void
find_digest(enum package_kind kind, struct str path, struct package_policy *ret)
{
	static const char by_hash[] = "/by-hash/SHA256/", repodata[] = "/repodata/";
	const char *mark = kind == PACKAGE_APT ? by_hash : kind == PACKAGE_RPM ? repodata : NULL;
	const char *at = mark != NULL ? memmem(path.p, path.len, mark, strlen(mark)) : NULL;
	struct str rest;

	if (at == NULL)
		return;
	at += strlen(mark);
	rest = (struct str){ at, path.len - (size_t)(at - path.p) };
	if (rest.len < 64 || !hex_is_valid((struct str){ at, 64 }) ||
	    (kind == PACKAGE_APT ? rest.len > 64 : at[64] != '-'))
		return;
	memcpy(ret->digest, at, 64);
	ret->digest[64] = '\0';
	ret->fresh_s = PACKAGE_FOREVER;
}

struct package_policy
package_policy_of(enum package_kind kind, struct str path)
{
	struct package_policy policy = { .fresh_s = PACKAGE_BY_HTTP };

	path = str_cut(&path, '?');
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].kind == kind && has_part(path, rows[i].part) && has_end(path, rows[i].end)) {
			policy.fresh_s = rows[i].fresh_s;
			policy.has_urls = rows[i].has_urls;
			break;
		}
	find_digest(kind, path, &policy);
	return policy;
}
