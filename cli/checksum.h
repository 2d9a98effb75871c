/* What the files of a working copy are that fit a pattern: the digest that git_digest (io/git.h) makes of a commit. */
#ifndef DAVIT_CLI_CHECKSUM_H
#define DAVIT_CLI_CHECKSUM_H

#include <stdbool.h>

#include "proto/crypto.h"
#include "proto/err.h"

/* tar: the workspace's, as cli/workspace.h makes it. Blocks. ERR_NOT_FOUND: no file fits. */
bool checksum_make(const char *tar, const char *pattern, char ret[SHA256_HEX_SIZE], struct err *err);

#endif
