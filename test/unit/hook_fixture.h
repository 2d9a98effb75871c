/* What the tests of hooks share: requests made of a fixture and headers, and signatures made as a forge makes them. */
#ifndef DAVIT_TEST_HOOK_FIXTURE_H
#define DAVIT_TEST_HOOK_FIXTURE_H

#include "test/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "proto/buf.h"
#include "proto/crypto.h"
#include "proto/hex.h"
#include "proto/hook.h"

#define SECRET "It's a Secret to Everybody"
#define NOW_S 1770000000
#define COMMIT "1f3c9a0b7d5e2468ace013579bdf02468ace1357"
#define BEFORE "90abcdef1234567890abcdef1234567890abcdef"

struct header {
	const char *name;
	const char *value;
};

/* A list ended by a name of NULL. */
static inline struct str
headers_get(void *arg, const char *name, unsigned *count)
{
	struct str value = STR("");

	*count = 0;
	for (const struct header *h = arg; h->name != NULL; h++) {
		if (strcasecmp(h->name, name) == 0 && (*count)++ == 0)
			value = str_of(h->value);
	}
	return value;
}

static inline struct hook_request
make_request(const struct header *headers, struct str body)
{
	return (struct hook_request){
		.headers = { headers_get, (void *)(uintptr_t)headers }, .body = body, .now_s = NOW_S
	};
}

/* prefix and the digits; one result at a time. */
static inline const char *
sign(const char *prefix, const char *secret, struct str body)
{
	static char text[128];
	unsigned char mac[SHA256_SIZE];
	char digits[SHA256_HEX_SIZE];

	hmac_sha256(str_of(secret), &body, 1, mac);
	hex_encode(mac, sizeof(mac), digits);
	snprintf(text, sizeof(text), "%s%s", prefix, digits);
	return text;
}

/* test/fixtures/hook/NAME.json into out, which is initialised here. */
static inline void
read_fixture(const char *name, struct buf *out)
{
	const char *top = getenv("srcdir");
	char path[512], part[4096];
	size_t len;
	FILE *file;

	snprintf(path, sizeof(path), "%s/test/fixtures/hook/%s.json", top != NULL ? top : ".", name);
	file = fopen(path, "r");
	if (file == NULL)
		fail_msg("%s cannot be read", path);
	buf_init(out, 100 * 1000);
	while ((len = fread(part, 1, sizeof(part), file)) > 0)
		buf_add(out, part, len);
	fclose(file);
}

#endif
