#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "proto/mem.h"
#include "server/app.h"
#include "server/conf.h"
#include "server/core/crash.h"
#include "server/core/inherited.h"
#include "server/core/log.h"

#define DEFAULT_CONF "/etc/davit/davit.yml"

enum { CRASH_LIST = 256 }; /* an option without a letter */

static int
usage(void)
{
	fputs("usage: davitd [-c FILE]\n       davitd -V\n       davitd --crash-points\n", stderr);
	return 2;
}

static enum log_level
level_of(enum conf_log_level level)
{
	switch (level) {
	case CONF_LOG_ERROR:
		return LOG_LEVEL_ERROR;
	case CONF_LOG_WARN:
		return LOG_LEVEL_WARN;
	case CONF_LOG_DEBUG:
		return LOG_LEVEL_DEBUG;
	case CONF_LOG_INFO:
		break;
	}
	return LOG_LEVEL_INFO;
}

/* The path by which a newer davitd is found later, when a package may have put another file there. */
static char *
find_program(void)
{
	char path[4096];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path));

	return len > 0 && (size_t)len < sizeof(path) ? xstrndup(path, (size_t)len) : NULL;
}

static int
run(const char *path, char **argv)
{
	struct inherited *inherited = inherited_new();
	struct app_start start = {
		.inherited = inherited, .program = find_program(), .argv = (const char *const *)argv
	};
	struct conf *conf;
	struct app *app;
	struct err err = ERR_OK;

	if (!crash_init(&err) || !conf_load(path, &conf, &err)) {
		log_error("%s", err.text);
		inherited_free(&inherited);
		free(start.program);
		return 1;
	}
	log_set_level(level_of(conf->log_level));
	app = app_new(conf, &start, &err);
	inherited_free(&inherited);
	if (app == NULL)
		log_error("%s", err.text);
	else
		app_run(app);
	app_free(&app);
	conf_free(&conf);
	free(start.program);
	return err.code != ERR_NONE;
}

int
main(int argc, char **argv)
{
	static const struct option options[] = { { "crash-points", no_argument, NULL, CRASH_LIST },
		{ NULL, 0, NULL, 0 } };
	const char *path = DEFAULT_CONF;
	int option;

	while ((option = getopt_long(argc, argv, "c:V", options, NULL)) != -1)
		switch (option) {
		case CRASH_LIST:
			crash_list(stdout);
			return 0;
		case 'c':
			path = optarg;
			break;
		case 'V':
			puts("davitd " PACKAGE_VERSION);
			return 0;
		default:
			return usage();
		}
	return optind == argc ? run(path, argv) : usage();
}
