/* What the parts of `davit mirror` share. */
#ifndef DAVIT_CLI_MIRROR_H
#define DAVIT_CLI_MIRROR_H

#include <stdint.h>

/* "1.4 GiB" */
const char *mirror_bytes(int64_t bytes, char ret[32]);
/* `davit mirror fetch`; argv[0] is "fetch". */
int mirror_fetch_run(int argc, char **argv);

#endif
