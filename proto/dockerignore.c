#include "proto/dockerignore.h"

#include <stdlib.h>
#include <string.h>

#include "proto/glob.h"
#include "proto/mem.h"
#include "proto/tar.h"

struct pattern {
	char *glob;
	bool takes_in; /* ! stood before it */
};

struct dockerignore {
	struct pattern *patterns;
	size_t count;
};

void
dockerignore_free(struct dockerignore **ignore)
{
	struct dockerignore *d = *ignore;

	*ignore = NULL;
	if (d == NULL)
		return;
	for (size_t i = 0; i < d->count; i++)
		free(d->patterns[i].glob);
	free(d->patterns);
	free(d);
}

/* As Go's filepath.Clean has it, as far as people write such things: "/a", "./a" and "a/" are a. */
static struct str
clean(struct str s)
{
	while (str_has_prefix(s, "./") || str_has_prefix(s, "/")) {
		size_t len = s.p[0] == '.' ? 2 : 1;

		s = (struct str){ s.p + len, s.len - len };
	}
	while (s.len > 1 && s.p[s.len - 1] == '/')
		s.len--;
	return s;
}

static bool
add(struct dockerignore *d, struct str line, const char *file, unsigned number, struct err *err)
{
	bool takes_in = str_has_prefix(line, "!");
	struct str glob = clean(str_trim(takes_in ? (struct str){ line.p + 1, line.len - 1 } : line));
	struct pattern *pattern;

	if (glob.len == 0 || str_is(glob, "."))
		return true;
	if (d->count == DOCKERIGNORE_MAX_PATTERNS)
		return err_set(
		    err, ERR_LIMIT, 0, "%s:%u: more than %d patterns", file, number, DOCKERIGNORE_MAX_PATTERNS);
	d->patterns = xrealloc(d->patterns, (d->count + 1) * sizeof(*d->patterns));
	pattern = &d->patterns[d->count++];
	*pattern = (struct pattern){ .glob = str_dup(glob), .takes_in = takes_in };
	if (!glob_check(pattern->glob, err)) {
		*err = err_prefix(*err, "%s:%u", file, number);
		return false;
	}
	return true;
}

bool
dockerignore_parse(struct str text, const char *file, struct dockerignore **ret, struct err *err)
{
	struct dockerignore *d;
	unsigned number = 0;

	if (text.len > DOCKERIGNORE_MAX_BYTES)
		return err_set(err, ERR_LIMIT, 0, "%s: larger than %d bytes", file, DOCKERIGNORE_MAX_BYTES);
	d = xcalloc(1, sizeof(*d));
	while (text.len > 0) {
		struct str line = str_cut(&text, '\n');

		number++;
		if (line.len > 0 && line.p[line.len - 1] == '\r')
			line.len--;
		line = str_trim(line);
		if (!str_has_prefix(line, "#") && !add(d, line, file, number, err)) {
			dockerignore_free(&d);
			return false;
		}
	}
	*ret = d;
	return true;
}

static bool
fits(const struct pattern *pattern, const char *path)
{
	char above[TAR_NAME_MAX];
	char *slash;

	if (glob_match_path(pattern->glob, path))
		return true;
	if (strlen(path) >= sizeof(above))
		return false;
	for (strcpy(above, path); (slash = strrchr(above, '/')) != NULL;) {
		*slash = '\0';
		if (glob_match_path(pattern->glob, above))
			return true;
	}
	return false;
}

/* From the last pattern on, since that decides. */
bool
dockerignore_excludes(const struct dockerignore *ignore, const char *path)
{
	for (size_t i = ignore->count; i > 0; i--)
		if (fits(&ignore->patterns[i - 1], path))
			return !ignore->patterns[i - 1].takes_in;
	return false;
}
