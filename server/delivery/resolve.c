#include "server/delivery/resolve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/built_image.h"
#include "proto/image.h"
#include "proto/mem.h"
#include "proto/registry_login.h"

struct resolve {
	const struct destination *destination;
	const struct resolve_spec *spec;
	char *wanted; /* the very image, else its name: what the engine is asked for */
	bool is_pinned;
	bool is_pulled;
	struct resolved resolved;
	struct docker_op *op;
	void (*on_pull)(void *arg, const char *image);
	resolve_fn *fn;
	void *arg;
};

static void
resolve_end(struct resolve *r, const struct err *err)
{
	resolve_fn *fn = r->fn;
	void *arg = r->arg;
	struct resolved resolved = r->resolved;
	struct err copy = err != NULL ? err_prefix(*err, "image %.80s", r->resolved.name) : ERR_OK;

	r->resolved.name = NULL;
	resolve_cancel(&r);
	fn(arg, copy.code == ERR_NONE ? &resolved : NULL, copy.code != ERR_NONE ? &copy : NULL);
	free(resolved.name);
}

static void begin_inspect(struct resolve *r);

static void
on_pulled(void *arg, const union docker_result *result, const struct err *err)
{
	struct resolve *r = arg;

	(void)result;
	r->op = NULL;
	r->is_pulled = true;
	if (err != NULL)
		resolve_end(r, err);
	else
		begin_inspect(r);
}

static void
begin_pull(struct resolve *r)
{
	char *auth = registry_login(r->spec->env, r->wanted);

	r->on_pull(r->arg, r->wanted);
	r->op = docker_image_pull(r->destination->docker, r->wanted, auth, NULL, on_pulled, r);
	if (auth != NULL)
		explicit_bzero(auth, strlen(auth));
	free(auth);
}

static bool
is_id(const char *image)
{
	return strncmp(image, "sha256:", strlen("sha256:")) == 0;
}

/* Whether a pull may bring it. */
static bool
may_pull(const struct resolve *r)
{
	const char *policy = r->spec->service->pull;

	if (r->is_pinned)
		return !is_id(r->wanted);
	return policy == NULL || strcmp(policy, "never") != 0;
}

/* Whether what the engine has is asked for all the same. */
static bool
must_pull(const struct resolve *r, const struct docker_image *image)
{
	const char *policy = r->spec->service->pull;

	if (r->is_pulled || r->is_pinned || strchr(r->wanted, '@') != NULL)
		return false;
	return policy != NULL ? strcmp(policy, "always") == 0 : image->digest[0] != '\0';
}

static void
take(struct resolve *r, const struct docker_image *image)
{
	const char *at = strchr(r->wanted, '@');

	snprintf(r->resolved.digest, sizeof(r->resolved.digest), "%s", at != NULL ? at + 1 : image->digest);
	memcpy(r->resolved.id, image->id, sizeof(r->resolved.id));
	resolve_end(r, NULL);
}

static void
on_image(void *arg, const union docker_result *result, const struct err *err)
{
	struct resolve *r = arg;
	struct err missing = err_make(ERR_NOT_FOUND, 404,
	    is_id(r->wanted)
		? "the engine %.60s does not have it as it was built (%.20s...); push: true brings it there"
		: "the engine %.60s does not have it (%.60s), and is not to ask for it",
	    r->destination->name, r->wanted);

	r->op = NULL;
	if (err == NULL && must_pull(r, &result->image))
		begin_pull(r);
	else if (err == NULL)
		take(r, &result->image);
	else if (err->code == ERR_NOT_FOUND && may_pull(r) && !r->is_pulled)
		begin_pull(r);
	else
		resolve_end(r, err->code == ERR_NOT_FOUND ? &missing : err);
}

static void
begin_inspect(struct resolve *r)
{
	r->op = docker_image_inspect(r->destination->docker, r->wanted, r->resolved.name, on_image, r);
}

/* A name that the reader of the pipeline let through. */
static char *
whole_name(const char *image)
{
	struct image_ref ref;

	return image_parse(str_of(image), &ref, NULL) ? image_print(&ref) : xstrdup(image);
}

struct resolve *
resolve_start(const struct destination *destination, const struct resolve_spec *spec,
    void (*on_pull)(void *arg, const char *image), resolve_fn *fn, void *arg)
{
	struct resolve *r = xcalloc(1, sizeof(*r));
	struct built_image pinned;

	*r = (struct resolve){ .destination = destination, .spec = spec, .on_pull = on_pull, .fn = fn, .arg = arg };
	r->resolved.name = whole_name(spec->service->image);
	r->is_pinned = built_image_find(spec->images, r->resolved.name, &pinned) ||
		       built_image_find(spec->needed_images, r->resolved.name, &pinned);
	r->wanted = r->is_pinned ? str_dup(pinned.reference) : xstrdup(r->resolved.name);
	begin_inspect(r);
	return r;
}

void
resolve_cancel(struct resolve **resolve)
{
	struct resolve *r = *resolve;

	if (r == NULL)
		return;
	*resolve = NULL;
	docker_cancel(&r->op);
	free(r->resolved.name);
	free(r->wanted);
	free(r);
}
