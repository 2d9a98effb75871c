/* Mirror: downloads by way of this machine's disk. It listens for itself, serves what it has, fetches what it has not
 * once for all who ask, and goes nowhere but to its upstreams. doc/mirror.md says how it is used. */
#ifndef DAVIT_MIRROR_MIRROR_H
#define DAVIT_MIRROR_MIRROR_H

#include <stddef.h>

#include "proto/err.h"
#include "server/mirror/answer.h"
#include "server/mirror/client.h"
#include "server/mirror/purge.h"
#include "server/mirror/shelf.h"
#include "server/mirror/transfer.h"
#include "server/mirror/tunnel.h"
#include "server/mirror/upstreams.h"
#include "server/mirror/warmups.h"

struct disk;
struct inherited;
struct listening;
struct loop;
struct mirror;

enum { MIRROR_CONNECTIONS_MAX = 2048 /* of one address */ };

struct mirror_conf {
	struct loop *loop;
	struct disk *disk;
	const char *state_dir;     /* its folder stands below: mirror/ */
	const char *const *listen; /* see server/io/listening.h */
	size_t listen_count;
	struct inherited *inherited; /* for the start */
	const struct upstream_rule *rules;
	size_t rule_count;
	uint64_t size;        /* bytes of all bodies on the disk */
	bool connects;        /* CONNECT opens tunnels to the upstreams */
	int64_t age_s;        /* what nobody has asked for that long gives way; 0: however long */
	const char *ca_file;  /* of upstreams; NULL: the system's */
	const char *registry; /* URL of the registry of images that name none */
	struct visitor_conf visitors;
	const char *access_log; /* path; NULL: none */
	uint64_t access_log_size;
};

/* Listens on return; clients wait in the kernel until mirror_open. conf is copied; its strings and rules are lent for
 * the mirror's life, but for inherited. NULL and *err when an address is taken. */
struct mirror *mirror_new(const struct mirror_conf *conf, struct err *err);
/* No other process uses the folder: from now on it is ours, and clients are let in when it is known what is there. What
 * goes wrong is logged; then the mirror serves nobody. Once only. */
void mirror_open(struct mirror *mirror);
/* Another process has our sockets: what has begun is answered, then done is called, after 10 s at the latest, and not
 * before this returns. Once only. */
void mirror_leave(struct mirror *mirror, void (*done)(void *arg), void *arg);
/* Ends everything at once. Accepts NULL inside. */
void mirror_free(struct mirror **mirror);
/* For who takes our place; NULL behind the last. */
const struct listening *mirror_socket(const struct mirror *mirror, size_t index);

/* Drops what is stored of the upstreams' URLs that begin so (purge.h); cancel it before the mirror goes. NULL with
 * *err: ERR_INPUT when url names no host, ERR_UNAVAILABLE while the folder is not open. */
struct purge *mirror_purge(struct mirror *mirror, const char *url, purge_fn *fn, void *arg, struct err *err);

/* What is stored of the upstreams' URLs that begin so does not give way, from now on, in later processes, too; it can
 * be purged. False with *err: ERR_INPUT, ERR_UNAVAILABLE as above; ERR_LIMIT, ERR_IO; ERR_NOT_FOUND: that was not
 * pinned. */
bool mirror_pin(struct mirror *mirror, const char *url, struct err *err);
bool mirror_unpin(struct mirror *mirror, const char *url, struct err *err);
/* As the upstreams' URLs are known here. NULL behind the last. */
const char *mirror_pin_at(const struct mirror *mirror, size_t index);

/* Fetches what nobody has asked for yet; goes on by itself. 0 with *err: as warmups_start, and ERR_UNAVAILABLE while
 * the folder is not open. */
uint64_t mirror_fetch(struct mirror *mirror, const struct warmup_request *request, struct err *err);
/* Lent until the loop runs on; NULL: there is none of that number any more. */
const struct warmup *mirror_fetched(const struct mirror *mirror, uint64_t id);

struct mirror_figures {
	struct client_figures clients;
	struct answer_figures answers;
	struct transfer_figures transfers;
	struct shelf_figures shelf;
	struct tunnel_figures tunnels;
	uint64_t size; /* bytes that it may store */
};
/* See upstreams_status. */
size_t mirror_upstreams(const struct mirror *mirror, struct upstream_status *ret, size_t max);
struct mirror_figures mirror_figures(const struct mirror *mirror);

#endif
