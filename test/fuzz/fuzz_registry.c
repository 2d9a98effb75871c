/* A path, and behind the first line a reply's head, as the mirror meets them: what is read out of a registry's path
 * stands within it and makes the same path again; a challenge gives a URL without blanks; a text has the same URLs
 * replaced however it is cut; a policy's digest is 64 digits or none. A manifest that goes into an image's list is
 * found in it again. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/challenge.h"
#include "proto/clear_registries.h"
#include "proto/hex.h"
#include "proto/image_index.h"
#include "proto/package_policy.h"
#include "proto/registry_path.h"
#include "proto/substitute.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool ok)
{
	if (!ok)
		abort();
}

static bool
is_within(struct str part, struct str whole)
{
	return part.len == 0 || (part.p >= whole.p && part.p + part.len <= whole.p + whole.len);
}

static void
check_path(struct str path)
{
	struct registry_path p;

	if (!registry_path_read(path, &p) || p.kind == REGISTRY_ROOT)
		return;
	must(is_within(p.registry, path) && is_within(p.name, path) && is_within(p.reference, path) &&
	     is_within(p.query, path));
	must(p.name.len > 0 && memmem(p.name.p, p.name.len, "..", 2) == NULL && p.name.p[0] != '/');
	must(memchr(p.reference.p, '/', p.reference.len) == NULL && (!p.is_digest || p.reference.len >= 71));
}

static void
check_policy(struct str path)
{
	for (int kind = PACKAGE_GENERIC; kind <= PACKAGE_CRATES; kind++) {
		struct package_policy policy = package_policy_of((enum package_kind)kind, path);
		struct str digest = str_of(policy.digest);

		must(policy.fresh_s >= PACKAGE_BY_HTTP &&
		     (digest.len == 0 || (digest.len == 64 && hex_is_valid(digest))));
	}
}

static void
check_challenge(struct str text)
{
	struct http1_scan scan = { 0 };
	struct http1_head reply;
	struct challenge challenge;
	struct buf url;

	if (http1_parse_reply(&scan, text, NULL, &reply) != HTTP1_DONE || !challenge_read(&reply, &challenge))
		return;
	buf_init(&url, 1 << 18);
	must(challenge_print_url(&url, &challenge) && url.len >= challenge.realm.len);
	buf_fini(&url);
}

static void
replace(struct str text, size_t piece, struct buf *out)
{
	struct substitute s;

	substitute_init(&s);
	substitute_add(&s, "http://a/", "/x/a/");
	substitute_add(&s, "/v2/", "");
	while (text.len > 0) {
		struct str next = { text.p, text.len < piece ? text.len : piece };

		substitute_feed(&s, next, out);
		text = (struct str){ text.p + next.len, text.len - next.len };
	}
	substitute_end(&s, out);
	substitute_fini(&s);
}

static void
check_substitute(struct str text)
{
	struct buf whole, cut;

	buf_init(&whole, 1 << 22);
	buf_init(&cut, 1 << 22);
	replace(text, text.len + 1, &whole);
	for (size_t piece = 1; piece < 12; piece += 5) {
		buf_reset(&cut);
		replace(text, piece, &cut);
		must(str_eq(buf_str(&whole), buf_str(&cut)));
	}
	buf_fini(&whole);
	buf_fini(&cut);
}

static void
check_index(struct str manifest)
{
	struct image_index index = { .count = 0 }, again = { .count = 0 };
	struct strings none = { 0 };
	struct image_index_document document;
	struct platform arm;

	must(platform_of("linux", "arm64", "v8", &arm));
	if (!image_index_add(&index, &arm, manifest, NULL))
		return;
	image_index_print(&index, &none, &document);
	must(image_index_add(&again, &arm, (struct str){ document.text, document.len }, NULL));
	must(strcmp(again.parts[0].digest, index.parts[0].digest) == 0 && again.parts[0].size == index.parts[0].size);
	free(document.text);
}

static void
check_words(struct str text)
{
	struct clear_registries registries;
	struct platform platform, same;
	int64_t life_s;
	char *token = challenge_token(text, &life_s, NULL);

	must(token == NULL || strncmp(token, "Bearer ", 7) == 0);
	free(token);
	if (clear_registries_read(text, &registries, NULL))
		clear_registries_have(&registries, "10.1.2.3:5000");
	if (platform_parse(text, &platform, NULL))
		must(platform_parse(str_of(platform.text), &same, NULL) && strcmp(same.text, platform.text) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = { (const char *)data, size }, path;

	check_substitute(rest);
	check_index(rest);
	check_words(rest);
	path = str_cut(&rest, '\n');
	check_path(path);
	check_policy(path);
	check_challenge(rest);
	return 0;
}
