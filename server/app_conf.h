/* From the configuration as it stands in davit.yml to what each component wants to know. */
#ifndef DAVIT_SERVER_APP_CONF_H
#define DAVIT_SERVER_APP_CONF_H

#include <stdbool.h>

#include "proto/err.h"
#include "server/builder/builder.h"
#include "server/delivery/destinations.h"
#include "server/io/redis.h"
#include "server/io/smtpc.h"
#include "server/notify/notify.h"

struct conf;

/* A file's name; "" gives NULL. */
const char *app_conf_file(const char *path);
/* The first line of a file such as a password's; "" gives NULL. */
bool app_conf_secret(const char *path, char **ret, struct err *err);

/* Its arrays and labels are owned; other strings are conf's. */
struct app_builder_conf {
	struct builder_conf conf;
	struct builder_engine_conf *engines;
	struct builder_alias *aliases;
	char *wiring;
};
/* mirror_token: what engines show to this process' own mirror. Lent. */
void app_conf_builder(const struct conf *conf, const char *mirror_token, struct app_builder_conf *ret);
/* All engines, for applications; free() it, its strings are the other's. */
struct destination_conf *app_conf_destinations(const struct app_builder_conf *conf);
void app_conf_builder_fini(struct app_builder_conf *conf);

/* An external Redis: redis.url taken apart. */
struct app_redis_conf {
	struct redis_conf conf;
	char *path;
	char *host;
	char *password;
};
bool app_conf_redis(const struct conf *conf, struct app_redis_conf *ret, struct err *err);
void app_conf_redis_fini(struct app_redis_conf *conf);

struct app_smtp_conf {
	struct smtpc_conf conf;
	char *host;
	char *password;
};
/* smtp.url is set. */
bool app_conf_smtp(const struct conf *conf, struct app_smtp_conf *ret, struct err *err);
void app_conf_smtp_fini(struct app_smtp_conf *conf);

#endif
