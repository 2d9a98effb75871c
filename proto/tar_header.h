/* The block in front of each member of a tar (POSIX.1-1988 ustar), for the files of tar.h alone. Numbers are octal
 * digits with a NUL or blank behind them. */
#ifndef DAVIT_PROTO_TAR_HEADER_H
#define DAVIT_PROTO_TAR_HEADER_H

#include "proto/tar.h"

struct tar_header {
	char name[100];
	char mode[8];
	char uid[8];
	char gid[8];
	char size[12];
	char mtime[12];
	char checksum[8];
	char type;
	char link[100];
	char magic[6];
	char version[2];
	char user[32];
	char group[32];
	char major[8];
	char minor[8];
	char prefix[155];
	char padding[12];
};

_Static_assert(sizeof(struct tar_header) == TAR_BLOCK, "a ustar header is one block");

/* The sum of all bytes, the field of the sum counted as blanks. */
unsigned tar_checksum(const struct tar_header *header);

#endif
