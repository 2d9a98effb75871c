/* Takes files out of a container, whether it runs or not: those that fit some patterns, as members of one archive whose
 * names are relative to "/". The container is a stranger's, so every member is checked (proto/tar.h), and the engine is
 * made to wait when its reader is slow. */
#ifndef DAVIT_BUILDER_COLLECT_H
#define DAVIT_BUILDER_COLLECT_H

#include "proto/err.h"
#include "proto/plan.h"
#include "proto/str.h"
#include "proto/tar.h"

struct collect;
struct docker;
struct loop;

/* Of all that is looked at, whether it fits or not: a stranger's files may be many, and holes may be large. */
struct collect_limits {
	uint64_t members;
	uint64_t bytes;
};

struct collect_handler {
	/* A member that fits: a file, whose bytes follow, a folder or a link. A hard link's target fits as well. */
	void (*on_entry)(void *arg, const struct tar_entry *entry);
	void (*on_bytes)(void *arg, struct str bytes);
	/* The collect is gone. err NULL: that was all; missing: how many of the places that the patterns begin
	 * with are not there. Each callback may cancel the collect. */
	void (*on_done)(void *arg, unsigned missing, const struct err *err);
};

/* patterns: absolute, or relative to workspace, as proto/glob.h reads paths; copied. */
struct collect *collect_start(struct loop *loop, struct docker *docker, const char *container, const char *workspace,
    const struct strings *patterns, const struct collect_limits *limits, const struct collect_handler *handler,
    void *arg);
/* Bytes that were read already (at most 64 KiB) still come. Both may be called twice. */
void collect_pause(struct collect *collect);
void collect_resume(struct collect *collect);
/* No callback follows. Accepts NULL inside. */
void collect_cancel(struct collect **collect);

/* What a member is as part of an artifact: named below the workspace, owned by root, with no more than permissions.
 * False: it is none; *leads_out: since it is a link out of the workspace. */
bool collect_as_artifact(struct tar_entry *entry, bool *leads_out);

#endif
