#include "server/app_conf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/crypto.h"
#include "proto/labels.h"
#include "proto/mem.h"
#include "proto/platform.h"
#include "proto/url.h"
#include "server/app_mirror.h"
#include "server/conf.h"

#define SECRET_MAX 4096

bool
app_conf_secret(const char *path, char **ret, struct err *err)
{
	char line[SECRET_MAX];
	FILE *file;

	*ret = NULL;
	if (path[0] == '\0')
		return true;
	file = fopen(path, "re");
	if (file == NULL) {
		*err = err_errno("read %s", path);
		return false;
	}
	if (fgets(line, sizeof(line), file) != NULL) {
		line[strcspn(line, "\r\n")] = '\0';
		*ret = xstrdup(line);
		explicit_bzero(line, sizeof(line));
	}
	fclose(file);
	return *ret != NULL || err_set(err, ERR_INPUT, 0, "%s is empty: its first line should be the secret", path);
}

const char *
app_conf_file(const char *s)
{
	return s[0] != '\0' ? s : NULL;
}

/* All processors but one, so that the host stays alive; of a single one, all. */
static uint64_t
default_nano_cpus(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return (uint64_t)(n > 1 ? n - 1 : 1) * 1000000000;
}

/* {arch: arm64} is what a job calls arch=arm64. */
static char *
engine_labels(const struct conf_engine *engine)
{
	struct strings labels = { 0 };
	char *text;

	for (size_t i = 0; i < engine->labels.count; i++) {
		const struct conf_pair *pair = &engine->labels.pairs[i];
		char *label = xasprintf("%s%s%s", pair->name, pair->value[0] != '\0' ? "=" : "", pair->value);

		strings_add(&labels, str_of(label));
		free(label);
	}
	for (size_t i = 0; i < engine->platforms.count; i++) {
		char *label = xasprintf(PLATFORM_LABEL "%s", engine->platforms.items[i]);

		strings_add(&labels, str_of(label));
		free(label);
	}
	text = labels_text(&labels);
	strings_fini(&labels);
	return text;
}

static const enum builder_buildkit buildkits[] = {
	[CONF_BUILDKIT_OFF] = BUILDER_BUILDKIT_OFF,
	[CONF_BUILDKIT_ISOLATED] = BUILDER_BUILDKIT_ISOLATED,
	[CONF_BUILDKIT_ON] = BUILDER_BUILDKIT_ON,
};

void
app_conf_builder(const struct conf *conf, const char *mirror_token, struct app_builder_conf *ret)
{
	const struct conf_builder *b = &conf->builder;

	*ret = (struct app_builder_conf){ 0 };
	ret->engines = xcalloc(conf->engine_count, sizeof(*ret->engines));
	for (size_t i = 0; i < conf->engine_count; i++) {
		const struct conf_engine *e = &conf->engines[i];

		ret->engines[i] = (struct builder_engine_conf){ .name = e->name,
			.url = e->url,
			.slots = e->slots,
			.labels = engine_labels(e),
			.ca = app_conf_file(e->tls.ca),
			.cert = app_conf_file(e->tls.cert),
			.key = app_conf_file(e->tls.key) };
		app_mirror_find(conf, e, mirror_token, &ret->engines[i]);
	}
	ret->aliases = xcalloc(conf->image_aliases.count, sizeof(*ret->aliases));
	for (size_t i = 0; i < conf->image_aliases.count; i++)
		ret->aliases[i] =
		    (struct builder_alias){ conf->image_aliases.pairs[i].name, conf->image_aliases.pairs[i].value };
	ret->conf = (struct builder_conf){
		.buildkit = buildkits[b->buildkit],
		.node = conf->node,
		.engines = ret->engines,
		.engine_count = conf->engine_count,
		.aliases = ret->aliases,
		.alias_count = conf->image_aliases.count,
		.limits = { .memory = b->memory,
		    .nano_cpus = b->cpu_milli != 0 ? (uint64_t)b->cpu_milli * 1000000 : default_nano_cpus(),
		    .pids = b->pids,
		    .log_bytes = b->log_limit },
		.blocked = (const char *const *)b->blocked.items,
		.blocked_count = b->blocked.count,
		.warm_images = b->warm_images,
		.warm_per_image = b->warm_per_image,
		.wiring = ret->wiring = app_mirror_wiring(conf),
	};
}

struct destination_conf *
app_conf_destinations(const struct app_builder_conf *conf)
{
	struct destination_conf *destinations = xcalloc(conf->conf.engine_count, sizeof(*destinations));

	for (size_t i = 0; i < conf->conf.engine_count; i++) {
		const struct builder_engine_conf *e = &conf->engines[i];

		destinations[i] = (struct destination_conf){ e->name, e->url, e->ca, e->cert, e->key };
	}
	return destinations;
}

void
app_conf_builder_fini(struct app_builder_conf *conf)
{
	for (size_t i = 0; conf->engines != NULL && i < conf->conf.engine_count; i++) {
		free((char *)conf->engines[i].labels);
		app_mirror_forget(&conf->engines[i]);
	}
	free(conf->wiring);
	free(conf->engines);
	free(conf->aliases);
	*conf = (struct app_builder_conf){ 0 };
}

/* redis://host:port/db: in all but its name a tcp:// URL. */
static bool
parse_redis_tcp(const char *text, struct app_redis_conf *ret, struct err *err)
{
	char *as_tcp = xasprintf("tcp://%s", text + strlen("redis://"));
	struct url url;
	uint64_t db = 0;
	bool ok = url_parse(str_of(as_tcp), URL_NO_USERINFO, &url, err);

	free(as_tcp);
	if (!ok) {
		*err = err_prefix(*err, "redis.url");
		return false;
	}
	if (url.path[0] != '\0' && url.path[1] != '\0' && !str_to_u64(str_of(url.path + 1), 65535, &db))
		ok = err_set(err, ERR_INPUT, 0, "redis.url: \"%s\" is no database's number", url.path + 1);
	ret->host = xstrdup(url.host);
	ret->conf = (struct redis_conf){ .host = ret->host, .port = url.port, .db = (unsigned)db };
	url_fini(&url);
	return ok;
}

static bool
parse_redis(const char *text, struct app_redis_conf *ret, struct err *err)
{
	if (strncmp(text, "unix://", 7) != 0)
		return parse_redis_tcp(text, ret, err);
	ret->path = xstrdup(text + 7);
	ret->conf.path = ret->path;
	return true;
}

bool
app_conf_redis(const struct conf *conf, struct app_redis_conf *ret, struct err *err)
{
	*ret = (struct app_redis_conf){ 0 };
	if (!parse_redis(conf->redis.url, ret, err) ||
	    !app_conf_secret(conf->redis.password_file, &ret->password, err)) {
		app_conf_redis_fini(ret);
		return false;
	}
	ret->conf.password = ret->password;
	ret->conf.allow_weak_persistence = conf->redis.allow_weak_persistence;
	return true;
}

void
app_conf_redis_fini(struct app_redis_conf *conf)
{
	free(conf->path);
	free(conf->host);
	crypto_wipe_free(&conf->password);
	*conf = (struct app_redis_conf){ 0 };
}

static enum smtp_tls
tls_of(enum conf_starttls starttls)
{
	switch (starttls) {
	case CONF_STARTTLS_REQUIRED:
		return SMTP_TLS_REQUIRED;
	case CONF_STARTTLS_OFF:
		return SMTP_TLS_OFF;
	case CONF_STARTTLS_AUTO:
		break;
	}
	return SMTP_TLS_AUTO;
}

bool
app_conf_smtp(const struct conf *conf, struct app_smtp_conf *ret, struct err *err)
{
	struct url url;

	*ret = (struct app_smtp_conf){ 0 };
	if (!url_parse(str_of(conf->smtp.url), URL_NO_USERINFO, &url, err)) {
		*err = err_prefix(*err, "smtp.url");
		return false;
	}
	ret->host = xstrdup(url.host);
	ret->conf = (struct smtpc_conf){
		.host = ret->host,
		.port = url.port,
		.tls = url.scheme == URL_SMTPS ? SMTP_TLS_IMPLICIT : tls_of(conf->smtp.starttls),
		.certificates = { .ca_file = app_conf_file(conf->smtp.ca) },
		.user = app_conf_file(conf->smtp.user),
	};
	url_fini(&url);
	if (!app_conf_secret(conf->smtp.password_file, &ret->password, err)) {
		app_conf_smtp_fini(ret);
		return false;
	}
	ret->conf.password = ret->password;
	return true;
}

void
app_conf_smtp_fini(struct app_smtp_conf *conf)
{
	free(conf->host);
	crypto_wipe_free(&conf->password);
	*conf = (struct app_smtp_conf){ 0 };
}
