/* The text is run by real shells; what it made of the environment is what counts. */
#include "test/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/mem.h"
#include "proto/wiring.h"

#define URL "http://davit-mirror:3142"

static char folder[] = "/tmp/davit-wiring-XXXXXX";

static bool
allows_all(const void *arg, const char *host)
{
	(void)arg;
	(void)host;
	return true;
}

static bool
allows_one(const void *arg, const char *host)
{
	return strcmp(arg, host) == 0;
}

/* What the shell's last command prints, with these settings before the text. */
static const char *
run(const char *shell, const char *settings, const char *last, wiring_allows_fn *allows, const void *arg)
{
	static char output[4096];
	struct buf text;
	char *path = xasprintf("%s/script", folder),
	     *command = xasprintf("env -i HOME=%s PATH=/usr/bin:/bin %s %s/script", folder, shell, folder);
	FILE *file = fopen(path, "w"), *pipe;
	size_t len;

	buf_init(&text, 64 * 1024);
	wiring_write(&text, folder, allows, arg);
	assert_non_null(file);
	fprintf(file, "set -eu\n%s\n%.*s%s\n", settings, (int)text.len, text.len > 0 ? text.data : "", last);
	fclose(file);
	pipe = popen(command, "r");
	assert_non_null(pipe);
	len = fread(output, 1, sizeof(output) - 1, pipe);
	output[len] = '\0';
	assert_int_equal(pclose(pipe), 0);
	buf_fini(&text);
	free(command);
	free(path);
	return output;
}

static void
check_shell(const char *shell)
{
	static const char tools[] =
	    "[ \"$MAVEN_ARGS\" = \"-gs $HOME/maven.xml\" ]\n"
	    "echo ${PIP_INDEX_URL-none} ${PIP_TRUSTED_HOST-none}; echo \"$GOPROXY\"\n"
	    "cat ${npm_config_globalconfig-/dev/null}; head -n 1 $APT_CONFIG; cat $HOME/maven.xml\n"
	    "echo ${davit_m-none} ${davit_f-none} ${davit_h-none} ${http_proxy-none}\n";
	bool has_pip = access("/etc/pip.conf", F_OK) == 0; /* of this machine, as an image's would be */
	bool has_npm = access("/etc/npmrc", F_OK) == 0 || access("/usr/etc/npmrc", F_OK) == 0 ||
		       access("/usr/local/etc/npmrc", F_OK) == 0;
	char *want = xasprintf("%s\n" URL "/go/proxy.golang.org|https://proxy.golang.org,direct\n"
			       "%s"
			       "Acquire::http::Proxy::deb.debian.org \"" URL "\";\n"
			       "<settings><mirrors><mirror><id>davit</id><mirrorOf>central</mirrorOf><url>" URL
			       "/maven/repo.maven.apache.org/maven2</url></mirror></mirrors></settings>\n"
			       "none none none none\n",
	    has_pip ? "none none" : URL "/pypi/pypi.org/simple/ davit-mirror",
	    has_npm ? "" : "registry=" URL "/npm/registry.npmjs.org/\n");

	assert_string_equal(run(shell, "", tools, allows_all, NULL), want);
	free(want);
}

static void
test_tools_ask_the_mirror(void **state)
{
	(void)state;
	check_shell("sh");
	check_shell("bash");
	check_shell("busybox sh");
}

static void
test_what_is_said_counts(void **state)
{
	static const char said[] =
	    "export PIP_INDEX_URL=own GOPROXY=off MAVEN_ARGS= APT_CONFIG=/a NPM_CONFIG_REGISTRY=r";
	char *command = xasprintf("mkdir -p %s/.pip && : > %s/.pip/pip.conf", folder, folder);

	(void)state;
	assert_string_equal(run("sh", said,
				"echo $PIP_INDEX_URL ${PIP_TRUSTED_HOST-none} $GOPROXY ${MAVEN_ARGS}. $APT_CONFIG "
				"${npm_config_globalconfig-none}",
				allows_all, NULL),
	    "own none off . /a none\n");
	assert_int_equal(system(command), 0);
	assert_string_equal(run("sh", "", "echo ${PIP_INDEX_URL-none}", allows_all, NULL), "none\n");
	free(command);
}

static void
test_only_what_the_mirror_may_ask(void **state)
{
	struct buf text;

	(void)state;
	assert_string_equal(run("sh", "", "cat $APT_CONFIG; echo ${GOPROXY-none}", allows_one, "ports.ubuntu.com"),
	    "Acquire::http::Proxy::ports.ubuntu.com \"" URL "\";\nnone\n");
	buf_init(&text, 4096);
	wiring_write(&text, "/davit", allows_one, "example.com");
	assert_int_equal(text.len, 0);
	wiring_write(&text, "/davit", allows_one, "registry.npmjs.org");
	assert_non_null(strstr(text.data, "registry=$davit_m/npm/registry.npmjs.org/"));
	assert_null(strstr(text.data, "PIP_INDEX_URL"));
	buf_fini(&text);
}

static int
make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) == NULL;
}

static int
remove_folder(void **state)
{
	char *command = xasprintf("rm -rf %s", folder);
	int status = system(command);

	(void)state;
	free(command);
	return status;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tools_ask_the_mirror),
		cmocka_unit_test(test_what_is_said_counts),
		cmocka_unit_test(test_only_what_the_mirror_may_ask),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
