/* Which addresses a stranger's name may lead to: those of the public Internet (IANA's special-purpose registries). */
#ifndef DAVIT_PROTO_ADDRESS_H
#define DAVIT_PROTO_ADDRESS_H

#include <stdbool.h>

/* 4 and 16 bytes, in network order. */
bool address_v4_is_public(const unsigned char address[4]);
bool address_v6_is_public(const unsigned char address[16]);

#endif
