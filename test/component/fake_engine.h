/* An engine that is none: the calls that the builder makes, answered in the loop of the test from a unix socket, well
 * or badly as the test wants it. Containers exist in a list only; a job's output is "output\n" on standard output. */
#ifndef DAVIT_TEST_FAKE_ENGINE_H
#define DAVIT_TEST_FAKE_ENGINE_H

#include <stdbool.h>
#include <sys/queue.h>

#include "proto/buf.h"
#include "server/core/loop.h"

struct fake_conn;
struct fake_container;

/* What happens to a request that a rule matches, in the place of the proper answer. */
enum fake_deed {
	FAKE_STATUS,   /* that status, with that body */
	FAKE_CLOSE,    /* the connection is closed without a word */
	FAKE_HALF,     /* status 200 and half of the body that was promised, then closed */
	FAKE_HANG,     /* no answer */
	FAKE_DO_CLOSE, /* it is done, and the connection closed without a word */
	FAKE_DO_409,   /* it is done, and the answer is that it was done before */
	FAKE_EOF_FIRST /* the container's output ends; once that was to be seen, that status, with that body */
};

struct fake_rule {
	const char *method; /* NULL: no rule */
	const char *path;   /* a part of it */
	enum fake_deed deed;
	unsigned status;
	const char *body;
	unsigned spared; /* so many that match are answered properly first */
	unsigned times;  /* so often it is applied; 0: always */
};

/* In which order a job's end is told. */
enum fake_end { FAKE_EXIT_THEN_EOF, FAKE_EOF_THEN_EXIT, FAKE_EXIT_ONLY, FAKE_EOF_ONLY, FAKE_LOST };

struct fake_engine {
	struct loop *loop;
	char path[128];
	char url[160];
	struct evconnlistener *listener;
	struct fake_rule rules[4];
	enum fake_end end;
	const char *output; /* of jobs, as it goes over the attachment; NULL: one good frame */
	size_t output_len;
	int exit_code;
	struct str archive;  /* what every path of a container holds; empty: there is none */
	bool archive_is_cut; /* the connection ends with it, before its body does */
	bool has_image;      /* else it must be pulled */
	bool got_script;     /* a job was fed that far, */
	bool got_whole;      /* or to its end */
	unsigned pulls;
	unsigned networks;
	unsigned volumes;
	unsigned serial;
	TAILQ_HEAD(, fake_container) containers;
	TAILQ_HEAD(, fake_conn) conns;
};

void fake_engine_init(struct fake_engine *fake, struct loop *loop);
/* From now on it answers; called by init unless the test closed it. */
void fake_engine_listen(struct fake_engine *fake);
/* All connections end, new ones are refused. */
void fake_engine_die(struct fake_engine *fake);
void fake_engine_fini(struct fake_engine *fake);
unsigned fake_engine_containers(const struct fake_engine *fake);

#endif
