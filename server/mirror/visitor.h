/* Who asks. A client may show an access token of this server, as the password of a login or as a Bearer token, and an
 * engine that pulls for a job what this process gave it; both may see what upstreams give to those with a login alone
 * (mirror.upstreams). What a client shows beyond that is meant for the upstream, and says nothing here. */
#ifndef DAVIT_MIRROR_VISITOR_H
#define DAVIT_MIRROR_VISITOR_H

#include <stdbool.h>

#include "proto/http1.h"
#include "proto/str.h"

/* The token of those who have none: registries' clients want one to begin with. */
#define VISITOR_NOBODYS_TOKEN "nobody"

enum visitor {
	VISITOR_SILENT,  /* it shows nothing */
	VISITOR_UNKNOWN, /* something that is no token of ours */
	VISITOR_WRONG,   /* something that looks like one of ours, but is none */
	VISITOR_NOT_YET, /* the same, and not all of ours are known yet */
	VISITOR_ENGINE,
	VISITOR_MEMBER, /* it has an access token */
};

struct visitor_conf {
	/* The name of an access token, good for the call; NULL: it is none, or, with *is_early, not known to be one
	 * yet. Itself NULL: there are none. */
	const char *(*name_of)(void *arg, struct str token, bool *is_early);
	void *arg;
	const char *engine_token; /* NULL: none */
};

#define VISITOR_NAME_SIZE 65

struct visit {
	enum visitor visitor;
	char name[VISITOR_NAME_SIZE]; /* of the token; "": none */
	const char *header;           /* the one that showed it, which goes nowhere; NULL: none */
};

/* By Authorization, else by Proxy-Authorization. */
void visitor_read(const struct visitor_conf *conf, const struct http1_head *request, struct visit *ret);
/* What was shown, as a token: a password, or what follows Bearer. free() it, wiped. NULL: nothing of that kind. */
char *visitor_token(struct str authorization);

#endif
