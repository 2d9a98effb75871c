/* A build's context, made of a workspace: a tar goes in as it comes, and the tar that the engine's build call takes
 * comes out (Docker Engine API, POST /build): the members below one folder, without those that .dockerignore leaves
 * out. Further members may be added before its end.
 *
 * The Dockerfile goes along whatever .dockerignore says, and also when it lies outside of the folder: then under a name
 * of its own, which context_dockerfile tells. */
#ifndef DAVIT_PROTO_CONTEXT_H
#define DAVIT_PROTO_CONTEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/buf.h"
#include "proto/dockerignore.h"
#include "proto/err.h"
#include "proto/str.h"

enum { CONTEXT_MEMBERS_MAX = 2000000, CONTEXT_GROWTH = 12 };

/* Everything is lent for the context's life. */
struct context_conf {
	const char *root;                  /* of the workspace's members: "workspace" */
	const char *folder;                /* below it; "" for all */
	const char *dockerfile;            /* below the root */
	const struct dockerignore *ignore; /* of the folder */
};

struct context;

struct context *context_new(const struct context_conf *conf);
/* Accepts NULL inside. */
void context_free(struct context **context);
/* The name that the engine is told; good for the context's life. */
const char *context_dockerfile(const struct context *context);

/* The next bytes of the archive that is read. Appends to out, which needs room for CONTEXT_GROWTH times as many:
 * members without content may get longer names. ERR_LIMIT without it; ERR_INPUT, ERR_PROTO for an archive that is
 * damaged. */
bool context_feed(struct context *context, struct str in, struct buf *out, struct err *err);
/* Of whoever has fed all bytes up to here: how many further ones of the archive may be left out, since they are the
 * content of a member that is left out. */
uint64_t context_skip(struct context *context);
/* The workspace has ended, and with it the Dockerfile must have come. The context has no end yet: tar_end. */
bool context_finish(const struct context *context, struct err *err);

#endif
