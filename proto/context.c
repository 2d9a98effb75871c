#include "proto/context.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"
#include "proto/tar.h"

#define OTHER_DOCKERFILE ".davit.dockerfile"
#define IGNORE_FILE ".dockerignore"

struct context {
	struct context_conf conf;
	struct untar untar;
	char *prefix;     /* of the workspace's members that are taken: "workspace/folder/" */
	char *dockerfile; /* of the workspace's members: "workspace/docker/Dockerfile" */
	char *told;       /* its name in the context */
	bool has_dockerfile;
	uint64_t size; /* of the member whose bytes come */
	uint64_t left; /* of these; 0: it is left out, or whole */
	char name[TAR_NAME_MAX];
	char link[TAR_NAME_MAX];
};

static char *
join(const char *a, const char *b)
{
	return xasprintf("%s%s%s", a, a[0] != '\0' && b[0] != '\0' ? "/" : "", b);
}

struct context *
context_new(const struct context_conf *conf)
{
	struct context *c = xcalloc(1, sizeof(*c));
	char *folder = join(conf->root, conf->folder);

	c->conf = *conf;
	c->prefix = xasprintf("%s/", folder);
	c->dockerfile = join(conf->root, conf->dockerfile);
	c->told = xstrdup(strncmp(c->dockerfile, c->prefix, strlen(c->prefix)) == 0 ? c->dockerfile + strlen(c->prefix)
										    : OTHER_DOCKERFILE);
	free(folder);
	untar_init(&c->untar, CONTEXT_MEMBERS_MAX);
	return c;
}

void
context_free(struct context **context)
{
	struct context *c = *context;

	*context = NULL;
	if (c == NULL)
		return;
	untar_fini(&c->untar);
	free(c->prefix);
	free(c->dockerfile);
	free(c->told);
	free(c);
}

const char *
context_dockerfile(const struct context *context)
{
	return context->told;
}

/* The name that a member gets, into ret; false: it is left out. */
static bool
rename_member(const struct context *c, const char *name, char ret[TAR_NAME_MAX])
{
	size_t len = strlen(c->prefix);
	const char *rest = name + len;

	if (strcmp(name, c->dockerfile) == 0)
		return snprintf(ret, TAR_NAME_MAX, "%s", c->told) < TAR_NAME_MAX;
	if (strncmp(name, c->prefix, len) != 0 ||
	    (strcmp(rest, IGNORE_FILE) != 0 && dockerignore_excludes(c->conf.ignore, rest)))
		return false;
	return snprintf(ret, TAR_NAME_MAX, "%s", rest) < TAR_NAME_MAX;
}

static bool
is_dockerfile(const struct context *c, const struct tar_entry *entry)
{
	return strcmp(entry->name, c->dockerfile) == 0;
}

static bool
take_entry(struct context *c, const struct tar_entry *entry, struct buf *out, struct err *err)
{
	struct tar_entry renamed = *entry;

	c->left = 0;
	if (entry->kind == TAR_OTHER || !rename_member(c, entry->name, c->name))
		return true;
	if (is_dockerfile(c, entry) && entry->kind != TAR_FILE)
		return err_set(err, ERR_INPUT, 0, "%s is no file", c->conf.dockerfile);
	c->has_dockerfile = c->has_dockerfile || is_dockerfile(c, entry);
	if (entry->kind == TAR_HARDLINK) {
		if (!rename_member(c, entry->link, c->link))
			return err_set(err, ERR_INPUT, 0, "%.100s is a link to %.100s, which is left out", entry->name,
			    entry->link);
		renamed.link = c->link;
	}
	renamed.name = c->name;
	renamed.uid = renamed.gid = 0; /* as the engine's own client sends them */
	if (entry->kind == TAR_FILE)
		c->size = c->left = entry->size;
	tar_add_entry(out, &renamed);
	return true;
}

/* Of a member that is left out nothing is wanted: left is 0. */
static void
take_piece(struct context *c, struct str piece, struct buf *out)
{
	if (c->left == 0)
		return;
	buf_addstr(out, piece);
	c->left -= piece.len;
	if (c->left == 0)
		tar_add_padding(out, c->size);
}

bool
context_feed(struct context *context, struct str in, struct buf *out, struct err *err)
{
	enum untar_next next;
	struct tar_entry entry;
	struct str piece;

	while ((next = untar_next(&context->untar, &in, &entry, &piece)) == UNTAR_ENTRY || next == UNTAR_PIECE) {
		if (next == UNTAR_PIECE)
			take_piece(context, piece, out);
		else if (!take_entry(context, &entry, out, err))
			return false;
	}
	if (next == UNTAR_BAD)
		*err = context->untar.err;
	else if (buf_failed(out))
		return err_set(err, ERR_LIMIT, 0, "the names of the context's files are too long");
	return next != UNTAR_BAD;
}

uint64_t
context_skip(struct context *context)
{
	return context->left == 0 ? untar_skip(&context->untar) : 0;
}

bool
context_finish(const struct context *context, struct err *err)
{
	if (!untar_at_boundary(&context->untar))
		return err_set(err, ERR_PROTO, 0, "the archive was cut off");
	if (!context->has_dockerfile)
		return err_set(err, ERR_INPUT, 0, "there is no %s in this commit", context->conf.dockerfile);
	return true;
}
