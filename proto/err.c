#include "proto/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct err
err_make(enum err_code code, int detail, const char *fmt, ...)
{
	struct err err = { .code = code, .detail = detail };
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err.text, sizeof(err.text), fmt, ap);
	va_end(ap);
	return err;
}

/* ": text" behind the first len bytes, cut where the room ends. */
static void
append(struct err *err, int len, const char *text)
{
	size_t at = len > 0 ? (size_t)len : 0;

	for (const char *p = ": "; *p != '\0' && at < sizeof(err->text) - 1; p++)
		err->text[at++] = *p;
	for (; *text != '\0' && at < sizeof(err->text) - 1; text++)
		err->text[at++] = *text;
	if (at < sizeof(err->text))
		err->text[at] = '\0';
}

struct err
err_errno(const char *fmt, ...)
{
	struct err err = { .code = ERR_IO, .detail = errno };
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(err.text, sizeof(err.text), fmt, ap);
	va_end(ap);
	append(&err, len, strerror(err.detail));
	return err;
}

bool
err_set(struct err *err, enum err_code code, int detail, const char *fmt, ...)
{
	va_list ap;

	if (err == NULL)
		return false;
	err->code = code;
	err->detail = detail;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	return false;
}

struct err
err_prefix(struct err err, const char *fmt, ...)
{
	struct err out = { .code = err.code, .detail = err.detail };
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(out.text, sizeof(out.text), fmt, ap);
	va_end(ap);
	append(&out, len, err.text);
	return out;
}

const char *
err_name(enum err_code code)
{
	static const char *const names[] = {
		[ERR_NONE] = "none",
		[ERR_CANCELLED] = "cancelled",
		[ERR_TIMEOUT] = "timeout",
		[ERR_IO] = "io",
		[ERR_PROTO] = "protocol",
		[ERR_REFUSED] = "refused",
		[ERR_AUTH] = "auth",
		[ERR_NOT_FOUND] = "not_found",
		[ERR_CONFLICT] = "conflict",
		[ERR_LIMIT] = "limit",
		[ERR_INPUT] = "input",
		[ERR_UNAVAILABLE] = "unavailable",
	};

	return names[code];
}
