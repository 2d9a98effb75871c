/* Images that are built: build: of a job, image and lite_image of version 2, the keys of image_build and
 * lite_image_build in the form with stages. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/image.h"
#include "proto/image_tag.h"
#include "proto/mem.h"
#include "proto/pipeline_private.h"
#include "proto/plan_names.h"

static bool
read_args(struct pipeline *p, const char *name, const struct yml_node *value, void *at)
{
	(void)name;
	return pipeline_read_env(p, value, PIPELINE_ENV_BUILD, at);
}

bool
pipeline_read_pairs(struct pipeline *p, const char *name, const struct yml_node *value, void *at)
{
	for (size_t i = 0; yml_type(value) == YML_MAPPING && i < yml_count(value); i++) {
		const char *text;
		char *label;

		if (yml_type(yml_at(value, i)) != YML_SCALAR)
			return pipeline_wants(p, yml_at(value, i), name, "NAME: VALUE");
		if (!pipeline_text(p, yml_at(value, i), TEXT_VALUE, &text))
			return false;
		label = xasprintf("%s=%s", yml_text(yml_key_at(value, i)), text);
		strings_add(at, str_of(label));
		free(label);
	}
	return yml_type(value) == YML_MAPPING || pipeline_read_texts(p, name, value, at);
}

static bool
add_tag(struct pipeline *p, const char *name, const struct yml_node *value, struct strings *tags)
{
	char *tag = NULL;

	if (tags->count == PIPELINE_LIST_MAX)
		return yml_err(p->doc, value, p->err, "%s has more than %d items", name, PIPELINE_LIST_MAX);
	if (!pipeline_read_image_name(p, name, value, &tag))
		return false;
	strings_add(tags, str_of(tag));
	free(tag);
	return true;
}

/* --- tags that follow from what is built: {image: NAME, as: [version, minor, latest]} --- */

struct tag_forms {
	char *image;
	struct strings as;
};

static const struct pipeline_field tag_fields[] = {
	{ "image", pipeline_read_image_name, offsetof(struct tag_forms, image) },
	{ "as", pipeline_read_texts, offsetof(struct tag_forms, as) },
};

static bool
unknown_form(struct pipeline *p, const struct yml_node *value, const char *form)
{
	struct nearest near = nearest_to(form);
	char hint[100];

	for (size_t i = 0; image_tag_form(i) != NULL; i++)
		nearest_offer(&near, image_tag_form(i));
	return yml_err(
	    p->doc, value, p->err, "as: there is no form of a tag \"%.60s\"%s", form, nearest_hint(&near, hint));
}

static bool
add_form(struct pipeline *p, const struct yml_node *value, const char *image, const char *form, struct strings *tags)
{
	const struct pipeline_context *c = p->context;
	char number[24], tag[IMAGE_TAG_SIZE], *whole;
	struct image_tag_facts facts = { .branch = c->pull_number == 0 ? c->branch : NULL,
		.tag = c->tag,
		.commit = c->commit,
		.pull = c->pull_number != 0 ? number : NULL,
		.first = c->first };

	snprintf(number, sizeof(number), "%lld", (long long)c->pull_number);
	if (!image_tag_make(form, &facts, tag))
		return unknown_form(p, value, form);
	if (tag[0] == '\0')
		return true;
	p->plan->names_first = p->plan->names_first || strcmp(form, IMAGE_TAG_FIRST) == 0;
	whole = xasprintf("%s:%s", image, tag);
	strings_add(tags, str_of(whole));
	free(whole);
	return true;
}

static bool
has_tag_or_digest(const char *image)
{
	const char *slash = strrchr(image, '/');

	return strpbrk(slash != NULL ? slash : image, ":@") != NULL;
}

static bool
add_forms(struct pipeline *p, const struct yml_node *value, const struct tag_forms *forms, struct strings *tags)
{
	if (forms->image == NULL || forms->as.count == 0)
		return pipeline_wants(p, value, "tags", "image: NAME and as: [FORM, ...] in a mapping");
	if (has_tag_or_digest(forms->image))
		return yml_err(
		    p->doc, value, p->err, "tags: image: \"%.60s\" has a tag; as: says which it gets", forms->image);
	for (size_t i = 0; i < forms->as.count; i++)
		if (!add_form(p, value, forms->image, forms->as.items[i], tags))
			return false;
	return true;
}

static bool
read_forms(struct pipeline *p, const struct yml_node *value, struct strings *tags)
{
	struct tag_forms forms = { .image = NULL };
	bool ok = PIPELINE_READ_FIELDS(p, value, "tags", tag_fields, &forms) && add_forms(p, value, &forms, tags);

	free(forms.image);
	strings_fini(&forms.as);
	return ok;
}

static bool
read_tag(struct pipeline *p, const char *name, const struct yml_node *value, struct strings *tags)
{
	return yml_type(value) == YML_MAPPING ? read_forms(p, value, tags) : add_tag(p, name, value, tags);
}

/* One, or a list of them. */
static bool
read_each(struct pipeline *p, const char *name, const struct yml_node *value, struct strings *to,
    bool (*read)(struct pipeline *p, const char *name, const struct yml_node *value, struct strings *to))
{
	if (yml_type(value) != YML_SEQUENCE)
		return read(p, name, value, to);
	for (size_t i = 0; i < yml_count(value); i++)
		if (!read(p, name, yml_at(value, i), to))
			return false;
	return true;
}

static bool
read_tags(struct pipeline *p, const char *name, const struct yml_node *value, void *at)
{
	return read_each(p, name, value, at, read_tag);
}

static bool
read_images(struct pipeline *p, const char *name, const struct yml_node *value, void *at)
{
	return read_each(p, name, value, at, add_tag);
}

static bool
read_existing(struct pipeline *p, const char *name, const struct yml_node *value, void *at)
{
	enum build_existing *ret = at;

	for (unsigned i = 0; i < 3; i++)
		if (yml_type(value) == YML_SCALAR && strcmp(yml_text(value), plan_existing_names[i]) == 0) {
			*ret = (enum build_existing)i;
			return true;
		}
	return pipeline_wants(p, value, name, "replace, keep or fail");
}

/* cache: false is no_cache. */
static bool
read_cache(struct pipeline *p, const char *name, const struct yml_node *value, void *at)
{
	bool *no_cache = at, cache;

	if (yml_type(value) == YML_NULL)
		return true;
	if (!pipeline_read_bool(p, name, value, &cache))
		return false;
	*no_cache = !cache;
	return true;
}

/* null is what is not written. */
static bool
read_path(struct pipeline *p, const char *name, const struct yml_node *value, void *at)
{
	return yml_type(value) == YML_NULL || pipeline_read_path(p, name, value, at);
}

static const struct pipeline_field build_fields[] = {
	{ "dockerfile", read_path, offsetof(struct build_spec, dockerfile) },
	{ "context", read_path, offsetof(struct build_spec, context) },
	{ "args", read_args, offsetof(struct build_spec, args) },
	{ "target", pipeline_read_text, offsetof(struct build_spec, target) },
	{ "tags", read_tags, offsetof(struct build_spec, tags) },
	{ "labels", pipeline_read_pairs, offsetof(struct build_spec, labels) },
	{ "push", pipeline_read_bool, offsetof(struct build_spec, push) },
	{ "existing", read_existing, offsetof(struct build_spec, existing) },
	{ "cache_from", read_images, offsetof(struct build_spec, cache_from) },
	{ "platforms", pipeline_read_platforms, offsetof(struct build_spec, platforms) },
	{ "cache", read_cache, offsetof(struct build_spec, no_cache) },
};

static const struct pipeline_field old_fields[] = {
	{ "dockerfile_path", read_path, offsetof(struct build_spec, dockerfile) },
	{ "build_dir", read_path, offsetof(struct build_spec, context) },
	{ "args", read_args, offsetof(struct build_spec, args) },
	{ "build_args", read_args, offsetof(struct build_spec, args) },
	{ "cache", read_cache, offsetof(struct build_spec, no_cache) },
};

/* None of its tags has a form that fits what is built. */
static void
leave_out(const struct pipeline *p, struct job_spec *job)
{
	if (p->context->event != NULL && job->skipped == NULL)
		job->skipped = xasprintf("the event %.20s has none of the tags of its image", p->context->event);
}

/* build: DIR, or a mapping. */
bool
pipeline_job_build(struct pipeline *p, const char *name, const struct yml_node *value, struct job_spec *job)
{
	struct build_spec *build = job->build;

	if (yml_type(value) == YML_NULL)
		return true;
	if (yml_type(value) == YML_SCALAR)
		return pipeline_read_path(p, name, value, &build->context);
	if (yml_type(value) != YML_MAPPING)
		return pipeline_wants(p, value, name, "a folder, or a mapping with dockerfile:, context: and tags:");
	if (!PIPELINE_READ_FIELDS(p, value, name, build_fields, build))
		return false;
	if (build->tags.count == 0 && pipeline_find_key(value, "tags") != NULL) {
		leave_out(p, job);
		return true;
	}
	if (build->push && build->tags.count == 0)
		return yml_err(
		    p->doc, value, p->err, "push: true needs tags:, the full names under which the image is pushed");
	if (build->platforms.count > 1 && !build->push)
		return yml_err(p->doc, value, p->err,
		    "several platforms need push: true and tags:, since only a registry can have the list of them");
	return true;
}

/* --- the old keys --- */

bool
pipeline_job_dockerfile(struct pipeline *p, const char *name, const struct yml_node *value, struct job_spec *job)
{
	return read_path(p, name, value, &job->build->dockerfile);
}

bool
pipeline_job_build_dir(struct pipeline *p, const char *name, const struct yml_node *value, struct job_spec *job)
{
	return read_path(p, name, value, &job->build->context);
}

bool
pipeline_job_build_args(struct pipeline *p, const char *name, const struct yml_node *value, struct job_spec *job)
{
	return read_args(p, name, value, &job->build->args);
}

static bool
read_half(struct pipeline *p, const char *name, const struct yml_node *value, struct build_spec *build)
{
	if (yml_type(value) != YML_MAPPING && yml_type(value) != YML_NULL)
		return pipeline_wants(p, value, name, "a mapping with dockerfile_path: and build_dir:");
	return PIPELINE_READ_FIELDS(p, value, name, old_fields, build);
}

bool
pipeline_job_compile(struct pipeline *p, const char *name, const struct yml_node *value, struct job_spec *job)
{
	job->build->compile = xcalloc(1, sizeof(*job->build->compile));
	return read_half(p, name, value, job->build->compile);
}

bool
pipeline_job_package(struct pipeline *p, const char *name, const struct yml_node *value, struct job_spec *job)
{
	return read_half(p, name, value, job->build);
}

/* Files and folders of the compiled image, by their full paths. */
bool
pipeline_job_extract(struct pipeline *p, const char *name, const struct yml_node *value, struct job_spec *job)
{
	struct strings *extract = &job->build->extract;

	if (!pipeline_read_texts(p, name, value, extract))
		return false;
	for (size_t i = 0; i < extract->count; i++) {
		struct str rest = str_of(extract->items[i]);

		if (rest.p[0] != '/')
			return yml_err(p->doc, value, p->err,
			    "extract: \"%.60s\" must be absolute, as it lies in the compiled image", rest.p);
		while (rest.len > 0)
			if (str_is(str_cut(&rest, '/'), ".."))
				return yml_err(
				    p->doc, value, p->err, "extract: \"%.60s\" has .. in it", extract->items[i]);
	}
	return true;
}

/* --- version 2 --- */

static bool
read_lite_image(struct pipeline *p, const struct yml_node *node, struct job_spec *job)
{
	static const struct {
		const char *name;
		pipeline_job_fn *read;
	} parts[] = {
		{ "compile", pipeline_job_compile },
		{ "extract", pipeline_job_extract },
		{ "package", pipeline_job_package },
	};

	if (yml_type(node) != YML_MAPPING)
		return pipeline_wants(p, node, "lite_image", "a mapping with compile:, extract: and package:");
	for (size_t i = 0; i < yml_count(node); i++) {
		const struct yml_node *key = yml_key_at(node, i);
		struct nearest near = nearest_to(yml_text(key));
		size_t part = 0;

		while (part < 3 && strcmp(yml_text(key), parts[part].name) != 0)
			part++;
		if (part == 3) {
			for (part = 0; part < 3; part++)
				nearest_offer(&near, parts[part].name);
			return pipeline_unknown(p, key, "lite_image", &near);
		}
		if (!parts[part].read(p, parts[part].name, yml_at(node, i), job))
			return false;
	}
	return true;
}

/* build: {image: ...}, {lite_image: ...}, or the keys of an image alone. */
bool
pipeline_read_old_build(struct pipeline *p, const struct yml_node *node, struct job_spec *job)
{
	const struct yml_node *image = pipeline_find_key(node, "image"), *lite = pipeline_find_key(node, "lite_image");

	if (yml_type(node) != YML_MAPPING && yml_type(node) != YML_NULL)
		return pipeline_wants(p, node, "build", "a mapping with image: or lite_image:");
	if (image == NULL && lite == NULL)
		return PIPELINE_READ_FIELDS(p, node, "build", old_fields, job->build);
	for (size_t i = 0; i < yml_count(node); i++) {
		const struct yml_node *key = yml_key_at(node, i), *chosen = lite != NULL ? lite : image;

		if (key != chosen)
			return yml_err(p->doc, key, p->err,
			    "%.60s stands beside %s:; build: has one of image and lite_image", yml_text(key),
			    yml_text(chosen));
	}
	return lite != NULL ? read_lite_image(p, yml_get(node, "lite_image"), job)
			    : read_half(p, "image", yml_get(node, "image"), job->build);
}

/* --- what was not written --- */

static void
complete(struct build_spec *build, bool is_old)
{
	if (build->context == NULL)
		build->context = xstrdup("");
	if (build->dockerfile == NULL || build->dockerfile[0] == '\0') {
		free(build->dockerfile);
		build->dockerfile = is_old || build->context[0] == '\0' ? xstrdup("Dockerfile")
									: xasprintf("%s/Dockerfile", build->context);
	}
	if (build->compile != NULL)
		complete(build->compile, is_old);
}

/* REPOSITORY:BRANCH-COMMIT, as DaoCloud named images; NULL where the repository's name is none for an image. */
static char *
old_tag(const struct pipeline_context *context)
{
	const char *ref = context->tag != NULL ? context->tag : context->branch;
	struct image_ref parsed;
	char *tag;

	if (context->repo == NULL || context->commit == NULL || ref == NULL)
		return NULL;
	tag = context->tag != NULL ? xasprintf("%s:%s", context->repo, ref)
				   : xasprintf("%s:%s-%.7s", context->repo, ref, context->commit);
	for (char *s = tag; *s != ':' && *s != '\0'; s++)
		*s = (char)tolower((unsigned char)*s);
	for (char *s = strchr(tag, ':'); s != NULL && *++s != '\0';)
		if (!isalnum((unsigned char)*s) && strchr("._-", *s) == NULL)
			*s = '-';
	if (image_parse(str_of(tag), &parsed, NULL))
		return tag;
	free(tag);
	return NULL;
}

bool
pipeline_finish_build(struct pipeline *p, const struct yml_node *at, struct job_spec *job)
{
	struct build_spec *build = job->build;
	bool is_old = p->draft->form != FORM_JOBS;
	char *tag;

	complete(build, is_old);
	if (build->compile == NULL && build->extract.count > 0)
		return yml_err(
		    p->doc, at, p->err, "extract: takes files out of the image of compile:, which is missing");
	if (build->compile != NULL && build->extract.count == 0)
		pipeline_warn(p, at, "nothing is taken out of the compiled image, as there is no extract:");
	if (!is_old || (tag = old_tag(p->context)) == NULL)
		return true;
	strings_add(&build->tags, str_of(tag));
	free(tag);
	return true;
}
