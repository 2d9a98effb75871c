#include "server/io/stream_tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"

struct stream_tls {
	SSL_CTX *context;
};

/* The cause that OpenSSL queued first; the queue is empty afterwards. */
static struct err
queued_err(const char *what)
{
	unsigned long code = ERR_get_error();
	const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;

	ERR_clear_error();
	if (code != 0 && ERR_SYSTEM_ERROR(code))
		reason = strerror(ERR_GET_REASON(code));
	return err_make(ERR_INPUT, 0, "%s: %s", what, reason != NULL ? reason : "unknown cause");
}

static bool
load_files(SSL_CTX *context, const struct stream_tls_conf *conf, struct err *err)
{
	const char *key = conf->key_file != NULL ? conf->key_file : conf->cert_file;

	if (conf->ca_file != NULL && SSL_CTX_load_verify_locations(context, conf->ca_file, NULL) != 1) {
		*err = queued_err(conf->ca_file);
		return false;
	}
	if (conf->ca_file == NULL)
		SSL_CTX_set_default_verify_paths(context);
	if (conf->cert_file == NULL)
		return true;
	if (SSL_CTX_use_certificate_chain_file(context, conf->cert_file) != 1) {
		*err = queued_err(conf->cert_file);
		return false;
	}
	if (SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1) {
		*err = queued_err(key);
		return false;
	}
	return true;
}

struct stream_tls *
stream_tls_new(const struct stream_tls_conf *conf, struct err *err)
{
	struct stream_tls *tls = xcalloc(1, sizeof(*tls));

	ERR_clear_error();
	tls->context = SSL_CTX_new(TLS_client_method());
	if (tls->context == NULL || SSL_CTX_set_min_proto_version(tls->context, TLS1_2_VERSION) != 1) {
		*err = queued_err("OpenSSL cannot speak TLS 1.2");
		stream_tls_free(&tls);
		return NULL;
	}
	SSL_CTX_set_mode(tls->context, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_verify(tls->context, conf->insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
	if (!load_files(tls->context, conf, err))
		stream_tls_free(&tls);
	return tls;
}

void
stream_tls_free(struct stream_tls **tls)
{
	if (*tls == NULL)
		return;
	SSL_CTX_free((*tls)->context);
	free(*tls);
	*tls = NULL;
}

static bool
is_address(const char *host)
{
	unsigned char address[16];

	return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

struct ssl_st *
stream_tls_session(const struct stream_tls *tls, const char *host, struct err *err)
{
	SSL *session = SSL_new(tls->context);
	bool ok = session != NULL;

	if (ok && is_address(host)) {
		ok = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session), host) == 1;
	} else if (ok) {
		SSL_set_hostflags(session, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
		ok = SSL_set1_host(session, host) == 1 && SSL_set_tlsext_host_name(session, host) == 1;
	}
	if (!ok) {
		*err = queued_err("OpenSSL cannot verify that name");
		stream_tls_session_free(&session);
	}
	return session;
}

void
stream_tls_session_free(struct ssl_st **session)
{
	SSL_free(*session);
	*session = NULL;
}

struct bufferevent *
stream_tls_bufferevent(struct loop *loop, int fd, struct ssl_st *session)
{
	return bufferevent_openssl_socket_new(
	    loop_base(loop), fd, session, BUFFEREVENT_SSL_CONNECTING, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
}

struct err
stream_tls_err(struct bufferevent *bev)
{
	int error = errno;
	long verdict = SSL_get_verify_result(bufferevent_openssl_get_ssl(bev));
	unsigned long code = bufferevent_get_openssl_error(bev);
	const char *reason;

	while (bufferevent_get_openssl_error(bev) != 0)
		continue;
	if (code == 0 && error != 0) {
		errno = error;
		return err_errno("the connection broke");
	}
	if (code != 0 && ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED)
		return err_make(ERR_AUTH, 0, "the certificate is refused: %s", X509_verify_cert_error_string(verdict));
	if (code != 0 && ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
		return err_make(ERR_IO, 0, "the connection ended without saying so (TLS close_notify)");
	reason = code != 0 ? ERR_reason_error_string(code) : NULL;
	return err_make(ERR_IO, 0, "TLS failed: %s", reason != NULL ? reason : "the peer closed the connection");
}

void
stream_tls_close_write(struct bufferevent *bev)
{
	ERR_clear_error();
	SSL_shutdown(bufferevent_openssl_get_ssl(bev));
	ERR_clear_error();
}
