/* The variables that Docker's container links gave a job for each service (docs.docker.com/network/links), which the
 * files of 2015 rely on: MYSQL_PORT=tcp://172.17.0.5:3306, MYSQL_PORT_3306_TCP (the same), MYSQL_PORT_3306_TCP_ADDR,
 * _PORT and _PROTO. */
#ifndef DAVIT_PROTO_LINK_H
#define DAVIT_PROTO_LINK_H

#include "proto/plan.h"

/* Adds them to env. service is the host name; address what reaches it; port 0 adds nothing. */
void link_env(struct env *env, const char *service, const char *address, unsigned port);

#endif
