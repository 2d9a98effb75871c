#include "proto/image_tag.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "proto/str.h"

enum { SHORT_COMMIT = 7 };

/* 1.2.3 and what follows. */
struct version {
	struct str parts[3];
	struct str whole;
	bool is_release; /* nothing follows */
};

static bool
is_number(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!isdigit((unsigned char)s.p[i]))
			return false;
	return s.len > 0 && (s.len == 1 || s.p[0] != '0');
}

/* "1.2.3-rc.1+exp": behind the third number a '-' or '+' and more. */
static bool
read_version(const char *tag, struct version *ret)
{
	struct str rest = str_of(tag);
	size_t digits = 0;

	if (rest.len > 0 && (rest.p[0] == 'v' || rest.p[0] == 'V'))
		rest = (struct str){ rest.p + 1, rest.len - 1 };
	ret->whole = rest;
	ret->parts[0] = str_cut(&rest, '.');
	ret->parts[1] = str_cut(&rest, '.');
	while (digits < rest.len && isdigit((unsigned char)rest.p[digits]))
		digits++;
	ret->parts[2] = (struct str){ rest.p, digits };
	ret->is_release = digits == rest.len;
	if (!ret->is_release && ((rest.p[digits] != '-' && rest.p[digits] != '+') || digits + 1 == rest.len))
		return false;
	return is_number(ret->parts[0]) && is_number(ret->parts[1]) && is_number(ret->parts[2]);
}

/* With '-' for what a tag may not have, and no '.' or '-' in front; cut to its length. */
static void
clean(struct str text, char ret[IMAGE_TAG_SIZE])
{
	size_t len = 0;

	for (size_t i = 0; i < text.len && len < IMAGE_TAG_SIZE - 1; i++) {
		char c = isalnum((unsigned char)text.p[i]) || strchr("_.-", text.p[i]) != NULL ? text.p[i] : '-';

		if (len > 0 || (c != '-' && c != '.'))
			ret[len++] = c;
	}
	ret[len] = '\0';
}

static void
make_version(const struct image_tag_facts *facts, char ret[IMAGE_TAG_SIZE])
{
	struct version v;

	if (facts->tag != NULL && read_version(facts->tag, &v))
		clean(v.whole, ret);
}

/* The first parts of a release. */
static void
make_parts(const struct image_tag_facts *facts, size_t parts, char ret[IMAGE_TAG_SIZE])
{
	struct version v;

	if (facts->tag != NULL && read_version(facts->tag, &v) && v.is_release)
		clean((struct str){ v.whole.p, (size_t)(v.parts[parts - 1].p + v.parts[parts - 1].len - v.whole.p) },
		    ret);
}

static void
make_minor(const struct image_tag_facts *facts, char ret[IMAGE_TAG_SIZE])
{
	make_parts(facts, 2, ret);
}

static void
make_major(const struct image_tag_facts *facts, char ret[IMAGE_TAG_SIZE])
{
	make_parts(facts, 1, ret);
}

static void
make_latest(const struct image_tag_facts *facts, char ret[IMAGE_TAG_SIZE])
{
	struct version v;

	if (facts->tag != NULL && read_version(facts->tag, &v) && v.is_release)
		strcpy(ret, "latest");
}

static void
make_tag(const struct image_tag_facts *facts, char ret[IMAGE_TAG_SIZE])
{
	if (facts->tag != NULL)
		clean(str_of(facts->tag), ret);
}

static void
make_branch(const struct image_tag_facts *facts, char ret[IMAGE_TAG_SIZE])
{
	if (facts->branch != NULL)
		clean(str_of(facts->branch), ret);
}

/* The end stands behind the longest branch, too. */
static void
branch_and(const char *branch, struct str end, char ret[IMAGE_TAG_SIZE])
{
	size_t len;

	clean(str_of(branch), ret);
	len = strlen(ret);
	if (len > IMAGE_TAG_SIZE - 2 - end.len)
		len = IMAGE_TAG_SIZE - 2 - end.len;
	snprintf(ret + len, IMAGE_TAG_SIZE - len, "%s%.*s", len > 0 ? "-" : "", (int)end.len, end.p);
}

static void
make_branch_sha(const struct image_tag_facts *facts, char ret[IMAGE_TAG_SIZE])
{
	if (facts->branch != NULL && facts->commit != NULL)
		branch_and(facts->branch, (struct str){ facts->commit, strnlen(facts->commit, SHORT_COMMIT) }, ret);
}

static void
make_init(const struct image_tag_facts *facts, char ret[IMAGE_TAG_SIZE])
{
	if (facts->branch != NULL && facts->first)
		branch_and(facts->branch, STR("init"), ret);
}

static void
make_sha(const struct image_tag_facts *facts, char ret[IMAGE_TAG_SIZE])
{
	if (facts->commit != NULL)
		snprintf(ret, IMAGE_TAG_SIZE, "sha-%.*s", SHORT_COMMIT, facts->commit);
}

static void
make_pull(const struct image_tag_facts *facts, char ret[IMAGE_TAG_SIZE])
{
	if (facts->pull != NULL)
		snprintf(ret, IMAGE_TAG_SIZE, "pull-%s", facts->pull);
}

static const struct {
	const char *name;
	void (*make)(const struct image_tag_facts *facts, char ret[IMAGE_TAG_SIZE]);
} forms[] = {
	{ "version", make_version },
	{ "minor", make_minor },
	{ "major", make_major },
	{ "latest", make_latest },
	{ "tag", make_tag },
	{ "branch", make_branch },
	{ "branch-sha", make_branch_sha },
	{ IMAGE_TAG_FIRST, make_init },
	{ "sha", make_sha },
	{ "pull", make_pull },
};

#define FORM_COUNT (sizeof(forms) / sizeof(forms[0]))

bool
image_tag_make(const char *form, const struct image_tag_facts *facts, char ret[IMAGE_TAG_SIZE])
{
	ret[0] = '\0';
	for (size_t i = 0; i < FORM_COUNT; i++)
		if (strcmp(form, forms[i].name) == 0) {
			forms[i].make(facts, ret);
			return true;
		}
	return false;
}

const char *
image_tag_form(size_t i)
{
	return i < FORM_COUNT ? forms[i].name : NULL;
}
