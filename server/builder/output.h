/* What a job's script writes, on its way from a box to the job's owner: the markers are taken out of it and told in
 * their place, the bytes of each stream are counted through all parts of the job, and there is an end to what may be
 * written. A step of the run's: its box gives, its handler takes. What is written too much is dropped until the next
 * segment begins, which may write a little more.
 *
 * Only while it is open anything is given; what comes before and between is counted. Bytes of standard output that may
 * still become a marker wait for the next ones, or for output_end. */
#ifndef DAVIT_BUILDER_OUTPUT_H
#define DAVIT_BUILDER_OUTPUT_H

#include "proto/marker.h"
#include "server/builder/builder.h"

/* Each may close the output. */
struct output_handler {
	/* As in builder_events. */
	void (*on_text)(void *arg, enum builder_stream stream, struct str text, uint64_t raw);
	/* All text before it is given. */
	void (*on_marker)(void *arg, const struct marker_event *event);
	/* The job has written more than max; all that it may write is given. */
	void (*on_full)(void *arg);
};

struct output {
	const struct output_handler *handler;
	void *arg;
	bool is_open;          /* set by the owner */
	bool is_cut;           /* it is full, and no segment has begun since */
	struct marker marker;  /* on standard output */
	struct buf text;       /* of it, without markers, that is not given yet */
	uint64_t before[3];    /* bytes of earlier parts, by enum builder_stream */
	uint64_t raw[3];       /* all so far */
	uint64_t start;        /* bytes of standard output before the script's first */
	uint64_t marker_bytes; /* of this part's markers */
	uint64_t total;        /* bytes of both streams while it was open */
	uint64_t max;          /* of total */
};

void output_init(struct output *o, uint64_t max, const struct output_handler *handler, void *arg);
void output_fini(struct output *o);
/* A part of the job begins, in a box of its own. */
void output_begin(struct output *o, const char *nonce);
/* Behind so many bytes of each stream, which an earlier process took; before output_begin. */
void output_resume(struct output *o, uint64_t out, uint64_t err);
/* What a box gives: see struct box_handler. */
void output_take(struct output *o, enum builder_stream stream, struct str bytes, uint64_t raw);
/* The part's output is over: gives what was held back, open or not. */
void output_end(struct output *o);

#endif
