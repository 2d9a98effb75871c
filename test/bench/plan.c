/* Planning, measured in processor time: of a plan of 256 jobs, made of a matrix of 16 by 16 with a rich job, together
 * with its JSON; of a file of 256 jobs that need many others; and of hostile files, which are refused. usage: plan */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proto/buf.h"
#include "proto/pipeline.h"

enum { ROUNDS = 101, HOSTILE_BYTES = 100000 };

static const struct pipeline_context push = {
	.event = "push",
	.repo = "acme/boat",
	.ref = "refs/heads/main",
	.branch = "main",
	.commit = "2b6dae9f00000000000000000000000000000000",
};

static double
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t); /* what others do on the machine is not ours */
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int
by_size(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* Why the last file was refused. */
static char refusal[300];

static bool
plan_once(struct str text)
{
	struct plan *plan;
	struct err err;

	if (!pipeline_parse(text, "daocloud.yml", &push, &plan, &err)) {
		snprintf(refusal, sizeof(refusal), "%s", err.text);
		return false;
	}
	for (size_t i = 0; i < plan->job_count; i++)
		free(job_spec_to_json(&plan->jobs[i]));
	plan_free(&plan);
	return true;
}

static void
measure(const char *name, const struct buf *text, bool plans)
{
	double times[ROUNDS];

	for (int i = 0; i < ROUNDS; i++) {
		double start = now_ms();

		if (buf_failed(text) || plan_once(buf_str(text)) != plans) {
			fprintf(stderr, "plan: %s: not as expected: %s\n", name, refusal);
			exit(1);
		}
		times[i] = now_ms() - start;
	}
	qsort(times, ROUNDS, sizeof(times[0]), by_size);
	printf("%-28s %6zu bytes  median %6.2f ms  worst %6.2f ms\n", name, text->len, times[ROUNDS / 2],
	    times[ROUNDS - 1]);
}

static void
add_axis(struct buf *b, const char *name)
{
	buf_addf(b, "  %s: [", name);
	for (int i = 0; i < 16; i++)
		buf_addf(b, "%s\"1.%d\"", i > 0 ? ", " : "", i);
	buf_adds(b, "]\n");
}

static void
measure_matrix(struct buf *b)
{
	buf_reset(b);
	buf_adds(b, "image: golang:${matrix.go}\nmatrix:\n");
	add_axis(b, "go");
	add_axis(b, "db");
	buf_adds(b, "services: [\"postgres:${matrix.db}\", redis]\nenv: [A=1, \"B = two words\", \"DB=${matrix.db}\"]\n"
		    "when: {branch: [main, \"release-*\"], event: [push, tag]}\n"
		    "cache: [{key: \"go-${checksum:go.sum}\", paths: [/go/pkg/mod]}]\n"
		    "artifacts: [{paths: [bin/], expire: 30d}]\nsecrets: [TOKEN]\n"
		    "script: [go vet ./..., go build ./..., \"go test -tags ${matrix.db} ./...\"]\n");
	measure("matrix of 256 jobs", b, true);
}

/* Each job needs the 80 before it. */
static void
measure_needs(struct buf *b)
{
	buf_reset(b);
	buf_adds(b, "image: busybox\njobs:\n");
	for (int i = 0; i < 256; i++) {
		buf_addf(b, "  j%d:\n    script: [make]\n    needs: [", i);
		for (int k = i > 80 ? i - 80 : 0; k < i; k++)
			buf_addf(b, "j%d, ", k);
		buf_adds(b, "]\n");
	}
	measure("256 jobs with 80 needs each", b, true);
}

static void
measure_hostile(struct buf *b, const char *name, const char *begin, const char *piece)
{
	buf_reset(b);
	buf_adds(b, begin);
	while (b->len < HOSTILE_BYTES)
		buf_adds(b, piece);
	measure(name, b, false);
}

int
main(void)
{
	struct buf b;

	buf_init(&b, YML_MAX_BYTES);
	measure_matrix(&b);
	measure_needs(&b);
	measure_hostile(&b, "brackets", "", "[");
	measure_hostile(&b, "braces", "script: ", "{a: ");
	measure_hostile(&b, "keys", "", "? a\n");
	measure_hostile(&b, "dashes", "script: ", "- ");
	buf_fini(&b);
	return 0;
}
