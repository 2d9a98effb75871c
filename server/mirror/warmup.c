#include "server/mirror/warmup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <uthash.h>

#include "proto/image.h"
#include "proto/manifest.h"
#include "proto/mem.h"
#include "proto/url.h"
#include "server/core/loop.h"
#include "server/io/httpc.h"

#define JOBS_HOST "davit-mirror:3142" /* texts that name URLs are kept apart by the name that their clients use */
#define SILENCE_MS 60000              /* longer than the mirror waits for its upstreams */

/* One request. */
struct part {
	UT_hash_handle hh; /* by target */
	TAILQ_ENTRY(part) link;
	struct warmup *warmup;
	char *target;  /* of the request: a path, or a whole URL */
	char *host;    /* NULL: the mirror's */
	char *name;    /* as it was asked for */
	size_t folder; /* of target: where an image's manifests/ and blobs/ stand; 0: it is no image */
	bool is_manifest;
	struct buf text; /* of a manifest */
	unsigned status;
	struct httpc_op *op;
};

TAILQ_HEAD(part_queue, part);

struct warmup {
	struct loop *loop;
	struct httpc *httpc;
	char *authorization;
	char **platforms;
	size_t platform_count;
	struct part *parts; /* all */
	struct part_queue waiting;
	struct part_queue running;
	unsigned running_count;
	struct deferred *turn;
	struct warmup_status status;
	char errors[WARMUP_ERRORS][WARMUP_ERROR_SIZE];
};

static void run(struct warmup *w);

/* --- parts --- */

static void
part_free(struct part *p)
{
	httpc_cancel(&p->op);
	buf_fini(&p->text);
	free(p->target);
	free(p->host);
	free(p->name);
	free(p);
}

static void
note_error(struct warmup *w, const char *name, const char *text)
{
	w->status.failed++;
	if (w->status.error_count < WARMUP_ERRORS)
		snprintf(w->errors[w->status.error_count++], WARMUP_ERROR_SIZE, "%.150s: %.240s", name, text);
}

/* target, and host, are the callee's. Layers that images share are one part. */
static struct part *
add(struct warmup *w, char *target, char *host, const char *name)
{
	struct part *p;

	HASH_FIND_STR(w->parts, target, p);
	if (p != NULL || w->status.total == WARMUP_PARTS_MAX) {
		if (p == NULL)
			note_error(w, name, "that is too much at once");
		free(target);
		free(host);
		return NULL;
	}
	p = xcalloc(1, sizeof(*p));
	*p = (struct part){ .warmup = w, .target = target, .host = host, .name = xstrdup(name) };
	buf_init(&p->text, MANIFEST_SIZE_MAX);
	HASH_ADD_KEYPTR(hh, w->parts, p->target, strlen(p->target), p);
	TAILQ_INSERT_TAIL(&w->waiting, p, link);
	w->status.total++;
	return p;
}

static bool
add_url(struct warmup *w, const char *name, struct err *err)
{
	struct url url;
	bool ok;

	if (!url_parse(str_of(name), URL_NO_USERINFO, &url, err))
		return false;
	ok = url.scheme == URL_HTTP || url.scheme == URL_HTTPS ||
	     err_set(err, ERR_INPUT, 0, "%.200s is no URL of HTTP", name);
	if (ok) {
		const char *authority = strstr(name, "://") + 3;
		size_t len = strcspn(authority, "/?#");

		add(w,
		    xasprintf("%.*s%s%.*s", (int)(authority - name + (ptrdiff_t)len), name,
			authority[len] == '/' ? "" : "/", (int)strcspn(authority + len, "#"), authority + len),
		    str_dup((struct str){ authority, len }), name);
	}
	url_fini(&url);
	return ok;
}

static bool
add_image(struct warmup *w, const char *name, struct err *err)
{
	struct image_ref image;
	struct part *p;

	if (!image_parse(str_of(name), &image, err))
		return false;
	p = add(w,
	    xasprintf("/v2/%s/%s/manifests/%s", image.registry, image.repository,
		image.digest[0] != '\0' ? image.digest : image.tag),
	    NULL, name);
	if (p != NULL) {
		p->is_manifest = true;
		p->folder = strlen("/v2/") + strlen(image.registry) + 1 + strlen(image.repository) + 1;
	}
	return true;
}

static bool
add_name(struct warmup *w, const char *name, struct err *err)
{
	if (name[0] == '/') {
		add(w, xstrdup(name), xstrdup(JOBS_HOST), name);
		return true;
	}
	return strstr(name, "://") != NULL ? add_url(w, name, err) : add_image(w, name, err);
}

static void
on_reference(void *arg, bool is_manifest, const char *digest)
{
	struct part *from = arg, *p;

	p = add(from->warmup,
	    xasprintf("%.*s%s/%s", (int)from->folder, from->target, is_manifest ? "manifests" : "blobs", digest), NULL,
	    from->name);
	if (p == NULL)
		return;
	p->is_manifest = is_manifest;
	p->folder = from->folder;
}

/* --- requests --- */

static void
on_head(void *arg, const struct httpc_reply *reply)
{
	struct part *p = arg;

	p->status = reply->status;
}

static void
on_body(void *arg, struct str bytes)
{
	struct part *p = arg;

	p->warmup->status.bytes += bytes.len;
	if (p->is_manifest && p->status == 200)
		buf_addstr(&p->text, bytes);
}

static void
read_manifest(struct part *p)
{
	struct warmup *w = p->warmup;
	struct err err;

	if (buf_failed(&p->text))
		note_error(w, p->name, "the manifest is too large");
	else if (!manifest_read(
		     buf_str(&p->text), (const char *const *)w->platforms, w->platform_count, on_reference, p, &err))
		note_error(w, p->name, err.text);
}

static void
on_done(void *arg, const struct httpc_reply *reply, const struct err *err)
{
	struct part *p = arg;
	struct warmup *w = p->warmup;
	char text[64];

	p->op = NULL;
	if (err != NULL) {
		note_error(w, p->name, err->text);
	} else if (reply->status != 200) {
		snprintf(text, sizeof(text), "%u %s", reply->status, http1_reason(reply->status));
		note_error(w, p->name, text);
	} else if (p->is_manifest) {
		read_manifest(p);
	}
	buf_fini(&p->text);
	buf_init(&p->text, 1);
	TAILQ_REMOVE(&w->running, p, link);
	w->running_count--;
	w->status.done++;
	run(w);
}

static const struct httpc_handler handler = { .on_head = on_head, .on_body = on_body, .on_done = on_done };

static void
start(struct part *p)
{
	struct warmup *w = p->warmup;
	const struct httpc_header header = { "Authorization", w->authorization };
	const struct httpc_request request = {
		.method = "GET",
		.path = p->target,
		.host = p->host,
		.headers = &header,
		.header_count = p->folder > 0 && w->authorization != NULL ? 1 : 0,
		.idle_ms = SILENCE_MS,
	};

	p->op = httpc_request(w->httpc, &request, &handler, p);
}

static void
run(struct warmup *w)
{
	struct part *p;

	while (w->running_count < WARMUP_AT_ONCE && (p = TAILQ_FIRST(&w->waiting)) != NULL) {
		TAILQ_REMOVE(&w->waiting, p, link);
		TAILQ_INSERT_TAIL(&w->running, p, link);
		w->running_count++;
		start(p);
	}
}

/* --- life --- */

/* As a client of this machine reaches what listens there. */
static char *
base_of(const char *address)
{
	const char *colon = strrchr(address, ':');
	bool is_any = strncmp(address, "*:", 2) == 0 || strncmp(address, "0.0.0.0:", 8) == 0;

	if (strncmp(address, "unix:", 5) == 0)
		return xasprintf("unix://%s", address + 5);
	if (strncmp(address, "[::]:", 5) == 0)
		return xasprintf("http://[::1]%s", colon);
	return xasprintf("http://%.*s%s", (int)(colon - address), is_any ? "127.0.0.1" : address, colon);
}

static bool
check(const struct warmup_request *r, struct err *err)
{
	if (r->count == 0 || r->count > WARMUP_NAMES_MAX || r->platform_count > WARMUP_PLATFORMS_MAX)
		return err_set(err, ERR_INPUT, 0, "from 1 to %d names can be fetched at once, for %d platforms at most",
		    WARMUP_NAMES_MAX, WARMUP_PLATFORMS_MAX);
	return true;
}

static bool
open_client(struct warmup *w, const char *address, struct err *err)
{
	const struct httpc_conf conf = { .idle_max = WARMUP_AT_ONCE };
	char *base = base_of(address);

	w->httpc = httpc_new(w->loop, base, &conf, err);
	free(base);
	return w->httpc != NULL;
}

struct warmup *
warmup_start(const struct warmup_conf *conf, const struct warmup_request *r, struct err *err)
{
	struct warmup *w;
	bool ok;

	if (!check(r, err))
		return NULL;
	w = xcalloc(1, sizeof(*w));
	w->loop = conf->loop;
	w->authorization = xstrdup_null(conf->authorization);
	w->platforms = xcalloc(r->platform_count, sizeof(*w->platforms));
	for (; w->platform_count < r->platform_count; w->platform_count++)
		w->platforms[w->platform_count] = xstrdup(r->platforms[w->platform_count]);
	TAILQ_INIT(&w->waiting);
	TAILQ_INIT(&w->running);
	ok = open_client(w, conf->mirror, err);
	for (size_t i = 0; ok && i < r->count; i++)
		ok = add_name(w, r->names[i], err);
	if (ok)
		run(w);
	else
		warmup_free(&w);
	return w;
}

void
warmup_free(struct warmup **warmup)
{
	struct warmup *w = *warmup;
	struct part *p, *next;

	if (w == NULL)
		return;
	*warmup = NULL;
	HASH_ITER(hh, w->parts, p, next)
	{
		HASH_DEL(w->parts, p);
		part_free(p);
	}
	httpc_free(&w->httpc);
	for (size_t i = 0; i < w->platform_count; i++)
		free(w->platforms[i]);
	free(w->platforms);
	free(w->authorization);
	free(w);
}

void
warmup_status(const struct warmup *w, struct warmup_status *ret)
{
	*ret = w->status;
}

const char *
warmup_error(const struct warmup *w, size_t index)
{
	return w->errors[index];
}
