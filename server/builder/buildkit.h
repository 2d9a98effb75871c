/* The build of an image by BuildKit, which the engine has within: its client (docker build) does it as a child process,
 * takes the context as a tar on its standard input, and says in plain lines how far it is. What it needs beside that,
 * logins and secrets, lies in files of a folder in memory (/dev/shm) that only we can read, and that goes with it. */
#ifndef DAVIT_BUILDER_BUILDKIT_H
#define DAVIT_BUILDER_BUILDKIT_H

#include "proto/plan.h"
#include "server/builder/builder.h"
#include "server/io/docker.h"

struct buildkit;
struct host;

/* Lent for the call that starts it. Of the build's own, limits do not count, and network is "none" or "default". */
struct buildkit_spec {
	const struct builder_engine_conf *engine;
	const struct docker_build_spec *build;
	const struct job_spec
	    *job; /* its secrets are the build's, by the names of their variables: --mount=type=secret,id=NAME */
	const struct env *env; /* with their values, and the registries' logins */
};

struct buildkit_handler {
	void (*on_drain)(void *arg); /* send more of the context, first when it has begun */
	void (*on_text)(void *arg, struct str text);
	/* The image's id, or err: ERR_INPUT when the Dockerfile or one of its commands is to blame, with a text as
	 * dockerfile_line_of_error takes it; the build is gone. */
	void (*on_done)(void *arg, const char *id, const struct err *err);
};

/* The async contract of core/loop.h holds. */
struct buildkit *buildkit_start(
    struct host *host, const struct buildkit_spec *spec, const struct buildkit_handler *handler, void *arg);
/* The context: at most 1 MiB at a time, after on_drain. */
void buildkit_send(struct buildkit *buildkit, struct str bytes);
void buildkit_send_end(struct buildkit *buildkit);
/* No callback follows; the engine gives the build up. Accepts NULL inside. */
void buildkit_cancel(struct buildkit **buildkit);
/* What a killed process has left in /dev/shm under that node's name. */
void buildkit_tidy(const char *node);

#endif
