/* TLS for scripted peers: a certificate authority and certificates made on the spot, and the server's side of a
 * connection. */
#ifndef DAVIT_TEST_TLS_PEER_H
#define DAVIT_TEST_TLS_PEER_H

#include <stdbool.h>

#include <openssl/ssl.h>

#include "test/component/peer.h"

/* PEM files below peer_folder(), made by tls_make_files(). */
struct tls_files {
	char ca[128];       /* the authority */
	char other_ca[128]; /* another one, which signed nothing */
	char cert[128];     /* for localhost, certificate and key */
	char client[128];   /* a client's, certificate and key */
};

void tls_make_files(struct tls_files *files);
void tls_remove_files(struct tls_files *files);

/* Accepts a handshake on fd with the certificate for localhost; NULL when it fails. needs_client: only a client with a
 * certificate of the authority. */
SSL *tls_accept(const struct tls_files *files, int fd, bool needs_client);
bool tls_read_head(struct peer *peer, SSL *ssl);
bool tls_puts(SSL *ssl, const char *text);
/* Ends with close_notify, or without. */
void tls_close(SSL *ssl, bool in_order);

#endif
