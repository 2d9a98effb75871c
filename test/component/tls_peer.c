#include "test/component/tls_peer.h"

#include "test/unit/unit.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <unistd.h>

struct identity {
	EVP_PKEY *key;
	X509 *cert;
};

static void
add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX context;
	X509_EXTENSION *extension;

	X509V3_set_ctx(&context, issuer, cert, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	assert_non_null(extension);
	X509_add_ext(cert, extension, -1);
	X509_EXTENSION_free(extension);
}

/* Signed by issuer, or by itself when that is NULL. */
static struct identity
make_identity(const char *name, const struct identity *issuer, const char *alternatives)
{
	static long serial = 1;
	struct identity id = { .key = EVP_EC_gen("P-256"), .cert = X509_new() };
	X509_NAME *subject = X509_get_subject_name(id.cert);
	X509 *by = issuer != NULL ? issuer->cert : id.cert;

	X509_set_version(id.cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(id.cert), serial++);
	X509_gmtime_adj(X509_getm_notBefore(id.cert), -3600);
	X509_gmtime_adj(X509_getm_notAfter(id.cert), 3600);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(id.cert, X509_get_subject_name(by));
	X509_set_pubkey(id.cert, id.key);
	if (issuer == NULL)
		add_extension(id.cert, by, NID_basic_constraints, "critical,CA:TRUE");
	if (alternatives != NULL)
		add_extension(id.cert, by, NID_subject_alt_name, alternatives);
	assert_true(X509_sign(id.cert, issuer != NULL ? issuer->key : id.key, EVP_sha256()) > 0);
	return id;
}

static void
write_files(char path[128], const char *name, const struct identity *id, bool with_key)
{
	FILE *file;

	snprintf(path, 128, "%s/%s", peer_folder(), name);
	file = fopen(path, "w");
	assert_non_null(file);
	PEM_write_X509(file, id->cert);
	if (with_key)
		PEM_write_PrivateKey(file, id->key, NULL, NULL, 0, NULL, NULL);
	fclose(file);
}

static void
free_identity(struct identity *id)
{
	EVP_PKEY_free(id->key);
	X509_free(id->cert);
}

void
tls_make_files(struct tls_files *files)
{
	struct identity ca = make_identity("Davit test authority", NULL, NULL);
	struct identity other = make_identity("Another authority", NULL, NULL);
	struct identity server = make_identity("server", &ca, "DNS:localhost");
	struct identity client = make_identity("client", &ca, NULL);

	write_files(files->ca, "ca.pem", &ca, false);
	write_files(files->other_ca, "other.pem", &other, false);
	write_files(files->cert, "server.pem", &server, true);
	write_files(files->client, "client.pem", &client, true);
	free_identity(&ca);
	free_identity(&other);
	free_identity(&server);
	free_identity(&client);
}

void
tls_remove_files(struct tls_files *files)
{
	unlink(files->ca);
	unlink(files->other_ca);
	unlink(files->cert);
	unlink(files->client);
}

SSL *
tls_accept(const struct tls_files *files, int fd, bool needs_client)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	SSL *ssl;

	SSL_CTX_use_certificate_chain_file(context, files->cert);
	SSL_CTX_use_PrivateKey_file(context, files->cert, SSL_FILETYPE_PEM);
	if (needs_client) {
		SSL_CTX_load_verify_locations(context, files->ca, NULL);
		SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	}
	ssl = SSL_new(context);
	SSL_CTX_free(context);
	SSL_set_fd(ssl, fd);
	if (SSL_accept(ssl) != 1) {
		SSL_free(ssl);
		close(fd);
		return NULL;
	}
	return ssl;
}

bool
tls_read_head(struct peer *p, SSL *ssl)
{
	size_t len = 0;

	memset(p->head, 0, sizeof(p->head));
	while (len < sizeof(p->head) - 1) {
		if (SSL_read(ssl, p->head + len, 1) != 1)
			return false;
		len++;
		if (len >= 4 && memcmp(p->head + len - 4, "\r\n\r\n", 4) == 0)
			return true;
	}
	return false;
}

bool
tls_puts(SSL *ssl, const char *text)
{
	return SSL_write(ssl, text, (int)strlen(text)) == (int)strlen(text);
}

void
tls_close(SSL *ssl, bool in_order)
{
	int fd = SSL_get_fd(ssl);

	if (in_order)
		SSL_shutdown(ssl);
	SSL_free(ssl);
	close(fd);
}
