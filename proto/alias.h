/* Aliases of images: a pattern with at most one * on the left, an image with at most one * on the right, which stands
 * for what the first one matched: "daocloud/ci-golang:*" -> "golang:*". */
#ifndef DAVIT_PROTO_ALIAS_H
#define DAVIT_PROTO_ALIAS_H

/* The image that the alias gives; NULL when the pattern does not match. free() it. */
char *alias_apply(const char *pattern, const char *to, const char *image);

#endif
