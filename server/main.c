#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/app.h"
#include "server/conf.h"
#include "server/core/inherited.h"
#include "server/core/log.h"

#define DEFAULT_CONF "/etc/davit/davit.yml"

static int
usage(void)
{
	fputs("usage: davitd [-c FILE]\n       davitd -V\n", stderr);
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

static int
run(const char *path)
{
	struct inherited *inherited = inherited_new();
	struct conf *conf;
	struct app *app;
	struct err err = ERR_OK;

	if (!conf_load(path, &conf, &err)) {
		log_error("%s", err.text);
		inherited_free(&inherited);
		return 1;
	}
	log_set_level(level_of(conf->log_level));
	app = app_new(conf, inherited, &err);
	inherited_free(&inherited);
	if (app == NULL)
		log_error("%s", err.text);
	else
		app_run(app);
	app_free(&app);
	conf_free(&conf);
	return err.code != ERR_NONE;
}

int
main(int argc, char **argv)
{
	const char *path = DEFAULT_CONF;
	int option;

	while ((option = getopt(argc, argv, "c:V")) != -1)
		switch (option) {
		case 'c':
			path = optarg;
			break;
		case 'V':
			puts("davitd " PACKAGE_VERSION);
			return 0;
		default:
			return usage();
		}
	return optind == argc ? run(path) : usage();
}
