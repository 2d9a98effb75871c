#include "server/app_secrets.h"

#include <stdlib.h>
#include <string.h>

#include "proto/mask.h"
#include "proto/mem.h"
#include "proto/script.h"
#include "proto/secret.h"
#include "server/core/disk.h"
#include "server/core/log.h"
#include "server/core/loop.h"
#include "server/store/store.h"

enum {
	SECRETS_MAX = 100,      /* of a job */
	VALUES_MAX = 64 * 1024, /* of them all, in bytes */
	AT_ONCE_MAX = 4 * 1024, /* of them all: a mask takes about 0.4 ms for each KiB, so one of more a thread makes */
	OWN_MIN = 8,            /* a shorter webhook secret may be an ordinary word */
	OUTPUT_MAX = 8 * 1024 * 1024 /* twice what builder/ gives in one piece */
};

struct stream {
	struct mask_stream mask;
	uint64_t raw; /* taken in */
};

/* A mask, and what it is made of: texts whose names do not matter. Nothing else is needed, so a thread can do it. */
struct making {
	struct mask *mask;
	struct env texts;
};

struct app_secrets {
	struct disk *disk;
	struct store *store;
	struct app_secrets_job job;
	struct store_op *op;
	struct disk_op *disk_op;
	struct deferred *answer; /* err, or nothing to ask for */
	struct err err;
	struct env env;
	struct buf words;
	int64_t changed_ms;    /* the newest */
	struct making *making; /* until the mask is there, but for the time that a thread has it */
	struct mask *mask;     /* NULL: not made yet */
	struct stream streams[APP_SECRETS_STREAMS];
	struct buf output;
	app_secrets_fn *fn;
	void *arg;
};

/* --- the mask --- */

/* With what the repository has of its own. */
static struct making *
making_new(const struct repo *repo)
{
	struct making *making = xcalloc(1, sizeof(*making));

	making->mask = mask_new();
	if (strlen(repo->token) >= OWN_MIN)
		env_add(&making->texts, "", repo->token);
	if (strlen(repo->secret) >= OWN_MIN)
		env_add(&making->texts, "", repo->secret);
	return making;
}

/* Accepts NULL. */
static void
making_free(void *work)
{
	struct making *making = work;

	if (making == NULL)
		return;
	mask_free(&making->mask);
	env_fini(&making->texts);
	free(making);
}

static void
make(void *work, struct err *err)
{
	struct making *making = work;

	(void)err;
	for (size_t i = 0; i < making->texts.count; i++)
		mask_add(making->mask, str_of(making->texts.vars[i].value));
	mask_close(making->mask);
}

static void
take_mask(struct app_secrets *s)
{
	s->mask = s->making->mask;
	s->making->mask = NULL;
	making_free(s->making);
	s->making = NULL;
	for (size_t i = 0; i < APP_SECRETS_STREAMS; i++)
		mask_stream_init(&s->streams[i].mask, s->mask);
}

static void
make_now(struct app_secrets *s)
{
	make(s->making, NULL);
	take_mask(s);
}

/* The job gets no secrets: what is the repository's own is hidden still. */
static void
make_own(struct app_secrets *s)
{
	making_free(s->making);
	s->making = making_new(s->job.repo);
	make_now(s);
}

struct app_secrets_output
app_secrets_hide(struct app_secrets *secrets, enum app_secrets_stream stream, struct str text, uint64_t raw)
{
	struct stream *s = &secrets->streams[stream];

	s->raw = raw;
	if (mask_is_empty(secrets->mask))
		return (struct app_secrets_output){ text, raw };
	buf_reset(&secrets->output);
	mask_feed(&s->mask, text, &secrets->output);
	return (struct app_secrets_output){ buf_str(&secrets->output), raw - mask_held(&s->mask) };
}

struct app_secrets_output
app_secrets_flush(struct app_secrets *secrets, enum app_secrets_stream stream)
{
	struct stream *s = &secrets->streams[stream];

	buf_reset(&secrets->output);
	mask_finish(&s->mask, &secrets->output);
	return (struct app_secrets_output){ buf_str(&secrets->output), s->raw };
}

void
app_secrets_hide_text(const struct app_secrets *secrets, char *text)
{
	if (secrets->mask != NULL)
		mask_text(secrets->mask, text);
}

/* --- looking up --- */

static void
on_answer(void *arg)
{
	struct app_secrets *s = arg;

	s->answer = NULL;
	s->fn(s->arg, s->err.code != ERR_NONE ? &s->err : NULL);
}

/* Before anybody is asked. */
static bool
check_job(const struct app_secrets *s, struct err *err)
{
	const struct job_spec *spec = s->job.spec;
	const struct build *build = s->job.build;
	bool is_fork = build->change == NULL || build->change->trust == CHANGE_FORK;

	if (secret_code_is_foreign(is_fork, build->event, build->ref))
		return err_set(err, ERR_REFUSED, 0,
		    "code from outside the repository gets no secrets, and this job asks for %s",
		    spec->secrets[0].name);
	if (spec->secret_count > SECRETS_MAX)
		return err_set(err, ERR_REFUSED, 0, "the job asks for %zu secrets; at most %d are given",
		    spec->secret_count, SECRETS_MAX);
	for (size_t i = 0; i < spec->secret_count; i++) {
		if (!secret_name_is_valid(spec->secrets[i].name))
			return err_set(
			    err, ERR_REFUSED, 0, "no secret can be called \"%.100s\"", spec->secrets[i].name);
		if (!script_may_set(spec->secrets[i].variable))
			return err_set(err, ERR_REFUSED, 0,
			    "secret %s: a shell cannot set a variable of the name \"%.60s\"", spec->secrets[i].name,
			    spec->secrets[i].variable);
	}
	return true;
}

static bool
check_secret(const struct app_secrets *s, const char *name, const struct secret *secret, struct err *err)
{
	const struct build *build = s->job.build;
	struct err why;

	if (secret->name[0] == '\0')
		return err_set(err, ERR_REFUSED, 0,
		    "secret %s is not there for repository %s, event %s: \"davit secret set %s --repo %s\" sets it",
		    name, s->job.repo->id, build->event, name, s->job.repo->id);
	if (secret_is_allowed(secret->events, secret->branches, build->event, build->ref, &why))
		return true;
	return err_set(err, ERR_REFUSED, 0, "secret %s of %s %s is not for event %s, %.80s: %.80s", name, secret->scope,
	    secret->owner, build->event, build->ref, why.text);
}

static void
take(struct app_secrets *s, const struct secret_spec *spec, const struct secret *secret)
{
	env_add(&s->env, spec->variable, secret->value);
	env_add(&s->making->texts, "", secret->value);
	if (secret->changed_ms > s->changed_ms)
		s->changed_ms = secret->changed_ms;
	buf_addf(&s->words, "%s%s of %s %s", s->words.len > 0 ? ", " : "secrets: ", secret->name, secret->scope,
	    secret->owner);
}

static bool
take_all(struct app_secrets *s, const struct secret_list *found, size_t *ret, struct err *err)
{
	const struct job_spec *spec = s->job.spec;
	size_t bytes = 0;

	*ret = 0;
	for (size_t i = 0; i < found->count; i++) {
		if (!check_secret(s, spec->secrets[i].name, &found->items[i], err))
			return false;
		bytes += strlen(found->items[i].value);
	}
	if (bytes > VALUES_MAX)
		return err_set(err, ERR_REFUSED, 0, "the job's secrets have %zu bytes together; at most %d are given",
		    bytes, VALUES_MAX);
	for (size_t i = 0; i < found->count; i++)
		take(s, &spec->secrets[i], &found->items[i]);
	*ret = bytes;
	return true;
}

static void
give(struct app_secrets *s)
{
	log_info("job %s: %s", s->job.id, s->words.data);
	s->fn(s->arg, NULL);
}

static void
refuse(struct app_secrets *s, const struct err *err)
{
	make_own(s);
	s->fn(s->arg, err);
}

static void
on_made(void *arg, const struct err *err)
{
	struct app_secrets *s = arg;

	s->disk_op = NULL;
	if (err != NULL) {
		refuse(s, err);
		return;
	}
	take_mask(s);
	give(s);
}

/* A value that does not open is for an administrator to set again, not for trying again. */
static void
on_found(void *arg, struct secret_list found, const struct err *err)
{
	struct app_secrets *s = arg;
	struct err refused;
	size_t bytes;

	s->op = NULL;
	if (err == NULL && !take_all(s, &found, &bytes, &refused))
		err = &refused;
	secret_list_fini(&found);
	if (err != NULL && err->code == ERR_AUTH) {
		refused = err_make(ERR_REFUSED, 0, "%s", err->text);
		err = &refused;
	}
	if (err != NULL) {
		refuse(s, err);
	} else if (bytes > AT_ONCE_MAX) {
		s->disk_op = disk_call(s->disk, make, making_free, s->making, on_made, s);
	} else {
		make_now(s);
		give(s);
	}
}

static struct store_op *
find(struct app_secrets *s)
{
	const struct job_spec *spec = s->job.spec;
	char *org = secret_org(s->job.repo->name);
	char *environment =
	    spec->deploy != NULL ? xasprintf("%s/%s", s->job.repo->id, spec->deploy->environment) : NULL;
	const struct store_secret_owners owners = { {
	    [SECRET_ENVIRONMENT] = environment,
	    [SECRET_REPO] = s->job.repo->id,
	    [SECRET_ORG] = org,
	} };
	const char *names[SECRETS_MAX];
	struct store_op *op;

	for (size_t i = 0; i < spec->secret_count; i++)
		names[i] = spec->secrets[i].name;
	op = store_secret_find(s->store, &owners, names, spec->secret_count, on_found, s);
	free(org);
	free(environment);
	return op;
}

struct app_secrets *
app_secrets_start(struct loop *loop, struct disk *disk, struct store *store, const struct app_secrets_job *job,
    app_secrets_fn *fn, void *arg)
{
	struct app_secrets *s = xcalloc(1, sizeof(*s));

	*s = (struct app_secrets){ .disk = disk, .store = store, .job = *job, .fn = fn, .arg = arg };
	buf_init(&s->words, 4096);
	buf_init(&s->output, OUTPUT_MAX);
	s->making = making_new(job->repo);
	if (job->spec->secret_count > 0 && check_job(s, &s->err)) {
		s->op = find(s);
	} else {
		make_now(s);
		s->answer = deferred_call(loop, on_answer, s);
	}
	return s;
}

void
app_secrets_cancel(struct app_secrets *secrets)
{
	store_cancel(&secrets->op);
	if (secrets->disk_op != NULL) {
		disk_cancel(&secrets->disk_op);
		secrets->making = NULL; /* the disk frees it */
	}
	if (secrets->mask == NULL)
		make_own(secrets);
	deferred_cancel(&secrets->answer);
}

void
app_secrets_free(struct app_secrets **secrets)
{
	struct app_secrets *s = *secrets;

	if (s == NULL)
		return;
	*secrets = NULL;
	app_secrets_cancel(s);
	env_fini(&s->env);
	mask_free(&s->mask);
	buf_fini(&s->words);
	buf_fini(&s->output);
	free(s);
}

void
app_secrets_add(const struct app_secrets *secrets, struct env *env)
{
	for (size_t i = 0; i < secrets->env.count; i++)
		env_add(env, secrets->env.vars[i].name, secrets->env.vars[i].value);
}

const char *
app_secrets_words(const struct app_secrets *secrets)
{
	return secrets->words.len > 0 ? secrets->words.data : NULL;
}

int64_t
app_secrets_changed_ms(const struct app_secrets *secrets)
{
	return secrets->changed_ms;
}
