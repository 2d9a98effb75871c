/* What an access token allows. Each role has what those behind it have: a number that is not greater has the right. */
#ifndef DAVIT_PROTO_ROLE_H
#define DAVIT_PROTO_ROLE_H

#include <stdbool.h>

enum role {
	ROLE_ADMIN,   /* repositories, secrets, environments, schedules, tokens. The first: what names none is for it
			 alone */
	ROLE_DEPLOY,  /* deployments: approve, make, roll back, lock. Terminals, which show an environment's secrets */
	ROLE_DEVELOP, /* builds: start, cancel, run again, let those of forks begin */
	ROLE_READ,    /* look */
	ROLE_NOTIFY,  /* a registry's: say that something was pushed there, and nothing else */
	ROLE_PUBLIC,  /* whoever comes; no token has it */
};

const char *role_name(enum role role); /* "deploy" */
/* False for what no token can have. */
bool role_from_name(const char *name, enum role *ret);

#endif
