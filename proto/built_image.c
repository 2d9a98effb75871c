#include "proto/built_image.h"

#include <stdlib.h>
#include <string.h>

#include "proto/image.h"
#include "proto/mem.h"

/* docker.io/library/app:1.2 without its tag. */
static struct str
repository_of(const char *name)
{
	const char *colon = strrchr(name, ':'), *slash = strrchr(name, '/');

	if (colon == NULL || (slash != NULL && colon < slash))
		return str_of(name);
	return (struct str){ name, (size_t)(colon - name) };
}

void
built_image_add(struct buf *out, const char *name, const char *digest, const char *id)
{
	struct str repository = repository_of(name);
	char *line = digest[0] != '\0' ? xasprintf("%s %.*s@%s\n", name, (int)repository.len, repository.p, digest)
				       : xasprintf("%s %s\n", name, id);

	if (strlen(line) <= out->max - out->len)
		buf_adds(out, line);
	free(line);
}

bool
built_image_next(struct str *lines, struct built_image *ret)
{
	struct str line = { NULL, 0 };

	while (line.len == 0 && lines->len > 0)
		line = str_cut(lines, '\n');
	ret->name = str_cut(&line, ' ');
	ret->reference = line;
	return line.len > 0;
}

bool
built_image_find(const char *lines, const char *name, struct built_image *ret)
{
	struct str rest = str_of(lines);
	struct image_ref ref;
	char *whole = NULL;
	bool is_found = false;

	if (name != NULL && image_parse(str_of(name), &ref, NULL))
		whole = image_print(&ref);
	while (!is_found && built_image_next(&rest, ret))
		is_found = name == NULL || (whole != NULL && str_is(ret->name, whole));
	free(whole);
	if (!is_found)
		*ret = (struct built_image){ .name = { NULL, 0 } };
	return is_found;
}

struct str
built_image_digest(const struct built_image *image)
{
	const char *at = memchr(image->reference.p, '@', image->reference.len);
	size_t before = at != NULL ? (size_t)(at + 1 - image->reference.p) : 0;

	return (struct str){ image->reference.p + before, image->reference.len - before };
}
