/* Signatures. The digits or base64 that came are decoded first, so that what is compared in constant time is always 32
 * bytes against 32 bytes. */
#include <string.h>

#include "proto/base64.h"
#include "proto/buf.h"
#include "proto/crypto.h"
#include "proto/hex.h"
#include "proto/hook_forge.h"

#define STANDARD_PREFIX "whsec_"
#define STANDARD_TOLERANCE_S 300
#define STANDARD_KEY_MAX 256
#define STANDARD_SIGNATURES_MAX 8 /* a sender that changes its secret signs with both */

bool
hook_header(const struct hook_headers *headers, const char *name, struct str *ret, struct err *err)
{
	unsigned count;

	*ret = headers->get(headers->arg, name, &count);
	if (count == 1 && ret->len > 0)
		return true;
	if (count > 1)
		return err_set(err, ERR_AUTH, 0, "the header %s is there %u times", name, count);
	return err_set(err, ERR_AUTH, 0, "the header %s is missing: set the secret at the forge, too", name);
}

static bool
refuse(struct err *err, const char *header)
{
	return err_set(err, ERR_AUTH, 0, "%s does not fit: the secret is another one, or the body was altered", header);
}

static bool
is_same_digest(const unsigned char *a, const unsigned char *b)
{
	return crypto_equal((struct str){ (const char *)a, SHA256_SIZE }, (struct str){ (const char *)b, SHA256_SIZE });
}

bool
hook_verify_hmac(const struct hook_forge *forge, const struct hook_request *request, struct str secret, struct err *err)
{
	unsigned char sent[SHA256_SIZE], right[SHA256_SIZE];
	const char *header = forge->signature_header;
	size_t prefix = strlen(forge->signature_prefix);
	struct str value;

	if (!hook_header(&request->headers, header, &value, err))
		return false;
	if (!str_has_prefix(value, forge->signature_prefix) ||
	    !hex_decode((struct str){ value.p + prefix, value.len - prefix }, sent, sizeof(sent)))
		return err_set(
		    err, ERR_AUTH, 0, "%s is not %s and 64 lower-case digits", header, forge->signature_prefix);
	hmac_sha256(secret, &request->body, 1, right);
	return is_same_digest(sent, right) || refuse(err, header);
}

bool
hook_verify_token(
    const struct hook_forge *forge, const struct hook_request *request, struct str secret, struct err *err)
{
	unsigned char sent[SHA256_SIZE], right[SHA256_SIZE];
	struct str value;

	if (str_has_prefix(secret, STANDARD_PREFIX))
		return hook_verify_standard(forge, request, secret, err);
	if (!hook_header(&request->headers, forge->signature_header, &value, err))
		return false;
	/* digests, so that not even the secret's length shows in the time */
	sha256(value, sent);
	sha256(secret, right);
	return is_same_digest(sent, right) || refuse(err, forge->signature_header);
}

static bool
check_timestamp(struct str value, int64_t now_s, struct err *err)
{
	uint64_t then;
	int64_t late;

	if (!str_to_u64(value, INT64_MAX, &then))
		return err_set(err, ERR_AUTH, 0, "webhook-timestamp is not a number of seconds");
	late = now_s - (int64_t)then;
	if (late > STANDARD_TOLERANCE_S || late < -STANDARD_TOLERANCE_S)
		return err_set(err, ERR_AUTH, 0,
		    "webhook-timestamp is more than %d s from this server's clock: a replay, or "
		    "one of the clocks is wrong",
		    STANDARD_TOLERANCE_S);
	return true;
}

/* Whether one of the blank-separated "v1,BASE64" is right. */
static bool
is_listed(struct str list, const unsigned char *right)
{
	bool found = false;
	struct buf sent;

	buf_init(&sent, SHA256_SIZE);
	for (int i = 0; i < STANDARD_SIGNATURES_MAX && list.len > 0; i++) {
		struct str one = str_cut(&list, ' '), version = str_cut(&one, ',');

		buf_reset(&sent);
		if (str_is(version, "v1") && base64_decode(one, BASE64_STANDARD, &sent) && sent.len == SHA256_SIZE)
			found |= is_same_digest((const unsigned char *)sent.data, right);
	}
	buf_fini(&sent);
	return found;
}

static bool
read_key(struct str secret, struct buf *key, struct err *err)
{
	if (!str_has_prefix(secret, STANDARD_PREFIX))
		return buf_addstr(key, secret) ||
		       err_set(err, ERR_AUTH, 0, "the repository's webhook secret is too long");
	secret.p += strlen(STANDARD_PREFIX);
	secret.len -= strlen(STANDARD_PREFIX);
	if (!base64_decode(secret, BASE64_STANDARD, key) || key->len == 0)
		return err_set(
		    err, ERR_AUTH, 0, "the repository's webhook secret is not " STANDARD_PREFIX " and base64");
	return true;
}

bool
hook_verify_standard(
    const struct hook_forge *forge, const struct hook_request *request, struct str secret, struct err *err)
{
	unsigned char right[SHA256_SIZE];
	struct str id, timestamp, list;
	struct buf key;
	bool ok;

	(void)forge;
	if (!hook_header(&request->headers, "webhook-id", &id, err) ||
	    !hook_header(&request->headers, "webhook-timestamp", &timestamp, err) ||
	    !hook_header(&request->headers, "webhook-signature", &list, err) ||
	    !check_timestamp(timestamp, request->now_s, err))
		return false;
	buf_init(&key, STANDARD_KEY_MAX);
	ok = read_key(secret, &key, err);
	if (ok) {
		const struct str parts[] = { id, STR("."), timestamp, STR("."), request->body };

		hmac_sha256(buf_str(&key), parts, sizeof(parts) / sizeof(parts[0]), right);
		ok = is_listed(list, right) || refuse(err, "webhook-signature");
	}
	buf_fini(&key);
	return ok;
}
