/* How a job comes out: by the first cause for which we end it, or else by the exit code of what it runs, with the
 * segment in which it failed. Every run has one, in which its result grows. */
#ifndef DAVIT_BUILDER_VERDICT_H
#define DAVIT_BUILDER_VERDICT_H

#include "proto/err.h"
#include "proto/marker.h"
#include "server/builder/builder.h"

struct verdict {
	struct err err;                    /* the first cause of an end by us */
	enum builder_state state;          /* of err */
	int exit_code;                     /* of what does not run always; -1: it is not over */
	char segment[MARKER_NAME_MAX + 1]; /* the first that failed, or the last that began; "" before the first */
	int segment_exit;                  /* of that; -1: it has not ended */
	struct builder_result result;      /* its state, exit code and reason are written by verdict_judge */
};

void verdict_init(struct verdict *v);
/* Ended by us; a later cause changes nothing. */
void verdict_end(struct verdict *v, enum builder_state state, struct err err);
/* As verdict_result gave it to an owner that has kept it. */
void verdict_recall(struct verdict *v, const struct builder_result *result);
/* Whose fault an error is: what the user wrote (BUILDER_FAILED), or what we and the engine did (BUILDER_ERROR). */
enum builder_state verdict_blame(const struct err *err);
/* A segment that does not run always begins (exit code -1) or ends. */
void verdict_segment(struct verdict *v, const char *name, int exit_code);
/* Whether the job was ended by us. */
bool verdict_is_ended(const struct verdict *v);
/* Whether it was that, or has failed: all that is left to do is what runs always. */
bool verdict_is_bad(const struct verdict *v);
/* The word for it in DAVIT_JOB_STATUS; NULL: the job has not come to an end, or not to a bad one. */
const char *verdict_word(const struct verdict *v);
/* Of a job that ended by itself: the exit code decides; the reason is for people. image: in which its workspace was
 * unpacked; memory: what it had. */
void verdict_judge(struct verdict *v, const char *image, uint64_t memory);
/* As it is given to the owner. */
struct builder_result verdict_result(const struct verdict *v);
/* The same of a run without a script, at its end: what was not ended by us has passed. */
struct builder_result verdict_result_passed(const struct verdict *v);

#endif
