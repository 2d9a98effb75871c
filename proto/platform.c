#include "proto/platform.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/image.h"
#include "proto/mem.h"
#include "proto/nearest.h"

#define OS "linux"

/* Architectures with the variants that are told apart; the first is meant where none is named. */
static const struct {
	const char *architecture;
	const char *variants[4];
} known[] = {
	{ "amd64", { "" } },
	{ "386", { "" } },
	{ "arm64", { "" } },
	{ "arm", { "v7", "v6", "v5" } },
	{ "ppc64le", { "" } },
	{ "s390x", { "" } },
	{ "riscv64", { "" } },
	{ "loong64", { "" } },
	{ "mips64le", { "" } },
};

#define KNOWN_COUNT (sizeof(known) / sizeof(known[0]))

/* A baseline that goes by two names. */
static const char *
variant_of(const char *architecture, const char *variant)
{
	if (strcmp(architecture, "arm64") == 0 && strcmp(variant, "v8") == 0)
		return "";
	return strcmp(architecture, "amd64") == 0 && strcmp(variant, "v1") == 0 ? "" : variant;
}

static const char *
find_variant(size_t architecture, const char *variant)
{
	const char *const *variants = known[architecture].variants;

	if (variant[0] == '\0')
		return variants[0];
	for (size_t i = 0; i < 4 && variants[i] != NULL; i++)
		if (strcmp(variants[i], variant) == 0)
			return variants[i];
	return NULL;
}

static void
fill(struct platform *ret, const char *architecture, const char *variant)
{
	*ret = (struct platform){ .os = OS };
	snprintf(ret->architecture, sizeof(ret->architecture), "%s", architecture);
	snprintf(ret->variant, sizeof(ret->variant), "%s", variant);
	snprintf(ret->text, sizeof(ret->text), OS "/%s%s%s", architecture, variant[0] != '\0' ? "/" : "", variant);
}

bool
platform_of(const char *os, const char *architecture, const char *variant, struct platform *ret)
{
	if (strcmp(os, OS) != 0)
		return false;
	for (size_t i = 0; i < KNOWN_COUNT; i++) {
		const char *found;

		if (strcmp(known[i].architecture, architecture) != 0)
			continue;
		found = find_variant(i, variant_of(architecture, variant));
		if (found != NULL)
			fill(ret, architecture, found);
		return found != NULL;
	}
	return false;
}

/* What the kernel calls them. */
static const char *
other_name(const char *architecture)
{
	static const char *const names[][2] = { { "x86_64", "amd64" }, { "aarch64", "arm64" }, { "i386", "386" },
		{ "i686", "386" }, { "x86", "386" }, { "armhf", "arm/v7" }, { "armv7l", "arm/v7" },
		{ "armv6l", "arm/v6" } };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i][0], architecture) == 0)
			return names[i][1];
	return NULL;
}

static bool
unknown(const char *text, const char *architecture, struct err *err)
{
	struct nearest near = nearest_to(text);
	const char *other = other_name(architecture);
	char hint[100], whole[KNOWN_COUNT][PLATFORM_SIZE];

	if (other != NULL)
		return err_set(err, ERR_INPUT, 0, "\"%.40s\" is no platform; write " OS "/%s", text, other);
	for (size_t i = 0; i < KNOWN_COUNT; i++) {
		snprintf(whole[i], sizeof(whole[i]), OS "/%s", known[i].architecture);
		nearest_offer(&near, whole[i]);
	}
	nearest_hint(&near, hint);
	return err_set(err, ERR_INPUT, 0, "\"%.40s\" is no platform%s", text,
	    hint[0] != '\0' ? hint : ", such as " OS "/amd64, " OS "/arm64 or " OS "/arm/v7");
}

bool
platform_parse(struct str text, struct platform *ret, struct err *err)
{
	struct str rest = text, os = str_cut(&rest, '/'), architecture = str_cut(&rest, '/');
	char *whole = str_dup(text), *words[3] = { str_dup(os), str_dup(architecture), str_dup(rest) };
	bool ok = platform_of(words[0], words[1], words[2], ret) ||
		  unknown(whole, words[1][0] != '\0' ? words[1] : words[0], err);

	for (size_t i = 0; i < 3; i++)
		free(words[i]);
	free(whole);
	return ok;
}

char *
platform_tag(const char *name, const struct platform *platform)
{
	struct image_ref ref, tagged;
	char *whole, *tag;

	if (!image_parse(str_of(name), &ref, NULL) || ref.digest[0] != '\0')
		return NULL;
	whole = image_print(&ref);
	tag = xasprintf("%s-%s", whole, platform->text);
	for (char *s = tag + strlen(whole); *s != '\0'; s++)
		if (*s == '/')
			*s = '-';
	free(whole);
	if (image_parse(str_of(tag), &tagged, NULL))
		return tag;
	free(tag);
	return NULL;
}
