/* A scripted mail server, a peer_fn. What it says is a list of texts ending in NULL: after each it hears one command,
 * after one that begins with 354 a message. SMTP_TLS and SMTP_CLOSE are deeds instead of words. After the last text it
 * listens until the client goes; then it accepts the next connection, `sessions` times in all. */
#ifndef DAVIT_TEST_SMTP_PEER_H
#define DAVIT_TEST_SMTP_PEER_H

#include "test/component/tls_peer.h"

#define SMTP_TLS "<TLS>"
#define SMTP_CLOSE "<CLOSE>"

struct smtp_script {
	const char *const *says;
	const struct tls_files *files; /* for SMTP_TLS */
	unsigned sessions;             /* 0: one */
	char heard[65536];             /* all that clients sent, NUL-terminated; read it after peer_stop() */
	size_t len;
	/* private */
	SSL *ssl;
	int fd;
};

/* The peer's arg is a struct smtp_script. */
void smtp_peer_serve(struct peer *peer);

#endif
