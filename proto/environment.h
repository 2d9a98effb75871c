/* An environment: a place that a repository deploys to ("staging", "production"), with the rules of its owner, which no
 * pipeline file can change. All are texts as the environment's record has them; NULL and "" are the defaults.
 *
 *   kind       how it is deployed to: "command" (a command of the pipeline or of the environment, in a container), or
 *              "engine" (the server itself replaces the containers of an application on an engine), or
 *              "swarm" (likewise the services of a Docker Swarm, by one of its managers)
 *   events     of push, tag, pull_request, cron, manual, api, deploy, with commas; default all but pull_request
 *   branches   patterns (proto/condition.h) of the branches that may be deployed, with commas or blanks
 *   tags       likewise. Without both everything may be; with one of them nothing but what it names
 *   deployers  patterns of the logins at the forge whose pushes may deploy; default everybody who can push
 *
 * What is a pull request's needs the event pull_request, also when somebody asks for it. A fork's code is never
 * deployed. Who asks for a deployment at the server itself (the event deploy, and manual, api and cron) is no deployer
 * of the forge's: that setting does not hold him up. */
#ifndef DAVIT_PROTO_ENVIRONMENT_H
#define DAVIT_PROTO_ENVIRONMENT_H

#include <stdbool.h>

#include "proto/err.h"

enum {
	ENVIRONMENT_NAME_MAX = 100,
	ENVIRONMENT_COMMAND_MAX = 16 * 1024,
};

struct environment_rules {
	const char *kind;
	const char *events;
	const char *branches;
	const char *tags;
	const char *deployers;
};

/* What is to be deployed, and who brought it. */
struct environment_request {
	const char *event;
	const char *ref;    /* refs/heads/main, refs/tags/v1, refs/pull/7/head */
	const char *branch; /* short name of the branch or tag; of a pull request the target */
	const char *sender; /* login of who pushed; NULL or "": not known */
	bool is_fork;
};

/* Letters, digits and "._-", the first a letter or digit: it is part of a secret's name and of a page's address. */
bool environment_name_is_valid(const char *name);
/* ERR_INPUT says which setting is wrong, and what it may be. */
bool environment_check(const struct environment_rules *rules, struct err *err);
/* A command for a shell: text without control characters but tabs and line breaks. */
bool environment_command_is_valid(const char *command);
/* Whether it may be deployed there; else *why (ERR_REFUSED) says why not, for people. name: the environment's. */
bool environment_allows(const struct environment_rules *rules, const char *name,
    const struct environment_request *request, struct err *why);

#endif
