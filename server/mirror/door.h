/* What registries' clients ask for before anything else: whether they are known (/v2/), and a token of ours (/token),
 * which is how they show who they are. Where no upstream has a login they need to show nothing. */
#ifndef DAVIT_MIRROR_DOOR_H
#define DAVIT_MIRROR_DOOR_H

#include <stdbool.h>

#include "proto/http1.h"
#include "server/mirror/client.h"
#include "server/mirror/visitor.h"

/* authorization: what the visit was read from. False: it is another request, and was not answered. */
bool door_answers(struct client *client, const struct http1_head *request, const struct visit *visit,
    struct str authorization, bool has_logins);
/* 401, with the place that gives tokens, at the host by which the client has come. */
void door_challenge(struct client *client, struct str host);

#endif
