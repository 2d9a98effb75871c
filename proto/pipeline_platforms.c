/* platforms: of an image that is built: a job for each, which finds an engine of that platform by its label, and behind
 * them one that pushes the list of what these have built. */
#include <stdlib.h>
#include <string.h>

#include "proto/image.h"
#include "proto/mem.h"
#include "proto/pipeline_private.h"
#include "proto/platform.h"

static bool
add_platform(struct pipeline *p, const struct yml_node *value, const char *text, struct strings *platforms)
{
	struct platform platform;
	struct err err;

	if (!platform_parse(str_of(text), &platform, &err))
		return yml_err(p->doc, value, p->err, "platforms: %s", err.text);
	if (strings_have(platforms, platform.text))
		return yml_err(p->doc, value, p->err, "platforms: %s stands there twice", platform.text);
	if (platforms->count == PLATFORMS_MAX)
		return yml_err(p->doc, value, p->err, "platforms has more than %d items", PLATFORMS_MAX);
	strings_add(platforms, str_of(platform.text));
	return true;
}

bool
pipeline_read_platforms(struct pipeline *p, const char *name, const struct yml_node *value, void *at)
{
	struct strings texts = { 0 };
	bool ok = pipeline_read_texts(p, name, value, &texts);

	for (size_t i = 0; ok && i < texts.count; i++)
		ok = add_platform(p, value, texts.items[i], at);
	strings_fini(&texts);
	return ok;
}

/* --- the job of one platform --- */

/* A name that lacks its value yet is of a job that is left out, or is only looked at. */
static char *
tag_of(struct pipeline *p, const char *tag, const struct platform *platform)
{
	char *own = platform_tag(tag, platform);

	return own == NULL && (p->missing != NULL || strstr(tag, "${") != NULL) ? xstrdup(tag) : own;
}

/* In each repository one, beside the list's. */
static bool
set_tags(struct pipeline *p, const struct yml_node *at, struct build_spec *build, const struct platform *platform)
{
	struct strings own = { 0 };
	bool ok = true;

	for (size_t i = 0; ok && i < build->tags.count; i++) {
		const char *tag = build->tags.items[i];
		char *beside = image_first_beside(&build->tags, tag) == i ? tag_of(p, tag, platform) : xstrdup("");

		ok = beside != NULL ||
		     yml_err(p->doc, at, p->err,
			 "tags: behind \"%.80s\" there is no room for -%s, which its image of that platform is called",
			 tag, platform->text);
		if (ok && beside[0] != '\0')
			strings_add(&own, str_of(beside));
		free(beside);
	}
	strings_fini(&build->tags);
	build->tags = own;
	return ok;
}

static void
add_label(struct job_spec *job, const char *platform)
{
	char *label = xasprintf(PLATFORM_LABEL "%s", platform);

	strings_add(&job->labels, str_of(label));
	free(label);
}

/* "image (go=1.22)" becomes "image (go=1.22, platform=linux/arm64)". */
static void
add_to_name(struct job_spec *job, bool has_matrix, const char *platform)
{
	size_t len = strlen(job->name) - (has_matrix ? 1 : 0);
	char *name = xasprintf("%.*s%splatform=%s)", (int)len, job->name, has_matrix ? ", " : " (", platform);

	free(job->name);
	job->name = name;
}

static bool
become_part(struct pipeline *p, const struct yml_node *at, struct job_spec *job, size_t index)
{
	struct build_spec *build = job->build;
	struct platform platform = { .os = "" };
	bool is_alone = build->platforms.count == 1;

	platform_parse(str_of(build->platforms.items[index]), &platform, NULL); /* it was read as one */
	strings_fini(&build->platforms);
	build->platform = xstrdup(platform.text);
	add_label(job, platform.text);
	if (is_alone)
		return true;
	build->existing = BUILD_REPLACE; /* what it says is of the list's names */
	add_to_name(job, p->suffix[0] != '\0', platform.text);
	return set_tags(p, at, build, &platform);
}

bool
pipeline_expand_platforms(struct pipeline *p, const struct yml_node *at, pipeline_again_fn *again)
{
	size_t first = p->plan->job_count - 1, count = p->plan->jobs[first].build->platforms.count;

	for (size_t i = 0; i < count; i++) {
		if (count > 1 && !again(p))
			return false;
		if (!become_part(p, at, &p->plan->jobs[first + i], i))
			return false;
	}
	if (count > 1) /* any engine will do */
		strings_fini(&p->plan->jobs[first + count].labels);
	return true;
}

size_t
pipeline_parts_of(const struct job_spec *job)
{
	return job->build != NULL ? job->build->platforms.count : 0;
}

bool
pipeline_is_part(const struct job_spec *jobs, size_t index, size_t end)
{
	for (size_t i = index + 1; i < end; i++)
		if (pipeline_parts_of(&jobs[i]) > 0)
			return i - index <= pipeline_parts_of(&jobs[i]);
	return false;
}
