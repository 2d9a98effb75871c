/* Names of git: refs and commits, as they come from outside. What passes here may stand in git's arguments, in file
 * names of a bare repository and in a terminal. */
#ifndef DAVIT_PROTO_REF_H
#define DAVIT_PROTO_REF_H

#include <stdbool.h>

#include "proto/str.h"

#define REF_SIZE_MAX 512

/* A full name below refs/: the rules of git-check-ref-format(1), and besides: no component begins with '-', no control
 * character of ASCII or Latin-1 (U+0080..U+009F move cursors too), all UTF-8, at most REF_SIZE_MAX bytes. */
bool ref_is_valid(struct str ref);
/* 40 (SHA-1) or 64 (SHA-256) lower-case hexadecimal digits, not all of them 0. */
bool commit_is_valid(struct str commit);
/* 40 or 64 zeroes: "no commit", a ref that was made or deleted. */
bool commit_is_zero(struct str commit);

#endif
