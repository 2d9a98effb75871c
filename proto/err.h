/* The one error value: a code that the program decides on, and a text for people that says what, where and what to do.
 * Passed by value, no allocation on the error path. Synchronous functions are bool f(..., struct err *);
 * callbacks get const struct err *, NULL is success. Return an error or log it, never both. */
#ifndef DAVIT_PROTO_ERR_H
#define DAVIT_PROTO_ERR_H

#include <stdbool.h>

enum err_code {
	ERR_NONE,
	ERR_CANCELLED,   /* somebody asked for it */
	ERR_TIMEOUT,     /* a deadline passed */
	ERR_IO,          /* the system or the network failed; detail is the system's code where there is one */
	ERR_PROTO,       /* the peer spoke nonsense */
	ERR_REFUSED,     /* the peer understood and said no; detail is its status (HTTP, SMTP, exit code) */
	ERR_AUTH,        /* credentials are missing or wrong */
	ERR_NOT_FOUND,   /* the thing asked for does not exist */
	ERR_CONFLICT,    /* it exists already, or is in another state */
	ERR_LIMIT,       /* larger, longer, deeper or more than allowed */
	ERR_INPUT,       /* the user's text is wrong: file, configuration, argument */
	ERR_UNAVAILABLE, /* not now; the same call may go through later */
};

struct err {
	enum err_code code;
	int detail;
	char text[256];
};

#define ERR_OK ((struct err){ .code = ERR_NONE })

struct err err_make(enum err_code code, int detail, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* ERR_IO with errno's value and words: "open /x: No such file or directory". */
struct err err_errno(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Sets *err when err is not NULL and returns false, so that a check is one line: return err_set(err, ...). */
bool err_set(struct err *err, enum err_code code, int detail, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* The same text with "prefix: " in front. */
struct err err_prefix(struct err err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
const char *err_name(enum err_code code);

#endif
