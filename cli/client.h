/* The CLI's side of the API: one request after the other, each run to its end in a reactor of its own.
 * DAVIT_URL names the server (http://127.0.0.1:8080), DAVIT_TOKEN or the file DAVIT_TOKEN_FILE holds the admin token.
 */
#ifndef DAVIT_CLI_CLIENT_H
#define DAVIT_CLI_CLIENT_H

#include <stdbool.h>

#include "proto/err.h"
#include "proto/json.h"
#include "proto/str.h"

struct client;
struct loop;
struct stream;
struct stream_handler;

/* NULL after saying on standard error what is wrong with the environment. */
struct client *client_new(void);
void client_free(struct client **client);

/* Says it on standard error; gives the exit code for it. */
int client_fail(const struct err *err);

/* One request, sent again where the connection breaks (doc/access.md); body "" for none. *ret (NULL: not wanted) is the
 * reply's JSON, to be freed. An answer that is not 2xx is an error with the server's own words. */
bool client_call(
    struct client *client, const char *method, const char *path, struct str body, struct json **ret, struct err *err);

/* GET path, asked again at each event of the server until enough() says that the answer will do; then as client_call.
 */
typedef bool client_enough_fn(const struct json_value *value);
bool client_wait(struct client *client, const char *path, client_enough_fn *enough, struct json **ret, struct err *err);

/* Bytes of a long answer as they come; false ends it, which is a success. */
typedef bool client_bytes_fn(void *arg, struct str bytes);
/* last_event_id "" for none. */
bool client_stream(struct client *client, const char *path, const char *last_event_id, client_bytes_fn *fn, void *arg,
    struct err *err);

/* One client_call of a client of its own. Says what goes wrong, and returns the exit code. */
int client_ask(const char *method, const char *path, struct str body, struct json **ret);
/* With the body {"NAME": "VALUE"}. */
int client_ask_with(const char *method, const char *path, const char *name, const char *value, struct json **ret);

/* A WebSocket. key: Sec-WebSocket-Key; accept: what the server must make of it. handler is called from now on, for what
 * came with the answer before this returns; *ret is the caller's. */
struct client_upgrade {
	const char *path;
	const char *protocol;
	const char *key;
	const char *accept;
	const struct stream_handler *handler;
	void *arg;
};
bool client_upgrade(struct client *client, const struct client_upgrade *upgrade, struct stream **ret, struct err *err);
/* The reactor in which all of it happens. */
struct loop *client_loop(struct client *client);

#endif
