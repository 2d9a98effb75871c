/* What the jobs of a local run print: the output of each in one piece, byte by byte the server's log of it, in the
 * order in which they began. That of the first one that has not ended goes to standard output as it comes; what the
 * others write meanwhile waits in files. */
#ifndef DAVIT_CLI_RUN_OUTPUT_H
#define DAVIT_CLI_RUN_OUTPUT_H

#include "proto/str.h"

struct run_output;
struct run_pipe;

/* folder: for the files; copied. */
struct run_output *run_output_new(const char *folder);
/* All pipes are closed. Accepts NULL inside. */
void run_output_free(struct run_output **output);

/* A job's way to standard output. */
struct run_pipe *run_pipe_open(struct run_output *output);
void run_pipe_write(struct run_pipe *pipe, struct str text);
void run_pipe_print(struct run_pipe *pipe, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A heading between the parts of its output: on a terminal only, since it is no part of the log. */
void run_pipe_title(struct run_pipe *pipe, const char *text);
/* What it has written is still printed. Accepts NULL inside. */
void run_pipe_close(struct run_pipe **pipe);

#endif
