/* The mirror's clients: a listener, and connections that speak HTTP/1.1 on raw sockets. Requests that come one behind
 * the other without waiting are answered in their order, one at a time. Bodies go from their file to the socket by
 * sendfile, also while the file grows; a client that reads slowly holds up nobody. */
#ifndef DAVIT_MIRROR_CLIENT_H
#define DAVIT_MIRROR_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/buf.h"
#include "proto/err.h"
#include "proto/http1.h"
#include "server/mirror/draft.h"

#define CLIENT_BODY_MAX (1024 * 1024) /* of a request */

struct client;
struct clients;
struct inherited;
struct listening;
struct loop;

/* Good until it is answered, or on_gone. */
struct client_request {
	struct str text; /* the head's */
	struct http1_head head;
	struct str body;
};

/* What became of a request; lent. */
struct client_sent {
	const char *peer; /* its address; "" on a unix socket */
	const char *user;
	const char *source;
	const struct client_request *request;
	unsigned status; /* 499: the client left before there was a reply */
	uint64_t bytes;  /* of the body, as far as the kernel took them */
};

struct client_handler {
	/* Answers by client_reply, now or later. What it returns is given to on_gone, if the reply comes later. */
	void *(*on_request)(void *arg, struct client *client, const struct client_request *request);
	/* The client has left before it was answered. */
	void (*on_gone)(void *request);
	/* A request is over. NULL: nobody wants to know. */
	void (*on_sent)(void *arg, const struct client_sent *sent);
	/* No client is left, after clients_leave. */
	void (*on_empty)(void *arg);
};

struct clients_conf {
	struct loop *loop;
	const char *address; /* see server/io/listening.h */
	struct inherited *inherited;
	unsigned door;            /* a number that no other listener has, for client_connection */
	unsigned connections_max; /* more wait in the kernel */
	const struct client_handler *handler;
	void *arg;
};

/* Listens on return; clients are let in after clients_accept. */
struct clients *clients_new(const struct clients_conf *conf, struct err *err);
/* Ends every connection; on_gone is called for each request. Accepts NULL inside. */
void clients_free(struct clients **clients);
void clients_accept(struct clients *clients);
/* Another process accepts at the address: what has begun is answered, idle connections end now. */
void clients_leave(struct clients *clients);
bool clients_are_gone(const struct clients *clients);
const struct listening *clients_socket(const struct clients *clients);

struct client_figures {
	unsigned connections;
	uint64_t requests;
	uint64_t bytes; /* of bodies */
};
struct client_figures clients_figures(const struct clients *clients);

enum client_body {
	CLIENT_BODY_NONE,   /* nothing, and nothing is said of a length (304, 204) */
	CLIENT_BODY_LENGTH, /* length says how much; that much comes, unless to a HEAD */
	CLIENT_BODY_STREAM, /* the draft, to its end, whose length is not known */
};

struct client_reply {
	const struct buf *head; /* status and headers, without framing, Connection and the empty line */
	enum client_body framing;
	uint64_t length;
	struct str text;     /* the body, or: */
	struct draft *draft; /* from start on; the client takes a reference */
	uint64_t start;
	const char *source; /* for on_sent: static; NULL: nothing */
	const char *user;   /* and copied */
};

/* The connection's number: no other one, before or later, has it. */
uint64_t client_connection(const struct client *client);
/* In the place of client_reply, from within on_request: the connection is the caller's from now on. Returns its
 * descriptor; *early is what has come behind the request, good until the loop runs on. */
int client_take(struct client *client, struct str *early);
/* Once for each request. */
void client_reply(struct client *client, const struct client_reply *reply);

#endif
