#include "proto/crypto.h"

#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include "proto/base64.h"
#include "proto/hex.h"
#include "proto/mem.h"

#define SEAL_PREFIX "v1:"
#define NONCE_SIZE 12
#define TAG_SIZE 16
#define SECRET_MAX (1024 * 1024)

static void
must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "OpenSSL cannot %s\n", what);
	abort();
}

void
sha1(struct str bytes, unsigned char ret[SHA1_SIZE])
{
	must(SHA1((const unsigned char *)bytes.p, bytes.len, ret) != NULL, "make a SHA-1 digest");
}

void
sha256(struct str bytes, unsigned char ret[SHA256_SIZE])
{
	must(SHA256((const unsigned char *)bytes.p, bytes.len, ret) != NULL, "make a SHA-256 digest");
}

void
sha256_hex(struct str bytes, char ret[SHA256_HEX_SIZE])
{
	unsigned char digest[SHA256_SIZE];

	sha256(bytes, digest);
	hex_encode(digest, sizeof(digest), ret);
}

struct digest *
digest_new(enum digest_kind kind)
{
	EVP_MD_CTX *ctx;

	if (kind == DIGEST_NONE)
		return NULL;
	ctx = EVP_MD_CTX_new();
	must(ctx != NULL && EVP_DigestInit_ex(ctx, kind == DIGEST_SHA512 ? EVP_sha512() : EVP_sha256(), NULL) == 1,
	    "begin a digest");
	return (struct digest *)ctx;
}

void
digest_add(struct digest *digest, struct str bytes)
{
	must(EVP_DigestUpdate((EVP_MD_CTX *)digest, bytes.p, bytes.len) == 1, "make a digest");
}

void
digest_finish(struct digest **digest, char *ret)
{
	unsigned char bytes[EVP_MAX_MD_SIZE];
	unsigned size = 0;

	must(EVP_DigestFinal_ex((EVP_MD_CTX *)*digest, bytes, &size) == 1, "end a digest");
	hex_encode(bytes, size, ret);
	digest_free(digest);
}

void
digest_free(struct digest **digest)
{
	EVP_MD_CTX_free((EVP_MD_CTX *)*digest);
	*digest = NULL;
}

void
hmac_sha256(struct str key, const struct str *parts, size_t count, unsigned char ret[SHA256_SIZE])
{
	char digest[] = "SHA256";
	OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end() };
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(mac);
	size_t len = 0;
	/* a NULL key would mean "the one before" */
	bool ok =
	    ctx != NULL && EVP_MAC_init(ctx, (const unsigned char *)(key.len > 0 ? key.p : ""), key.len, params) == 1;

	for (size_t i = 0; ok && i < count; i++)
		ok = parts[i].len == 0 || EVP_MAC_update(ctx, (const unsigned char *)parts[i].p, parts[i].len) == 1;
	must(ok && EVP_MAC_final(ctx, ret, &len, SHA256_SIZE) == 1 && len == SHA256_SIZE, "make an HMAC");
	EVP_MAC_CTX_free(ctx);
	EVP_MAC_free(mac);
}

bool
crypto_equal(struct str a, struct str b)
{
	return a.len == b.len && (a.len == 0 || CRYPTO_memcmp(a.p, b.p, a.len) == 0);
}

void
random_bytes(void *ret, size_t size)
{
	assert(size <= INT_MAX);
	must(RAND_bytes(ret, (int)size) == 1, "get random bytes");
}

void
random_hex(char *ret, size_t size)
{
	unsigned char bytes[64];

	assert(size <= sizeof(bytes));
	random_bytes(bytes, size);
	hex_encode(bytes, size, ret);
}

/* box: nonce, room for the ciphertext, room for the tag. */
static bool
encrypt(const unsigned char *key, const char *name, struct str secret, unsigned char *box)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	unsigned char *out = box + NONCE_SIZE;
	int len;
	bool ok = ctx != NULL && EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, box) == 1 &&
		  EVP_EncryptUpdate(ctx, NULL, &len, (const unsigned char *)name, (int)strlen(name)) == 1 &&
		  EVP_EncryptUpdate(ctx, out, &len, (const unsigned char *)secret.p, (int)secret.len) == 1 &&
		  EVP_EncryptFinal_ex(ctx, out + secret.len, &len) == 1 &&
		  EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG_SIZE, out + secret.len) == 1;

	EVP_CIPHER_CTX_free(ctx);
	return ok;
}

/* ret: as long as the ciphertext. */
static bool
decrypt(const unsigned char *key, const char *name, struct str box, unsigned char *ret)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	const unsigned char *in = (const unsigned char *)box.p;
	unsigned char tag[TAG_SIZE], end[TAG_SIZE];
	int size = (int)box.len - NONCE_SIZE - TAG_SIZE, len;
	bool ok;

	memcpy(tag, in + NONCE_SIZE + size, TAG_SIZE);
	ok = ctx != NULL && EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, in) == 1 &&
	     EVP_DecryptUpdate(ctx, NULL, &len, (const unsigned char *)name, (int)strlen(name)) == 1 &&
	     EVP_DecryptUpdate(ctx, ret, &len, in + NONCE_SIZE, size) == 1 &&
	     EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG_SIZE, tag) == 1 &&
	     EVP_DecryptFinal_ex(ctx, end, &len) == 1;
	EVP_CIPHER_CTX_free(ctx);
	return ok;
}

char *
crypto_seal(const unsigned char key[SEAL_KEY_SIZE], const char *name, struct str secret)
{
	size_t size = NONCE_SIZE + secret.len + TAG_SIZE;
	unsigned char *box;
	struct buf out;
	char *sealed;

	assert(secret.len <= SECRET_MAX);
	box = xcalloc(1, size);
	random_bytes(box, NONCE_SIZE);
	must(encrypt(key, name, secret, box), "seal a secret");
	buf_init(&out, sizeof(SEAL_PREFIX) + (size + 2) / 3 * 4);
	buf_adds(&out, SEAL_PREFIX);
	base64_encode((struct str){ (const char *)box, size }, BASE64_STANDARD, &out);
	assert(!buf_failed(&out));
	sealed = buf_take(&out, NULL);
	buf_fini(&out);
	free(box);
	return sealed;
}

bool
crypto_unseal(const unsigned char key[SEAL_KEY_SIZE], const char *name, struct str sealed, char **ret, size_t *len,
    struct err *err)
{
	struct str text = sealed;
	struct buf box;
	bool ok = false;
	size_t size;

	*ret = NULL;
	if (!str_has_prefix(sealed, SEAL_PREFIX))
		return err_set(err, ERR_AUTH, 0, "the sealed text of %s does not begin with " SEAL_PREFIX, name);
	text.p += strlen(SEAL_PREFIX);
	text.len -= strlen(SEAL_PREFIX);
	buf_init(&box, NONCE_SIZE + SECRET_MAX + TAG_SIZE);
	if (base64_decode(text, BASE64_STANDARD, &box) && box.len >= NONCE_SIZE + TAG_SIZE) {
		size = box.len - NONCE_SIZE - TAG_SIZE;
		*ret = xcalloc(1, size + 1);
		ok = decrypt(key, name, buf_str(&box), (unsigned char *)*ret);
		if (!ok)
			crypto_wipe_free(ret);
		else if (len != NULL)
			*len = size;
	}
	buf_fini(&box);
	if (!ok)
		err_set(err, ERR_AUTH, 0, "the sealed text of %s does not open: another key, or it was altered", name);
	return ok;
}

void
crypto_wipe_free(char **secret)
{
	if (*secret == NULL)
		return;
	OPENSSL_cleanse(*secret, strlen(*secret));
	free(*secret);
	*secret = NULL;
}
