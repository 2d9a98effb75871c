/* The shell script that a job's container runs: a job_spec in, POSIX sh out (busybox ash, dash, bash). It
 *  1. runs its preamble, exports the environment, then the job's env, and enters the workspace;
 *  2. runs each segment in a shell of its own (bash where the image has it, else sh) with -e and an empty standard
 * input, between two markers (proto/marker.h), each command shown in bold as "$ command" before it runs;
 *  3. runs nothing after the first segment that failed, but those segments that run always, which find its outcome in
 * DAVIT_JOB_STATUS (passed, failed, or the word that SCRIPT_STOP left);
 *  4. ends with that segment's exit code.
 * Files outlive a segment; the directory and variables do not. Nothing stands in an argv. Standard output and standard
 * error stay apart.
 *
 * Beside the segments' markers there are two of the script's own: the end of MARKER_JOB says how the job came out,
 * before the segments at its end that run always, and the beginning of MARKER_HOLD that the script waits, so that
 * people can look at what failed. */
#ifndef DAVIT_PROTO_SCRIPT_H
#define DAVIT_PROTO_SCRIPT_H

#include <stdbool.h>

#include "proto/err.h"
#include "proto/plan.h"
#include "proto/str.h"

/* Exit code of a job whose workspace cannot be entered. */
#define SCRIPT_NO_WORKSPACE 125

/* In the folder of a running script: sources the job's variables, ends its segments early. The latter is a command for
 * "sh -c" with the folder as $0 and the word for DAVIT_JOB_STATUS as $1: it kills every process of the container but
 * the script, which goes on with the segments that run always. */
#define SCRIPT_ENV "env"
extern const char script_stop[];

/* What a container runs that is started before there is work for it: a command for "sh -c" with the place where tars
 * are unpacked as $0, the workspace as $1 and the script's folder as $2. It says that it is ready, takes one tar from
 * its standard input, and becomes the script in it. The tar's last member is the folder's SCRIPT_BOOT_WHOLE: without it
 * nothing runs, since a tar takes an archive that was cut between two members for a whole one. Exit code 125 before any
 * segment began: nothing of the user's has run. */
#define SCRIPT_BOOT_READY "davit:ready\n"
#define SCRIPT_BOOT_NO_TAR "davit:no-tar\n"
#define SCRIPT_BOOT_WHOLE "whole"
extern const char script_boot[];

struct script_spec {
	const struct job_spec *job;
	size_t first, count; /* segments of the job: those of one container */
	const char *status;  /* the job's own segments are over, with that DAVIT_JOB_STATUS: only those that run
			      * always are left. NULL: they are not over */
	unsigned hold_s;     /* how long the script waits at its end when the job failed; 0: it does not */
	const char *preamble; /* what the script begins with, in sh; NULL: nothing */
	/* The server's own variables (CI=true, links, secrets), taken literally. May be NULL. In the job's env $NAME
	 * and ${NAME} stand for variables set before, the image's included, and $$ for a dollar sign. */
	const struct env *environment;
	/* Names and addresses of services that no resolver knows, for hosts_file (an absolute path). May be NULL. */
	const struct env *hosts;
	const char *hosts_file;
	const char *workspace; /* absolute path */
	const char *folder;    /* of the script's own files, absolute path; no user's file is there */
	const char *nonce;     /* 32 lower-case hex digits, never used before */
};

/* ERR_INPUT for a variable whose name is none and for a command that contains the nonce; ERR_LIMIT above 4 MB.
 * free() the script. */
bool script_make(const struct script_spec *spec, char **ret, size_t *len, struct err *err);

/* Where the segments begin that stand at the end of the job and run always; segment_count: there are none. */
size_t script_after(const struct job_spec *job);

/* [A-Za-z_][A-Za-z0-9_]*, and not one of the variables that a shell refuses to set (UID, PPID ...). */
bool script_may_set(const char *name);
/* How many bytes at the start of s are a variable's name; 0: none is there. */
size_t script_name_len(const char *s);

#endif
