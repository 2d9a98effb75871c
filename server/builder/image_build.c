#include "server/builder/image_build.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"
#include "proto/tar.h"
#include "server/builder/bases.h"
#include "server/builder/buildkit.h"
#include "server/builder/collect.h"
#include "server/builder/context_source.h"
#include "server/builder/host.h"

#define EPOCH "SOURCE_DATE_EPOCH"
#define EXTRACT_BYTES_MAX ((uint64_t)16 << 30)

enum {
	OUT_MAX = 1024 * 1024, /* of members that are taken out of the compiled image, at a time */
	EXTRACT_MEMBERS_MAX = 1000000,
	/* Of the context that is read while what was read before leaves: with the piece behind it no more than 1 MiB.
	 */
	AHEAD_MAX = 256 * 1024,
};

struct image_build {
	struct host *host;
	struct image_build_spec spec;
	const struct image_build_handler *handler;
	void *arg;
	struct context_source *source;
	const struct dockerfile *dockerfile; /* the source's; NULL: not looked at yet */
	unsigned line;                       /* of the step at hand there; 0: not known */
	size_t ahead;                        /* bytes of the context since the last drain */
	struct env args;
	struct bases *bases;       /* that it begins from are brought */
	struct docker_op *op;      /* that builds, */
	struct buildkit *buildkit; /* or this */
	struct collect *collect;   /* what is extracted */
	struct buf out;            /* of that */
	uint64_t member;           /* bytes of its member that are still to come */
	uint64_t member_size;
};

static void
build_end(struct image_build *b, const char *id, const struct err *err)
{
	const struct image_build_handler *handler = b->handler;
	struct err kept = err != NULL ? *err : ERR_OK;
	void *arg = b->arg;

	image_build_cancel(&b);
	handler->on_done(arg, id, err != NULL ? &kept : NULL);
}

/* --- where it is in the Dockerfile --- */

/* "Step 2/3 : RUN make"; of BuildKit, at the end, " > [stage-0 2/3] RUN make:" */
static void
follow_steps(struct image_build *b, struct str text)
{
	struct str rest = text, name = str_trim(str_cut(&rest, '\n')), number;
	uint64_t n;

	if (str_has_prefix(name, "> ["))
		b->line = dockerfile_line_of_vertex(b->dockerfile, name);
	if (!str_has_prefix(text, "Step "))
		return;
	number = (struct str){ text.p + strlen("Step "), text.len - strlen("Step ") };
	if (str_to_u64(str_cut(&number, '/'), UINT32_MAX, &n))
		b->line = dockerfile_line_of_step(b->dockerfile, n);
}

static const char *
dockerfile_of(const struct build_spec *build)
{
	return build->dockerfile != NULL ? build->dockerfile : "Dockerfile";
}

/* "server/Dockerfile:12: what is wrong", of what an engine's call says. */
static struct err
with_place(const struct image_build *b, const struct err *err)
{
	static const char call[] = "build image: ";
	bool has_call = strncmp(err->text, call, strlen(call)) == 0;
	struct str rest = str_of(err->text + (has_call ? strlen(call) : 0));
	unsigned line = dockerfile_line_of_error(rest, &rest);
	struct err placed = err_make(err->code, err->detail, "%.*s", (int)rest.len, rest.p);

	if (line == 0)
		line = b->line;
	return line != 0 ? err_prefix(placed, "%s:%u", dockerfile_of(b->spec.build), line)
			 : err_prefix(placed, "%s", dockerfile_of(b->spec.build));
}

static void
on_text(void *arg, struct str text)
{
	struct image_build *b = arg;

	follow_steps(b, text);
	b->handler->on_text(b->arg, text);
}

/* --- the context --- */

/* To who builds. */
static void
send_bytes(struct image_build *b, struct str bytes)
{
	if (b->buildkit != NULL)
		buildkit_send(b->buildkit, bytes);
	else
		docker_build_send(b->op, bytes);
}

static void
send_end(struct image_build *b)
{
	buf_reset(&b->out);
	tar_end(&b->out);
	send_bytes(b, buf_str(&b->out));
	if (b->buildkit != NULL)
		buildkit_send_end(b->buildkit);
	else
		docker_build_end(b->op);
	buf_reset(&b->out);
}

/* What is made of it goes out; the engine's answer to more comes by on_drain. */
static void
flush(struct image_build *b)
{
	send_bytes(b, buf_str(&b->out));
	buf_reset(&b->out);
	collect_pause(b->collect);
}

static void
on_member(void *arg, const struct tar_entry *entry)
{
	struct image_build *b = arg;

	b->member_size = b->member = entry->kind == TAR_FILE ? entry->size : 0;
	tar_add_entry(&b->out, entry);
	if (b->out.len > OUT_MAX / 2)
		flush(b);
}

static void
on_member_bytes(void *arg, struct str bytes)
{
	struct image_build *b = arg;

	buf_addstr(&b->out, bytes);
	b->member -= bytes.len;
	if (b->member == 0)
		tar_add_padding(&b->out, b->member_size);
	assert(!buf_failed(&b->out));
	flush(b);
}

static void
on_extracted(void *arg, unsigned missing, const struct err *err)
{
	struct image_build *b = arg;
	struct err failure;

	b->collect = NULL;
	if (err != NULL) {
		failure = err_prefix(*err, "extract");
		build_end(b, NULL, &failure);
	} else if (missing > 0) {
		failure = err_make(ERR_INPUT, 0, "extract: %u of its paths are not in the compiled image", missing);
		build_end(b, NULL, &failure);
	} else {
		send_bytes(b, buf_str(&b->out)); /* members without bytes */
		send_end(b);
	}
}

static const struct collect_handler extract_handler = {
	.on_entry = on_member, .on_bytes = on_member_bytes, .on_done = on_extracted
};

/* The context has two parts: the workspace, then what is extracted. */
static void
begin_extract(struct image_build *b)
{
	static const struct collect_limits limits = { EXTRACT_MEMBERS_MAX, EXTRACT_BYTES_MAX };

	buf_reset(&b->out);
	if (b->spec.container != NULL)
		b->collect = collect_start(b->host->loop, b->host->docker, b->spec.container, "/",
		    &b->spec.build->extract, &limits, &extract_handler, b);
	else
		send_end(b);
}

static void on_piece(void *arg, struct str piece, bool is_last, const struct err *err);

/* The next one is read meanwhile; behind the last that there is room for, on_drain asks for more. */
static void
send_piece(struct image_build *b, struct str piece)
{
	b->ahead += piece.len;
	send_bytes(b, piece);
	if (b->ahead < AHEAD_MAX)
		context_source_next(b->source, on_piece, b);
}

static void
on_piece(void *arg, struct str piece, bool is_last, const struct err *err)
{
	struct image_build *b = arg;

	if (err != NULL)
		build_end(b, NULL, err);
	else if (is_last)
		begin_extract(b);
	else
		send_piece(b, piece);
}

static void
on_drain(void *arg)
{
	struct image_build *b = arg;

	b->ahead = 0;
	if (context_source_has_more(b->source)) /* the request's head may leave by itself */
		context_source_next(b->source, on_piece, b);
	else if (b->collect != NULL)
		collect_resume(b->collect);
}

/* --- who builds --- */

/* What the Dockerfile is to blame for is told with its place. */
static void
take_built(struct image_build *b, const char *id, const struct err *err)
{
	struct err failure;

	if (err != NULL && err->code == ERR_INPUT) {
		failure = with_place(b, err);
		build_end(b, NULL, &failure);
	} else {
		build_end(b, id, err);
	}
}

static void
on_built(void *arg, const union docker_result *result, const struct err *err)
{
	struct image_build *b = arg;

	b->op = NULL;
	take_built(b, err == NULL ? result->id : NULL, err);
}

static void
on_buildkit_done(void *arg, const char *id, const struct err *err)
{
	struct image_build *b = arg;

	b->buildkit = NULL;
	take_built(b, id, err);
}

/* Whether a Dockerfile that wants BuildKit may have it here. */
static bool
may_use_buildkit(const struct image_build *b, struct err *err)
{
	const struct builder_conf *conf = b->host->conf;
	const struct dockerfile *d = b->dockerfile;

	if (conf->buildkit == BUILDER_BUILDKIT_OFF || conf->children == NULL)
		return err_set(err, ERR_INPUT, 0,
		    "%s:%u: %s needs BuildKit, which is off on this server (builder.buildkit)",
		    dockerfile_of(b->spec.build), d->wants_line, d->wants);
	if (b->spec.job->is_foreign)
		return err_set(err, ERR_INPUT, 0,
		    "%s:%u: %s needs BuildKit, which builds nothing of a fork: its steps are outside of a job's walls",
		    dockerfile_of(b->spec.build), d->wants_line, d->wants);
	return true;
}

static const struct builder_engine_conf *
engine_of(const struct image_build *b)
{
	const struct builder_conf *conf = b->host->conf;
	size_t i = 0;

	while (strcmp(conf->engines[i].name, b->spec.engine) != 0)
		i++;
	return &conf->engines[i];
}

static void
begin_buildkit(struct image_build *b, struct docker_build_spec *build)
{
	static const struct buildkit_handler handler = { on_drain, on_text, on_buildkit_done };
	const struct buildkit_spec spec = {
		.engine = engine_of(b), .build = build, .job = b->spec.job->spec, .env = b->spec.job->env
	};
	struct err err;

	if (!may_use_buildkit(b, &err)) {
		build_end(b, NULL, &err);
		return;
	}
	build->network = b->host->conf->buildkit == BUILDER_BUILDKIT_ON ? "default" : "none";
	b->buildkit = buildkit_start(b->host, &spec, &handler, b);
}

/* Podman builds by itself what elsewhere BuildKit builds. */
static bool
wants_buildkit(const struct image_build *b)
{
	return b->dockerfile->wants != NULL && !docker_is_podman(b->host->docker);
}

/* So that what is built of a commit has its time, where the Dockerfile asks for it (reproducible-builds.org). */
static const struct env *
build_args(struct image_build *b)
{
	const struct build_spec *build = b->spec.build;
	char epoch[24];

	snprintf(epoch, sizeof(epoch), "%lld", (long long)(b->spec.job->commit_ms / 1000));
	if (b->dockerfile->takes_epoch && b->spec.job->commit_ms != 0)
		env_add(&b->args, EPOCH, epoch); /* what the pipeline says comes behind it, and counts */
	for (size_t i = 0; i < build->args.count; i++)
		env_add(&b->args, build->args.vars[i].name, build->args.vars[i].value);
	return &b->args;
}

/* Of another platform the engine takes whatever has the name, unless it asks the registry. */
static bool
must_pull(const struct image_build *b)
{
	return b->spec.job->pull_always || host_foreign(b->host, b->spec.platform) != NULL;
}

/* The engine asks no registry for what has just come by the mirror. */
static void
on_bases(void *arg, bool are_fresh)
{
	struct image_build *b = arg;
	struct host *host = b->host;
	const struct build_spec *build = b->spec.build;
	struct docker_build_spec spec = { .dockerfile = context_source_dockerfile(b->source),
		.target = build->target,
		.args = build_args(b),
		.tags = b->spec.names,
		.labels = &build->labels,
		.cache_from = b->spec.cache_from,
		.platform = b->spec.platform,
		.network = b->spec.network,
		.limits = { host->limits.memory, host->limits.nano_cpus, 0, 0 },
		.no_cache = build->no_cache || b->spec.no_cache,
		.pull = must_pull(b) && !are_fresh };

	b->bases = NULL;
	if (wants_buildkit(b))
		begin_buildkit(b, &spec);
	else
		b->op = docker_image_build(host->docker, &spec, on_drain, on_text, on_built, b);
}

static void
on_notice(void *arg, const char *text)
{
	struct image_build *b = arg;

	b->handler->on_notice(b->arg, text);
}

static void
on_looked(void *arg, const struct dockerfile *dockerfile, const struct err *err)
{
	struct image_build *b = arg;
	const struct bases_request request = { .dockerfile = dockerfile,
		.build = b->spec.build,
		.platform = host_foreign(b->host, b->spec.platform),
		.always = b->spec.job->pull_always };

	if (err != NULL) {
		build_end(b, NULL, err);
		return;
	}
	b->dockerfile = dockerfile;
	b->bases = bases_start(b->host, &request, on_notice, on_bases, b);
}

struct image_build *
image_build_start(
    struct host *host, const struct image_build_spec *spec, const struct image_build_handler *handler, void *arg)
{
	const struct build_spec *build = spec->build;
	struct image_build *b = xcalloc(1, sizeof(*b));
	const struct context_source_conf conf = { .disk = host->conf->disk,
		.tar = spec->job->workspace_tar,
		.inputs = spec->job->inputs,
		.input_count = spec->job->input_count,
		.folder = build->context != NULL ? build->context : "",
		.dockerfile = dockerfile_of(build) };

	*b = (struct image_build){ .host = host, .spec = *spec, .handler = handler, .arg = arg };
	buf_init(&b->out, OUT_MAX);
	b->source = context_source_new(&conf);
	context_source_look(b->source, on_looked, b);
	return b;
}

void
image_build_cancel(struct image_build **build)
{
	struct image_build *b = *build;

	*build = NULL;
	if (b == NULL)
		return;
	bases_cancel(&b->bases);
	docker_cancel(&b->op);
	buildkit_cancel(&b->buildkit);
	collect_cancel(&b->collect);
	context_source_free(&b->source);
	env_fini(&b->args);
	buf_fini(&b->out);
	free(b);
}
