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
#define SHA256_HEX_SIZE 65 /* with its NUL */
#define SEAL_KEY_SIZE 32

/* For WebSocket's handshake and git's names of files alone, as it keeps nothing apart any more. */
void sha1(struct str bytes, unsigned char ret[SHA1_SIZE]);
/* FIPS 180-4. About 1 GB/s. */
void sha256(struct str bytes, unsigned char ret[SHA256_SIZE]);
/* The same as 64 lower-case digits. */
void sha256_hex(struct str bytes, char ret[SHA256_HEX_SIZE]);
/* The same of bytes that come in pieces. _finish ends it, _free gives it up; both set it to NULL. */
struct sha256;
struct sha256 *sha256_new(void);
void sha256_add(struct sha256 *hash, struct str bytes);
void sha256_finish(struct sha256 **hash, char ret[SHA256_HEX_SIZE]);
void sha256_free(struct sha256 **hash);
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
