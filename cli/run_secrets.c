#include "cli/run_secrets.h"

#include <stdio.h>
#include <stdlib.h>

#include "cli/run_output.h"
#include "proto/buf.h"
#include "proto/mask.h"
#include "proto/mem.h"

struct run_secrets {
	struct run_pipe *pipe;
	struct mask *mask;
	struct mask_stream streams[RUN_STREAMS];
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
run_secrets_new(const struct job_spec *job, struct env *env, struct run_pipe *pipe)
{
	struct run_secrets *s = xcalloc(1, sizeof(*s));

	s->pipe = pipe;
	s->mask = mask_new();
	for (size_t i = 0; i < job->secret_count; i++)
		add(s, job, &job->secrets[i], env);
	mask_close(s->mask);
	for (unsigned i = 0; i < RUN_STREAMS; i++)
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

void
run_secrets_print(struct run_secrets *secrets, enum run_stream stream, struct str text)
{
	struct buf out;

	buf_init(&out, text.len + MASK_HELD_MAX + 1);
	mask_feed(&secrets->streams[stream], text, &out);
	run_pipe_write(secrets->pipe, buf_str(&out));
	buf_fini(&out);
}

void
run_secrets_flush(struct run_secrets *secrets, enum run_stream stream)
{
	struct buf out;

	buf_init(&out, MASK_HELD_MAX);
	mask_finish(&secrets->streams[stream], &out);
	run_pipe_write(secrets->pipe, buf_str(&out));
	buf_fini(&out);
}

void
run_secrets_hide(const struct run_secrets *secrets, char *text)
{
	mask_text(secrets->mask, text);
}
