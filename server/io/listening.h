/* A listening socket: opened at an address, or found among the descriptors that we were started with
 * (core/inherited.h),
 * so that no client is refused between two processes. */
#ifndef DAVIT_IO_LISTENING_H
#define DAVIT_IO_LISTENING_H

#include <stdbool.h>

#include "proto/err.h"

struct inherited;

struct listening {
	int fd;            /* -1: closed */
	char *address;     /* as it was asked for, with the port that was really bound */
	char *path;        /* of a unix socket, removed with it. NULL: none, or not ours */
	unsigned port;     /* 0 for a unix socket */
	bool is_activated; /* systemd's, whose path stays */
};

/* address: "127.0.0.1:8080", "[::]:8080" (IPv6 alone), "*:8080" (both), port 0 for any free one, or "unix:/path" (mode
 * 0660; a socket that nobody serves any more is replaced). Listens on return, non-blocking. inherited may be NULL. */
bool listening_open(struct listening *ret, const char *address, struct inherited *inherited, struct err *err)
    __attribute__((warn_unused_result));
/* The name under which the next process finds it among what it inherits. */
const char *listening_name(const struct listening *listening);
/* From now on another process serves the address: what it needs stays when this one is closed. */
void listening_leave(struct listening *listening);
/* Before it is closed: new clients learn at once that nobody is there. */
void listening_remove_path(struct listening *listening);
void listening_close(struct listening *listening);

#endif
