/* The server's configuration: davit.yml, read once at the start into a value that nobody changes.
 * One table (conf.c) holds every option: key, type, default, limits and a line of help; conf/davit.yml and
 * doc/davit.yml.5 are checked against it. An unknown key, a wrong type or a value out of range refuses the start with
 * file, line and column. Strings are never NULL: "" where nothing was written. */
#ifndef DAVIT_SERVER_CONF_H
#define DAVIT_SERVER_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/err.h"
#include "proto/str.h"

struct conf_strings {
	char **items; /* and a NULL behind the last */
	size_t count;
};

struct conf_pair {
	char *name;
	char *value;
};

struct conf_map {
	struct conf_pair *pairs; /* in the order of the file */
	size_t count;
};

enum conf_log_level { CONF_LOG_ERROR, CONF_LOG_WARN, CONF_LOG_INFO, CONF_LOG_DEBUG };
enum conf_pull { CONF_PULL_MISSING, CONF_PULL_ALWAYS };
enum conf_buildkit { CONF_BUILDKIT_OFF, CONF_BUILDKIT_ISOLATED, CONF_BUILDKIT_ON };
enum conf_starttls { CONF_STARTTLS_AUTO, CONF_STARTTLS_REQUIRED, CONF_STARTTLS_OFF };

struct conf_redis {
	char *url; /* "": a private child on a socket below state_dir */
	char *password_file;
	bool allow_weak_persistence;
	char *private_binary;
};

struct conf_engine {
	char *url; /* unix:///path or tcp://host:port */
	unsigned slots;
	struct conf_map labels;        /* which jobs may ask for */
	struct conf_strings platforms; /* whose images it builds; empty: its own */
	char *name;                    /* "engine1" by place in the list, where none was written */
	char *mirror;                  /* HOST:PORT, "off", or "" */
	struct {
		char *ca;
		char *cert;
		char *key;
	} tls;
};

struct conf_builder {
	unsigned warm_images;    /* images that are kept warm; 0: none */
	unsigned warm_per_image; /* started containers of each */
	unsigned timeout_s;      /* of a job that names none */
	uint64_t log_limit;      /* bytes of one job's log */
	uint64_t memory;         /* bytes of one job's container; 0: no limit */
	unsigned cpu_milli;      /* thousandths of a processor; 0: all but one */
	unsigned pids;
	enum conf_pull pull;
	enum conf_buildkit buildkit;
	struct conf_strings blocked; /* addresses and networks out of reach for jobs */
};

struct conf_upstream {
	char *host; /* a name, *.domain, an address, each with :port or without; "*": any */
	bool is_private;
	bool is_clear;
	char *user; /* "": no login */
	char *password_file;
	char *token_file; /* "": no token */
	char *realm;
	bool is_for_jobs;
	unsigned requests; /* at a time */
	unsigned rate;     /* a second; 0: any */
};

struct conf_smtp {
	char *url; /* smtp://host:port or smtps://host:port; "": no mail */
	char *user;
	char *password_file;
	char *from;
	enum conf_starttls starttls;
	char *ca;
};

struct conf {
	struct conf_strings listen;          /* "host:port", "[::1]:port" or "unix:/path"; port 0 takes a free one */
	struct conf_strings trusted_proxies; /* whose X-Forwarded-For counts */
	char *url; /* where people reach the server, without a slash at its end; "": no links */
	char *state_dir;
	char *templates; /* folder of pipelines' includes; "": none */
	char *node;
	enum conf_log_level log_level;
	struct conf_redis redis;
	struct conf_engine *engines; /* at least one */
	size_t engine_count;
	struct conf_builder builder;
	struct conf_smtp smtp;
	struct conf_map image_aliases; /* glob -> image; the first that matches */
	struct {
		unsigned builds; /* per repository */
	} keep;
	struct {
		uint64_t size;      /* bytes of one artifact's files */
		uint64_t job_size;  /* of all of a job */
		uint64_t repo_size; /* what a repository's take on disk */
		unsigned expire_s;
	} artifacts;
	struct {
		uint64_t size;       /* bytes of one cache */
		uint64_t total_size; /* of all on this server's disk */
		unsigned max_age_s;  /* without use */
	} caches;
	struct {
		bool full;        /* all history in a job's checkout */
		bool allow_local; /* paths and file:// URLs */
		unsigned timeout_s;
	} git;
	struct {
		uint64_t max_body;
		unsigned poll_s;  /* 0: never */
		unsigned watch_s; /* likewise */
	} hook;
	struct {
		char *ca; /* PEM; "": the system's */
	} forge;
	struct {
		struct conf_strings listen; /* none: there is no mirror */
		struct conf_upstream *upstreams;
		size_t upstream_count;
		uint64_t size;     /* bytes on disk */
		int64_t max_age_s; /* 0: any */
		char *registry;
		bool connect;     /* tunnels are opened */
		bool jobs;        /* reach it */
		char *access_log; /* "": none */
		uint64_t access_log_size;
		char *ca; /* PEM; "": the system's */
	} mirror;
};

/* Reads the file. Free with conf_free. */
bool conf_load(const char *path, struct conf **ret, struct err *err);
/* The same from memory; file is the name in messages. An empty text gives the defaults. */
bool conf_parse(struct str text, const char *file, struct conf **ret, struct err *err);
void conf_free(struct conf **conf);

/* The i-th option as documented: "builder.timeout", and "engines.url" for what stands in a list. NULL behind the last.
 * *fallback (may be NULL) is its default as written in the file, *help its line of help. */
const char *conf_option(size_t i, const char **fallback, const char **help);

#endif
