#include "proto/wiring.h"

#include <stddef.h>

/* Of each tool the server that it asks by itself, and what has it ask the mirror instead: $davit_m is the mirror's URL,
 * $davit_f the folder. */
static const struct {
	const char *host;
	const char *text;
} tools[] = {
	{ "pypi.org", "[ -n \"${PIP_INDEX_URL+x}\" ] || [ -e /etc/pip.conf ] || [ -e \"${HOME-}/.pip/pip.conf\" ] ||\n"
		      "[ -e \"${HOME-}/.config/pip/pip.conf\" ] || {\n"
		      "PIP_INDEX_URL=$davit_m/pypi/pypi.org/simple/ PIP_TRUSTED_HOST=" WIRING_HOST "\n"
		      "export PIP_INDEX_URL PIP_TRUSTED_HOST\n}\n" },
	{ "registry.npmjs.org", /* the global file, so that a project's .npmrc counts */
	    "[ -n \"${npm_config_registry+x}${NPM_CONFIG_REGISTRY+x}${npm_config_globalconfig+x}\" ] || [ -e "
	    "/etc/npmrc ] ||\n"
	    "[ -e /usr/etc/npmrc ] || [ -e /usr/local/etc/npmrc ] || {\n"
	    "echo \"registry=$davit_m/npm/registry.npmjs.org/\" >$davit_f/npmrc\n"
	    "export npm_config_globalconfig=$davit_f/npmrc\n}\n" },
	{ "proxy.golang.org", "[ -n \"${GOPROXY+x}\" ] || export "
			      "\"GOPROXY=$davit_m/go/proxy.golang.org|https://proxy.golang.org,direct\"\n" },
	{ "repo.maven.apache.org", "[ -n \"${MAVEN_ARGS+x}\" ] || {\n"
				   "echo \"<settings><mirrors><mirror><id>davit</id><mirrorOf>central</mirrorOf>"
				   "<url>$davit_m/maven/repo.maven.apache.org/maven2</url></mirror></mirrors></"
				   "settings>\" >$davit_f/maven.xml\n"
				   "export \"MAVEN_ARGS=-gs $davit_f/maven.xml\"\n}\n" },
};

/* apt has a proxy for each host: others it asks itself. */
static const char *const apt_hosts[] = { "deb.debian.org", "security.debian.org", "ftp.debian.org",
	"archive.ubuntu.com", "security.ubuntu.com", "ports.ubuntu.com" };

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void
write_apt(struct buf *ret, wiring_allows_fn *allows, const void *arg)
{
	bool any = false;

	for (size_t i = 0; i < COUNT(apt_hosts); i++) {
		if (!allows(arg, apt_hosts[i]))
			continue;
		buf_adds(ret, any ? "" : "[ -n \"${APT_CONFIG+x}\" ] || {\nfor davit_h in");
		buf_addf(ret, " %s", apt_hosts[i]);
		any = true;
	}
	if (any)
		buf_adds(ret,
		    "; do echo \"Acquire::http::Proxy::$davit_h \\\"$davit_m\\\";\"; done >$davit_f/apt.conf\n"
		    "export APT_CONFIG=$davit_f/apt.conf\nunset davit_h\n}\n");
}

void
wiring_write(struct buf *ret, const char *folder, wiring_allows_fn *allows, const void *arg)
{
	size_t before;

	buf_addf(ret, "davit_m=http://" WIRING_HOST ":" WIRING_PORT " davit_f=%s\n", folder);
	before = ret->len;
	for (size_t i = 0; i < COUNT(tools); i++)
		if (allows(arg, tools[i].host))
			buf_adds(ret, tools[i].text);
	write_apt(ret, allows, arg);
	if (ret->len == before)
		buf_reset(ret);
	else
		buf_adds(ret, "unset davit_m davit_f\n");
}
