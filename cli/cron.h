/* `davit repo cron`: builds by the clock. */
#ifndef DAVIT_CLI_CRON_H
#define DAVIT_CLI_CRON_H

#include "cli/client.h"

/* argv begins behind "cron": ls REPO, add REPO NAME --cron RULE ..., rm REPO NAME. Returns the exit code. */
int cron_run(struct client *client, int argc, char **argv);

#endif
