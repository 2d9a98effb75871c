/* What docker_reply.c gives to the readers of replies beside it. */
#ifndef DAVIT_PROTO_DOCKER_REPLY_PRIVATE_H
#define DAVIT_PROTO_DOCKER_REPLY_PRIVATE_H

#include "proto/docker_reply.h"
#include "proto/json.h"

/* what: for the error's text. ERR_PROTO when the body is no JSON of that type. */
bool docker_reply_parse(struct str body, const char *what, enum json_type type, struct json **doc, struct err *err);
/* At most size - 1 bytes, control characters as blanks: these words end up in one line for people. */
void docker_copy_text(char *to, size_t size, struct str text);
/* Likewise, of the text at that path; "" when there is none. */
void docker_copy_member(char *to, size_t size, const struct json_value *object, const char *path);
/* False when it is none: ids are put into paths. */
bool docker_copy_id(char to[DOCKER_ID_SIZE], const char *id);

#endif
