#include "proto/manifest.h"

#include <stdio.h>
#include <string.h>

#include "proto/json.h"
#include "proto/registry_path.h"

const struct json_limits manifest_limits = { .bytes = MANIFEST_SIZE_MAX, .depth = 32, .values = 100000 };

static const char *
digest_of(const struct json_value *part)
{
	const char *digest = json_string(json_get(part, "digest"), NULL);
	struct str hex;

	return digest != NULL && registry_digest_read(str_of(digest), &hex) ? digest : NULL;
}

static bool
is_platform(const struct json_value *platform, const char *wanted)
{
	const char *variant = json_string(json_get(platform, "variant"), "");
	char text[128];

	snprintf(text, sizeof(text), "%s/%s", json_string(json_get(platform, "os"), ""),
	    json_string(json_get(platform, "architecture"), ""));
	if (strcmp(text, wanted) == 0)
		return true;
	snprintf(text + strlen(text), sizeof(text) - strlen(text), "/%s", variant);
	return strcmp(text, wanted) == 0;
}

bool
manifest_is_of(const struct json_value *platform, const struct platform *wanted)
{
	struct platform own;

	return platform_of(json_string(json_get(platform, "os"), ""),
		   json_string(json_get(platform, "architecture"), ""), json_string(json_get(platform, "variant"), ""),
		   &own) &&
	       strcmp(own.text, wanted->text) == 0;
}

/* Attestations have no platform that could be asked for. */
static bool
is_wanted(const struct json_value *part, const char *const *platforms, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (is_platform(json_get(part, "platform"), platforms[i]))
			return true;
	return count == 0;
}

static bool
read_index(const struct json_value *manifests, const char *const *platforms, size_t count, manifest_fn *fn, void *arg,
    struct err *err)
{
	size_t found = 0;

	for (size_t i = 0; i < json_count(manifests); i++) {
		const struct json_value *part = json_at(manifests, i);

		if (digest_of(part) == NULL || !is_wanted(part, platforms, count))
			continue;
		found++;
		fn(arg, true, digest_of(part));
	}
	return found > 0 || err_set(err, ERR_NOT_FOUND, 0, "the image is not there for that platform");
}

static void
read_blobs(const struct json_value *root, manifest_fn *fn, void *arg)
{
	const struct json_value *layers = json_get(root, "layers");

	if (digest_of(json_get(root, "config")) != NULL)
		fn(arg, false, digest_of(json_get(root, "config")));
	for (size_t i = 0; i < json_count(layers); i++)
		if (digest_of(json_at(layers, i)) != NULL && json_count(json_get(json_at(layers, i), "urls")) == 0)
			fn(arg, false, digest_of(json_at(layers, i)));
}

bool
manifest_read(struct str text, const char *const *platforms, size_t count, manifest_fn *fn, void *arg, struct err *err)
{
	const struct json_value *root, *manifests, *layers;
	struct json *doc;
	bool ok = true;

	if (!json_parse(text, &manifest_limits, &doc, err))
		return false;
	root = json_root(doc);
	manifests = json_get(root, "manifests");
	layers = json_get(root, "layers");
	if (json_count(manifests) > MANIFEST_PARTS_MAX || json_count(layers) > MANIFEST_PARTS_MAX)
		ok = err_set(err, ERR_LIMIT, 0, "the manifest has more than %d parts", MANIFEST_PARTS_MAX);
	else if (json_type(manifests) == JSON_ARRAY)
		ok = read_index(manifests, platforms, count, fn, arg, err);
	else if (json_type(layers) == JSON_ARRAY)
		read_blobs(root, fn, arg);
	else
		ok = err_set(err, ERR_PROTO, 0, "the reply is no manifest of a known form");
	json_free(&doc);
	return ok;
}
