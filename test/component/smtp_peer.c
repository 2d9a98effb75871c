#include "test/component/smtp_peer.h"

#include <string.h>
#include <unistd.h>

static bool
hear_byte(struct smtp_script *s)
{
	char *at = s->heard + s->len;

	if (s->len == sizeof(s->heard) - 1 || (s->ssl != NULL ? SSL_read(s->ssl, at, 1) : (int)read(s->fd, at, 1)) != 1)
		return false;
	s->len++;
	return true;
}

static bool
hear_until(struct smtp_script *s, const char *end)
{
	size_t start = s->len, len = strlen(end);

	while (hear_byte(s)) {
		if (s->len - start >= len && memcmp(s->heard + s->len - len, end, len) == 0)
			return true;
	}
	return false;
}

static void
hang_up(struct smtp_script *s)
{
	if (s->ssl != NULL)
		tls_close(s->ssl, true);
	else
		close(s->fd);
}

/* False: the client is gone. */
static bool
do_turn(struct smtp_script *s, const char *say, const char *next)
{
	if (strcmp(say, SMTP_TLS) == 0) {
		s->ssl = tls_accept(s->files, s->fd, false);
		if (s->ssl == NULL)
			return false;
		strcpy(s->heard + s->len, "<TLS>");
		s->len += 5;
		if (strncmp(next, "220", 3) == 0) /* from the start: we greet */
			return true;
	} else if (s->ssl != NULL ? !tls_puts(s->ssl, say) : !peer_puts(s->fd, say)) {
		return false;
	}
	if (strcmp(next, SMTP_TLS) == 0 || strcmp(next, SMTP_CLOSE) == 0)
		return true;
	return hear_until(s, strncmp(say, "354", 3) == 0 ? "\r\n.\r\n" : "\r\n");
}

static void
serve_one(struct smtp_script *s)
{
	for (size_t i = 0; s->says[i] != NULL && strcmp(s->says[i], SMTP_CLOSE) != 0; i++) {
		if (!do_turn(s, s->says[i], s->says[i + 1] != NULL ? s->says[i + 1] : "")) {
			if (s->ssl != NULL || strcmp(s->says[i], SMTP_TLS) != 0)
				hang_up(s); /* else a failed handshake has closed it */
			return;
		}
		if (s->says[i + 1] == NULL)
			hear_until(s, "\xff");
	}
	hang_up(s);
}

void
smtp_peer_serve(struct peer *p)
{
	struct smtp_script *s = p->arg;

	for (unsigned i = 0; i < (s->sessions > 0 ? s->sessions : 1); i++) {
		s->fd = peer_accept(p);
		s->ssl = NULL;
		serve_one(s);
	}
}
