/* Base64 (RFC 4648), strictly: no blanks, no missing or further padding, no bits set beyond the last byte. */
#ifndef DAVIT_PROTO_BASE64_H
#define DAVIT_PROTO_BASE64_H

#include <stdbool.h>

#include "proto/buf.h"
#include "proto/str.h"

enum base64_form {
	BASE64_STANDARD, /* + and /, padded with = */
	BASE64_URL,      /* - and _, not padded */
};

/* Appends to out, whose maximum is the caller's to check. */
void base64_encode(struct str bytes, enum base64_form form, struct buf *out);
/* Appends the bytes to out; false when text is malformed (out then has a part of it) or out is full. */
bool base64_decode(struct str text, enum base64_form form, struct buf *out);

#endif
