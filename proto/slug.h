/* A name as a part of a host's name or of an image's tag: small letters, digits, and a dash for each run of others. */
#ifndef DAVIT_PROTO_SLUG_H
#define DAVIT_PROTO_SLUG_H

enum { SLUG_MAX = 63 };

void slug_make(const char *text, char ret[SLUG_MAX + 1]);

#endif
