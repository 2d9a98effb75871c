#include "test/unit/unit.h"

#include <stdlib.h>

#include "proto/base64.h"
#include "proto/crypto.h"
#include "proto/hex.h"

static const unsigned char seal_key[SEAL_KEY_SIZE] = "0123456789abcdef0123456789abcdef";

static void
test_hex(void **state)
{
	unsigned char bytes[4];
	char digits[9];

	(void)state;
	hex_encode("\x00\x7f\x80\xff", 4, digits);
	assert_string_equal(digits, "007f80ff");
	assert_true(hex_decode(STR("007f80ff"), bytes, 4));
	assert_memory_equal(bytes, "\x00\x7f\x80\xff", 4);
	assert_false(hex_decode(STR("007f80f"), bytes, 4));
	assert_false(hex_decode(STR("007f80ff0"), bytes, 4));
	assert_false(hex_decode(STR("007F80FF"), bytes, 4));
	assert_false(hex_decode(STR("007f80fg"), bytes, 4));
	assert_true(hex_is_valid(STR("")));
	assert_false(hex_is_valid(STR("0x")));
}

/* FIPS 180-4's examples. */
static void
test_sha256(void **state)
{
	char digest[SHA256_HEX_SIZE];

	(void)state;
	sha256_hex(STR("abc"), digest);
	assert_string_equal(digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	sha256_hex(STR(""), digest);
	assert_string_equal(digest, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	sha256_hex(STR("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"), digest);
	assert_string_equal(digest, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

static void
assert_hmac(struct str key, struct str text, const char *expected)
{
	unsigned char mac[SHA256_SIZE];
	char digits[SHA256_HEX_SIZE];

	hmac_sha256(key, &text, 1, mac);
	hex_encode(mac, sizeof(mac), digits);
	assert_string_equal(digits, expected);
	for (size_t cut = 0; cut <= text.len; cut++) {
		const struct str parts[] = { { text.p, cut }, { text.p + cut, text.len - cut } };

		hmac_sha256(key, parts, 2, mac);
		hex_encode(mac, sizeof(mac), digits);
		assert_string_equal(digits, expected);
	}
}

/* RFC 4231's test cases 1, 2, 3, 6 and 7; and an empty key and text. */
static void
test_hmac_sha256(void **state)
{
	char fill[200];

	(void)state;
	memset(fill, 0x0b, 20);
	assert_hmac((struct str){ fill, 20 }, STR("Hi There"),
	    "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
	assert_hmac(STR("Jefe"), STR("what do ya want for nothing?"),
	    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	memset(fill, 0xaa, 20);
	memset(fill + 100, 0xdd, 50);
	assert_hmac((struct str){ fill, 20 }, (struct str){ fill + 100, 50 },
	    "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
	memset(fill, 0xaa, 131);
	assert_hmac((struct str){ fill, 131 }, STR("Test Using Larger Than Block-Size Key - Hash Key First"),
	    "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
	assert_hmac((struct str){ fill, 131 },
	    STR("This is a test using a larger than block-size key and a larger than block-size data. The key needs to "
		"be hashed before being used by the HMAC algorithm."),
	    "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2");
	assert_hmac((struct str){ NULL, 0 }, (struct str){ "", 0 },
	    "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

static void
test_equal_compares_lengths_too(void **state)
{
	(void)state;
	assert_true(crypto_equal(STR("secret"), STR("secret")));
	assert_false(crypto_equal(STR("secret"), STR("secreT")));
	assert_false(crypto_equal(STR("secret"), STR("secret2")));
	assert_false(crypto_equal(STR("secret"), STR("")));
	assert_true(crypto_equal((struct str){ NULL, 0 }, STR("")));
}

/* RFC 4648, section 10. */
static void
test_base64(void **state)
{
	static const char *const pairs[][2] = { { "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" },
		{ "foob", "Zm9vYg==" }, { "fooba", "Zm9vYmE=" }, { "foobar", "Zm9vYmFy" }, { "\xfb\xff\xfe", "+//+" } };
	struct buf out;

	(void)state;
	buf_init(&out, 100);
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		base64_encode(str_of(pairs[i][0]), BASE64_STANDARD, &out);
		assert_string_equal(out.data, pairs[i][1]);
		buf_reset(&out);
		assert_true(base64_decode(str_of(pairs[i][1]), BASE64_STANDARD, &out));
		assert_string_equal(out.data, pairs[i][0]);
		buf_reset(&out);
	}
	base64_encode(STR("\xfb\xff\xfe\xff"), BASE64_URL, &out);
	assert_string_equal(out.data, "-__-_w");
	buf_reset(&out);
	assert_true(base64_decode(STR("-__-_w"), BASE64_URL, &out));
	assert_string_equal(out.data, "\xfb\xff\xfe\xff");
	buf_fini(&out);
}

static void
test_base64_is_strict(void **state)
{
	static const char *const standard[] = { "Z", "Zg", "Zg=", "Zg===", "Zm8", "Z===", "====", "Zm9v\n", " Zm9",
		"Zh==", "Zm9=", "Zg==Zg==", "-__-", "Zm9v====" };
	struct buf out, small;

	(void)state;
	buf_init(&out, 100);
	for (size_t i = 0; i < sizeof(standard) / sizeof(standard[0]); i++) {
		if (base64_decode(str_of(standard[i]), BASE64_STANDARD, &out))
			fail_msg("accepted %s", standard[i]);
		buf_reset(&out);
	}
	assert_false(base64_decode(STR("Zg=="), BASE64_URL, &out));
	assert_false(base64_decode(STR("+//+"), BASE64_URL, &out));
	buf_fini(&out);
	buf_init(&small, 2);
	assert_false(base64_decode(STR("Zm9v"), BASE64_STANDARD, &small));
	buf_fini(&small);
}

static void
test_random(void **state)
{
	char a[33], b[33];

	(void)state;
	random_hex(a, 16);
	random_hex(b, 16);
	assert_int_equal(strlen(a), 32);
	assert_true(hex_is_valid(str_of(a)));
	assert_string_not_equal(a, b);
}

/* Test case 14 of the GCM specification in our form: key, nonce and 16 bytes of text all zero, no additional data. */
static void
test_unseals_the_known_box(void **state)
{
	static const unsigned char zero_key[SEAL_KEY_SIZE];
	static const unsigned char box[] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xce, 0xa7, 0x40, 0x3d, 0x4d, 0x60,
		0x6b, 0x6e, 0x07, 0x4e, 0xc5, 0xd3, 0xba, 0xf3, 0x9d, 0x18, 0xd0, 0xd1, 0xc8, 0xa7, 0x99, 0x99, 0x6b,
		0xf0, 0x26, 0x5b, 0x98, 0xb5, 0xd4, 0x8a, 0xb9, 0x19 };
	static const char zeroes[16];
	struct buf sealed;
	size_t len;
	char *text;

	(void)state;
	buf_init(&sealed, 100);
	buf_adds(&sealed, "v1:");
	base64_encode((struct str){ (const char *)box, sizeof(box) }, BASE64_STANDARD, &sealed);
	assert_true(crypto_unseal(zero_key, "", buf_str(&sealed), &text, &len, NULL));
	assert_int_equal(len, 16);
	assert_memory_equal(text, zeroes, 16);
	crypto_wipe_free(&text);
	buf_fini(&sealed);
}

static void
test_seal_and_unseal(void **state)
{
	char *sealed = crypto_seal(seal_key, "repo app secret", STR("s3cret")), *text;
	char *again = crypto_seal(seal_key, "repo app secret", STR("s3cret"));
	char *empty = crypto_seal(seal_key, "x", (struct str){ NULL, 0 });
	size_t len;

	(void)state;
	assert_string_not_equal(sealed, again);
	assert_null(strstr(sealed, "s3cret"));
	assert_true(crypto_unseal(seal_key, "repo app secret", str_of(sealed), &text, &len, NULL));
	assert_string_equal(text, "s3cret");
	assert_int_equal(len, 6);
	crypto_wipe_free(&text);
	assert_null(text);
	assert_true(crypto_unseal(seal_key, "x", str_of(empty), &text, NULL, NULL));
	assert_string_equal(text, "");
	crypto_wipe_free(&text);
	free(sealed);
	free(again);
	free(empty);
}

static void
refuse(const unsigned char *key, const char *name, const char *sealed)
{
	struct err err = ERR_OK;
	char *text;

	assert_false(crypto_unseal(key, name, str_of(sealed), &text, NULL, &err));
	assert_null(text);
	assert_int_equal(err.code, ERR_AUTH);
}

static void
test_unseal_refuses_what_was_altered(void **state)
{
	char *sealed = crypto_seal(seal_key, "repo app secret", STR("s3cret"));
	size_t len = strlen(sealed);
	unsigned char other[SEAL_KEY_SIZE];

	(void)state;
	memcpy(other, seal_key, sizeof(other));
	other[31] ^= 1;
	refuse(other, "repo app secret", sealed);
	refuse(seal_key, "repo app token", sealed);
	for (size_t i = 0; i < len; i++) {
		char kept = sealed[i];

		sealed[i] = kept == 'A' ? 'B' : 'A';
		refuse(seal_key, "repo app secret", sealed);
		sealed[i] = '\0';
		refuse(seal_key, "repo app secret", sealed);
		sealed[i] = kept;
	}
	refuse(seal_key, "repo app secret", "v1:AAAA");
	free(sealed);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hex),
		cmocka_unit_test(test_sha256),
		cmocka_unit_test(test_hmac_sha256),
		cmocka_unit_test(test_equal_compares_lengths_too),
		cmocka_unit_test(test_base64),
		cmocka_unit_test(test_base64_is_strict),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_unseals_the_known_box),
		cmocka_unit_test(test_seal_and_unseal),
		cmocka_unit_test(test_unseal_refuses_what_was_altered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
