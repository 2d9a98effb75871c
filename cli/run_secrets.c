#include "cli/run_secrets.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/buf.h"
#include "proto/mask.h"
#include "proto/mem.h"

enum { STREAMS = 2 };

struct run_secrets {
	struct mask *mask;
	struct mask_stream streams[STREAMS];
};

/* Under its own name, or under that of the job's variable. */
static void
add(struct run_secrets *s, const struct job_spec *job, const struct secret_spec *secret, struct env *env)
{
	const char *value = getenv(secret->name);

	if (value == NULL)
		value = getenv(secret->variable);
	if (value == NULL) {
		fprintf(stderr, "davit: job %s: secret %s is not in the environment: it runs without it\n", job->name,
		    secret->name);
		return;
	}
	env_add(env, secret->variable, value);
	mask_add(s->mask, str_of(value)); /* one that is too short is an ordinary word */
}

struct run_secrets *
run_secrets_new(const struct job_spec *job, struct env *env)
{
	struct run_secrets *s = xcalloc(1, sizeof(*s));

	s->mask = mask_new();
	for (size_t i = 0; i < job->secret_count; i++)
		add(s, job, &job->secrets[i], env);
	mask_close(s->mask);
	for (unsigned i = 0; i < STREAMS; i++)
		mask_stream_init(&s->streams[i], s->mask);
	return s;
}

void
run_secrets_free(struct run_secrets **secrets)
{
	struct run_secrets *s = *secrets;

	*secrets = NULL;
	if (s == NULL)
		return;
	mask_free(&s->mask);
	free(s);
}

static void
print(const struct buf *out)
{
	fwrite(out->data, 1, out->len, stdout);
	fflush(stdout);
}

void
run_secrets_print(struct run_secrets *secrets, unsigned stream, struct str text)
{
	struct buf out;

	buf_init(&out, text.len + MASK_HELD_MAX + 1);
	mask_feed(&secrets->streams[stream], text, &out);
	print(&out);
	buf_fini(&out);
}

void
run_secrets_flush(struct run_secrets *secrets)
{
	struct buf out;

	buf_init(&out, STREAMS * MASK_HELD_MAX);
	for (unsigned i = 0; i < STREAMS; i++)
		mask_finish(&secrets->streams[i], &out);
	print(&out);
	buf_fini(&out);
}
