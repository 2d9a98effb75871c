/* All of OpenSSL that is not TLS: digests, signatures, comparison of secrets, random bytes, sealing. May be called from
 * any thread. What can fail only for lack of memory or by a broken OpenSSL ends the process, as proto/mem.h does. */
#ifndef DAVIT_PROTO_CRYPTO_H
#define DAVIT_PROTO_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/err.h"
#include "proto/str.h"

#define SHA1_SIZE 20
#define SHA256_SIZE 32
#define SHA256_HEX_SIZE 65  /* with its NUL */
#define SHA512_HEX_SIZE 129 /* likewise */
#define SEAL_KEY_SIZE 32

/* For WebSocket's handshake and git's names of files alone, as it keeps nothing apart any more. */
void sha1(struct str bytes, unsigned char ret[SHA1_SIZE]);
/* FIPS 180-4. About 1 GB/s. */
void sha256(struct str bytes, unsigned char ret[SHA256_SIZE]);
/* The same as 64 lower-case digits. */
void sha256_hex(struct str bytes, char ret[SHA256_HEX_SIZE]);
/* The digest of bytes that come in pieces. _finish ends it and writes lower-case digits and a NUL, as many as the kind
 * has; _free gives it up, and accepts NULL inside; both set it to NULL. */
enum digest_kind { DIGEST_NONE /* of which there is none: NULL */, DIGEST_SHA256, DIGEST_SHA512 };
struct digest;
struct digest *digest_new(enum digest_kind kind);
void digest_add(struct digest *digest, struct str bytes);
void digest_finish(struct digest **digest, char *ret);
void digest_free(struct digest **digest);
/* RFC 2104 over the parts as if they were one text. */
void hmac_sha256(struct str key, const struct str *parts, size_t count, unsigned char ret[SHA256_SIZE]);

/* Whether the two are the same, in a time that depends on their lengths alone. The only way to compare secrets. */
bool crypto_equal(struct str a, struct str b);

void random_bytes(void *ret, size_t size);
/* 2 * size digits and a NUL, of size random bytes. */
void random_hex(char *ret, size_t size);

/* Seals secret for the place called name: "v1:" and base64 of nonce (12 bytes), AES-256-GCM ciphertext and tag (16
 * bytes), with name as additional data, so that a sealed text moved to another place does not open. free() it. */
char *crypto_seal(const unsigned char key[SEAL_KEY_SIZE], const char *name, struct str secret);
/* *ret is NUL-terminated and handed over (wipe it with crypto_wipe_free), *len (may be NULL) its length. ERR_AUTH when
 * it was sealed with another key or for another name, or was altered; the error never quotes the text. */
bool crypto_unseal(const unsigned char key[SEAL_KEY_SIZE], const char *name, struct str sealed, char **ret, size_t *len,
    struct err *err);
/* Overwrites the secret, frees it and sets *secret to NULL. Accepts NULL inside. */
void crypto_wipe_free(char **secret);

#endif
