/* The shell script that a job's container runs: a job_spec in, POSIX sh out (busybox ash, dash, bash). It
 *  1. exports the environment, then the job's env, and enters the workspace;
 *  2. runs each segment in a shell of its own (bash where the image has it, else sh) with -e and an empty standard
 * input, between two markers (proto/marker.h), each command shown in bold as "$ command" before it runs;
 *  3. ends with the exit code of the first segment that failed, and runs nothing after that.
 * Files outlive a segment; the directory and variables do not. Nothing is written to the container's disk, and nothing
 * stands in an argv. Standard output and standard error stay apart. */
#ifndef DAVIT_PROTO_SCRIPT_H
#define DAVIT_PROTO_SCRIPT_H

#include <stdbool.h>

#include "proto/err.h"
#include "proto/plan.h"
#include "proto/str.h"

/* Exit code of a job whose workspace cannot be entered. */
#define SCRIPT_NO_WORKSPACE 125

/* environment (may be NULL): the server's own variables (CI=true, links, secrets), taken literally. In the job's env
 * $NAME and ${NAME} stand for variables set before, the image's included, and $$ for a dollar sign.
 * workspace: absolute path. nonce: 32 lower-case hex digits, never used before.
 * ERR_INPUT for a variable whose name is none and for a command that contains the nonce; ERR_LIMIT above 4 MB.
 * free() the script. */
bool script_make(const struct job_spec *job, const struct env *environment, const char *workspace, const char *nonce,
    char **ret, size_t *len, struct err *err);

/* [A-Za-z_][A-Za-z0-9_]*, and not one of the variables that a shell refuses to set (UID, PPID ...). */
bool script_may_set(const char *name);
/* How many bytes at the start of s are a variable's name; 0: none is there. */
size_t script_name_len(const char *s);

#endif
