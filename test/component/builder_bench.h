/* A builder on one engine, driven by a test: jobs made from a few words, and all that they bring. Every wait has an
 * end: a test that hangs fails. */
#ifndef DAVIT_TEST_BUILDER_BENCH_H
#define DAVIT_TEST_BUILDER_BENCH_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/buf.h"
#include "proto/plan.h"
#include "server/builder/builder.h"
#include "server/core/loop.h"
#include "server/io/docker.h"

#define BENCH_IMAGE "davit-test/busybox:latest"

struct bench {
	struct loop *loop;
	struct builder *builder;
	struct builder_engine_conf engine;
	struct builder_conf conf;
	char node[32];
	struct timer *watchdog;
	struct docker *docker; /* the test's own view of the engine */
	bool waits_for_slot;
	unsigned count; /* of jobs, for their ids */
};

/* One job and what it brought. */
struct bench_job {
	struct bench *bench;
	struct job_spec spec;
	struct env env;
	struct builder_job job;
	char id[16];
	char nonce[33];
	struct builder_run *run;
	struct buf out, err, notices, segments; /* segments: "script begin\nscript 0\n" */
	struct buf images;                      /* that it has built: "docker.io/library/app:1 sha256:...\n" */
	uint64_t raw[3];
	char container[129];
	char built[129];                       /* the image that is to be pushed */
	bool holds;                            /* started is not answered */
	const char *awaited;                   /* text for which the loop stops */
	const char *cancel_on;                 /* output that makes it be cancelled */
	void (*on_ended)(struct bench_job *j); /* answers with builder_leave; NULL: that comes at once */
	bool is_started, is_done, has_verdict;
	int64_t began_us, started_us, output_us, done_us; /* microseconds; 0: not yet */
	struct builder_result result;
};

/* Limits of 128 MiB, 64 processes and 32 MiB of log unless conf says otherwise. No builder yet. */
void bench_prepare(struct bench *b, const char *url, const struct builder_conf *conf);
void bench_begin(struct bench *b);
/* Both. */
void bench_open(struct bench *b, const char *url, const struct builder_conf *conf);
/* Until the engine is up. */
void bench_wait_up(struct bench *b);
/* Until so many slots are free. */
void bench_wait_slots(struct bench *b, unsigned count);
/* Until so many containers wait for work. */
void bench_wait_warm(struct bench *b, unsigned count);
/* Stops the builder and checks that nothing of it is left on the engine. */
void bench_close(struct bench *b);
/* Only stops the builder. May be called twice. */
void bench_stop(struct bench *b);
/* All but the look at the engine, for one that is not there. */
void bench_close_blind(struct bench *b);

/* commands: NULL-terminated, of the segment "script". */
void bench_job_init(struct bench_job *j, struct bench *b, const char *image, const char *const *commands);
void bench_job_fini(struct bench_job *j);
void bench_job_segment(struct bench_job *j, const char *name, const char *const *commands);
/* image NULL: the job's. */
void bench_job_step(struct bench_job *j, const char *name, const char *image, const char *const *commands);
/* One that runs whatever happened before. */
void bench_job_always(struct bench_job *j, const char *name, const char *const *commands);
void bench_job_service(struct bench_job *j, const char *name, const char *image, unsigned port, unsigned timeout_s);
void bench_job_start(struct bench_job *j);
void bench_job_wait_started(struct bench_job *j);
/* Until the output has that text. */
void bench_job_wait_output(struct bench_job *j, const char *text);
void bench_job_wait_notice(struct bench_job *j, const char *text);
void bench_job_wait(struct bench_job *j);
/* init, start, wait. */
void bench_run(struct bench_job *j, struct bench *b, const char *image, const char *const *commands);
/* The same with a limit of some seconds, and with what runs always, if anything. The limit counts the making of the
 * container, which takes its time on a busy machine, so it is doubled until the script has said that. */
void bench_run_timed(
    struct bench_job *j, struct bench *b, const char *const *commands, const char *const *always, const char *said);

/* Turns the loop until *flag is set. */
void bench_until(struct bench *b, const bool *flag);
/* Lets it turn so often, whatever happens in it; a turn lasts at most 2 ms. */
void bench_turns(struct bench *b, unsigned count);
/* How many containers, networks and volumes of the bench's node there are. */
unsigned bench_leftovers(struct bench *b);
/* Until there are none. */
void bench_wait_swept(struct bench *b);
/* How many containers of jobs. */
unsigned bench_job_containers(struct bench *b);
/* What the engine says of a container, as it is; free() it. */
char *bench_inspect(struct bench *b, const char *container);
/* A network that is nobody's, with a subnet such as "198.18.7.0/24". */
void bench_make_network(struct bench *b, const char *subnet);
void bench_remove_network(struct bench *b);
/* Makes a container, a network and a volume with the bench's labels that no builder knows. */
void bench_leave_behind(struct bench *b);

void bench_assert_has(const struct buf *b, const char *text);
void bench_assert_has_not(const struct buf *b, const char *text);
/* reason: a part of it. */
void bench_assert_result(const struct bench_job *j, enum builder_state state, const char *reason);

/* The URL of the real engine for tests, its images made; NULL: there is none. */
const char *bench_engine(void);

#endif
