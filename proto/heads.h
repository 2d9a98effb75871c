/* Where a repository's branches and tags are, as git-ls-remote(1) lists them: lines "ID\tREF", and behind that of an
 * annotated tag "ID\tREF^{}" with the commit that it is for. */
#ifndef DAVIT_PROTO_HEADS_H
#define DAVIT_PROTO_HEADS_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/err.h"
#include "proto/str.h"

#define HEADS_MAX 20000
#define COMMIT_SIZE 65 /* 64 digits and a NUL */

struct head {
	char *ref;
	char commit[COMMIT_SIZE];
	char object[COMMIT_SIZE]; /* of an annotated tag its own id; "": none */
};

struct heads {
	struct head *items;
	size_t count;
};

/* Refs that are neither branches nor tags, or whose names Davit does not build (ref.h), are left out. ERR_PROTO: it is
 * no such list; ERR_LIMIT: there are more than HEADS_MAX. *ret is filled on success; end it with heads_fini. */
bool heads_parse(struct str lines, struct heads *ret, struct err *err);
/* The list's own end, for who was handed one. */
void heads_fini(struct heads *heads);

#endif
