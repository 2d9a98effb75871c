/* One engine: Docker, or Podman behind its compatible socket, spoken to over the HTTP client. Each call has its
 * deadline here; the async contract is that of server/core/loop.h.
 *
 * Errors: ERR_NOT_FOUND (404), ERR_CONFLICT (409), ERR_AUTH (401, 403), ERR_UNAVAILABLE (503, or no connection),
 * ERR_REFUSED (any other, detail is the status) with the engine's own words, ERR_TIMEOUT, ERR_PROTO, ERR_IO.
 *
 * Ids and names are put into paths as they are: [A-Za-z0-9_.:-]+, but for images, which are encoded. */
#ifndef DAVIT_IO_DOCKER_H
#define DAVIT_IO_DOCKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/clear_registries.h"
#include "proto/docker_frames.h"
#include "proto/docker_reply.h"
#include "proto/docker_spec.h"
#include "proto/docker_swarm.h"
#include "proto/err.h"
#include "proto/str.h"

struct docker;
struct docker_op;
struct loop;
struct stream_tls_conf;

/* What a call brought; lent for the callback. Of these only the member that the call's comment names. */
union docker_result {
	struct docker_version version;
	char id[DOCKER_ID_SIZE];
	struct docker_exit exit;
	struct docker_exec_end exec;
	struct docker_container container;
	struct docker_image image;
	struct docker_list list;
	struct docker_services services;
	struct docker_tasks tasks;
	struct clear_registries registries;
	char digest[128];
};

/* The end of a call: err is NULL on success. result is never NULL then. */
typedef void docker_fn(void *arg, const union docker_result *result, const struct err *err);

/* url: unix:///path, tcp://host:port (with TLS when tls names a file). NULL with *err set when it is malformed. */
struct docker *docker_new(struct loop *loop, const char *url, const struct stream_tls_conf *tls, struct err *err);
/* All calls and attachments must have ended. Accepts NULL inside. */
void docker_free(struct docker **docker);
/* No callback from now on. What the engine was asked to do may be done all the same. Accepts NULL inside. */
void docker_cancel(struct docker_op **op);

/* --- the engine --- */

/* -> version. Its answer decides the version of all later calls: until then, only this one may be made. */
/* Known once the version is. Its resolver answers at the gateway, which jobs are kept from. */
bool docker_is_podman(const struct docker *docker);
struct docker_op *docker_version(struct docker *docker, docker_fn *fn, void *arg);
/* -> registries: those that it asks without TLS */
struct docker_op *docker_clear_registries(struct docker *docker, docker_fn *fn, void *arg);
/* filters: see docker_label_filter. Ends only with an error: the connection is gone. on_open: events from now on come.
 */
typedef void docker_open_fn(void *arg);
typedef void docker_event_fn(void *arg, const struct docker_event *event);
struct docker_op *docker_events(struct docker *docker, const char *filters, docker_open_fn *on_open,
    docker_event_fn *on_event, docker_fn *fn, void *arg);

/* --- images --- */

/* -> image, with the digest that it has in the repository of that name */
struct docker_op *docker_image_inspect(
    struct docker *docker, const char *image, const char *name, docker_fn *fn, void *arg);
/* image: a whole name (image_print). auth: see proto/registry_login.h, NULL for nobody. platform: "linux/arm64", NULL
 * for the engine's own. Fails after 5 minutes without progress, or one hour. */
typedef void docker_progress_fn(void *arg, const struct docker_progress *progress);
struct docker_op *docker_image_pull(
    struct docker *docker, const char *image, const char *auth, const char *platform, docker_fn *fn, void *arg);
/* An image of one layer, the tar, under that repository:tag. */
struct docker_op *docker_image_import(
    struct docker *docker, const char *image, struct str tar, docker_fn *fn, void *arg);

/* What the build call takes beside the context. Everything is lent for the call that starts it. */
struct docker_build_spec {
	const char *dockerfile; /* in the context */
	const char *target;     /* NULL: the last stage */
	const struct env *args;
	const struct strings *tags;       /* whole names */
	const struct strings *labels;     /* NAME=VALUE */
	const struct strings *cache_from; /* images whose layers are taken; empty: those that the engine has */
	const char *platform;             /* see proto/platform.h; NULL: the engine's own */
	const char *network;              /* mode of the containers of its steps: "container:ID" */
	struct docker_limits limits;      /* of each of them: memory and nano_cpus */
	bool no_cache;
	bool pull; /* the images that it begins from are asked for although they are there */
};

/* -> id: sha256:... An uncompressed tar is sent by docker_build_send, from the first on_drain on and then after each,
 * until docker_build_end. on_text: the engine's words and the commands' output, as they come. ERR_INPUT when the
 * Dockerfile or one of its commands is to blame. Fails after 30 minutes without a word. */
typedef void docker_text_fn(void *arg, struct str text);
struct docker_op *docker_image_build(struct docker *docker, const struct docker_build_spec *spec,
    docker_open_fn *on_drain, docker_text_fn *on_text, docker_fn *fn, void *arg);
void docker_build_send(struct docker_op *op, struct str bytes);
void docker_build_end(struct docker_op *op);
/* -> digest. image: a whole name with its tag; auth: what X-Registry-Auth takes, NULL for none. */
struct docker_op *docker_image_push(struct docker *docker, const char *image, const char *auth,
    docker_progress_fn *on_progress, docker_fn *fn, void *arg);
/* -> digest of what the registry has under that whole name; ERR_NOT_FOUND: nothing. auth: as above. */
struct docker_op *docker_image_remote(
    struct docker *docker, const char *image, const char *auth, docker_fn *fn, void *arg);
/* name: another whole name of the image, with its tag; who had it before has it no more. */
struct docker_op *docker_image_tag(
    struct docker *docker, const char *image, const char *name, docker_fn *fn, void *arg);
/* One name of an image, and the image with its last one. Success when there is none. */
struct docker_op *docker_image_remove(struct docker *docker, const char *image, docker_fn *fn, void *arg);

/* --- containers --- */

/* -> id. A container of that name with the same labels that was never started is taken for this request's own, sent
 * twice, and is a success; any other is ERR_CONFLICT. */
struct docker_op *docker_create(
    struct docker *docker, const char *name, const struct docker_container_spec *spec, docker_fn *fn, void *arg);
/* The same of an application's. */
struct docker_op *docker_create_application(
    struct docker *docker, const char *name, const struct docker_application_spec *spec, docker_fn *fn, void *arg);
/* Part of a file, lent for as long as the call that takes it says. */
struct docker_piece {
	int fd;
	int64_t size; /* from its beginning on */
};

/* Uncompressed tars, unpacked at "/" as one: the bytes of head, then those of the pieces, all without an end. Only for
 * containers that were never started. Pieces are lent until fn is called. */
struct docker_op *docker_upload(struct docker *docker, const char *container, struct str head,
    const struct docker_piece *pieces, size_t count, docker_fn *fn, void *arg);
/* A file or folder of a container, whether it runs or not, as an uncompressed tar whose names begin with the path's
 * last part. ERR_NOT_FOUND: there is none. on_bytes may cancel the operation. */
typedef void docker_bytes_fn(void *arg, struct str bytes);
struct docker_op *docker_download(struct docker *docker, const char *container, const char *path,
    docker_bytes_fn *on_bytes, docker_fn *fn, void *arg);
/* The engine has to wait; what was read already (at most 64 KiB) still comes. Both may be called twice. */
void docker_download_pause(struct docker_op *op);
void docker_download_resume(struct docker_op *op);
/* -> exit, when it ends. on_registered (may be NULL): a start from now on is not missed. Without a deadline. */
struct docker_op *docker_wait(
    struct docker *docker, const char *container, docker_open_fn *on_registered, docker_fn *fn, void *arg);
/* The same of one that was started, and may have ended already. */
struct docker_op *docker_wait_started(
    struct docker *docker, const char *container, docker_open_fn *on_registered, docker_fn *fn, void *arg);
/* Success when it runs already. */
struct docker_op *docker_start(struct docker *docker, const char *container, docker_fn *fn, void *arg);
/* With the signal that it wants, and after so many seconds by force. Success when it does not run. Without a deadline.
 */
struct docker_op *docker_stop(struct docker *docker, const char *container, unsigned grace_s, docker_fn *fn, void *arg);
/* Whether it runs or not, with its anonymous volumes. Success when there is none. */
struct docker_op *docker_remove(struct docker *docker, const char *container, docker_fn *fn, void *arg);
/* Takes effect at once. Of the limits, memory, CPUs and pids. */
struct docker_op *docker_update(
    struct docker *docker, const char *container, const struct docker_limits *limits, docker_fn *fn, void *arg);
struct docker_op *docker_rename(
    struct docker *docker, const char *container, const char *name, docker_fn *fn, void *arg);
/* -> container */
struct docker_op *docker_inspect(struct docker *docker, const char *container, docker_fn *fn, void *arg);
/* -> list, of all states. filters: see docker_label_filter. */
struct docker_op *docker_list_containers(struct docker *docker, const char *filters, docker_fn *fn, void *arg);

/* The last lines that a container has written up to now. */
typedef void docker_output_fn(void *arg, enum docker_stream stream, struct str bytes);
struct docker_op *docker_logs(struct docker *docker, const char *container, unsigned lines, docker_output_fn *on_output,
    docker_fn *fn, void *arg);

/* All that it has written and will write, up to its end; nothing of an unfinished line as long as it runs. Without a
 * deadline. */
struct docker_op *docker_logs_follow(struct docker *docker, const char *container, docker_open_fn *on_open,
    docker_output_fn *on_output, docker_fn *fn, void *arg);

/* --- networks --- */

/* -> id. A bridge. ERR_CONFLICT when the name is taken. */
struct docker_op *docker_network_create(
    struct docker *docker, const char *name, const struct docker_label *labels, size_t count, docker_fn *fn, void *arg);
/* A container that does not run yet gets a further one, in which it has that name too. Success when it is in it. */
struct docker_op *docker_network_connect(
    struct docker *docker, const char *network, const char *container, const char *alias, docker_fn *fn, void *arg);
/* Success when there is none. */
struct docker_op *docker_network_remove(struct docker *docker, const char *network, docker_fn *fn, void *arg);
/* -> list */
struct docker_op *docker_list_networks(struct docker *docker, const char *filters, docker_fn *fn, void *arg);

/* --- volumes --- */

/* Success when there is one of that name. */
struct docker_op *docker_volume_create(
    struct docker *docker, const char *name, const struct docker_label *labels, size_t count, docker_fn *fn, void *arg);
/* Success when there is none. ERR_CONFLICT while a container has it. */
struct docker_op *docker_volume_remove(struct docker *docker, const char *volume, docker_fn *fn, void *arg);
/* -> list */
struct docker_op *docker_list_volumes(struct docker *docker, const char *filters, docker_fn *fn, void *arg);

/* --- attachment: a container's input and output as they come --- */

struct docker_attach;

struct docker_attach_handler {
	/* Attached: what it writes from now on comes. */
	void (*on_open)(void *arg);
	void (*on_output)(void *arg, enum docker_stream stream, struct str bytes);
	/* All input that was written has left. May be NULL. */
	void (*on_drain)(void *arg);
	/* The attachment is gone. err NULL: the output has ended, on a frame's edge. */
	void (*on_close)(void *arg, const struct err *err);
};

/* The container need not run yet, but must exist and not have ended. */
struct docker_attach *docker_attach(
    struct docker *docker, const char *container, bool input, const struct docker_attach_handler *handler, void *arg);
/* From now on these are called: how it changes hands. */
void docker_attach_set_handler(struct docker_attach *attach, const struct docker_attach_handler *handler, void *arg);
/* Once it is open. The bytes are copied; whoever sends much waits for on_drain. */
void docker_attach_write(struct docker_attach *attach, struct str bytes);
/* At most STREAM_FILE_SEGMENT bytes; see stream_write_file. */
bool docker_attach_write_file(struct docker_attach *attach, int fd, int64_t offset, size_t len, struct err *err);
/* The container's input ends behind what was written. */
void docker_attach_end_input(struct docker_attach *attach);
/* No on_close follows. Accepts NULL inside. */
void docker_attach_close(struct docker_attach **attach);

/* --- a process beside a container's own --- */

struct docker_exec;

struct docker_exec_handler {
	/* It runs. */
	void (*on_open)(void *arg);
	/* With a terminal, as it comes; else in the engine's frames. May be NULL. */
	void (*on_output)(void *arg, struct str bytes);
	/* All input that was written has left. May be NULL. */
	void (*on_drain)(void *arg);
	/* The size is set that was asked for last, or cannot be. May be NULL. */
	void (*on_resized)(void *arg);
	/* It is gone. err NULL: the process has ended with that exit code. */
	void (*on_close)(void *arg, int exit_code, const struct err *err);
};

/* The process outlives docker_exec_close: the engine has no call that ends it. */
struct docker_exec *docker_exec(struct docker *docker, const char *container, const struct docker_exec_spec *spec,
    const struct docker_exec_handler *handler, void *arg);
/* Once it is open. The bytes are copied; docker_exec_pending of them have not left. */
void docker_exec_write(struct docker_exec *exec, struct str bytes);
size_t docker_exec_pending(const struct docker_exec *exec);
/* Its output has to wait, and so has the process. Both may be called twice. */
void docker_exec_pause(struct docker_exec *exec);
void docker_exec_resume(struct docker_exec *exec);
/* Of its terminal; once it is open. */
void docker_exec_resize(struct docker_exec *exec, unsigned rows, unsigned columns);
/* No on_close follows. Accepts NULL inside. */
void docker_exec_close(struct docker_exec **exec);

/* --- services of a swarm, by one of its managers; ERR_UNAVAILABLE from any other engine --- */

/* Of all nodes. ERR_CONFLICT when the name is taken. */
struct docker_op *docker_overlay_create(
    struct docker *docker, const char *name, const struct docker_label *labels, size_t count, docker_fn *fn, void *arg);
/* -> services */
struct docker_op *docker_list_services(struct docker *docker, const char *filters, docker_fn *fn, void *arg);
/* Its tasks are made later. auth: what the nodes show the image's registry, NULL for nothing. ERR_CONFLICT when the
 * name is taken. */
struct docker_op *docker_service_create(
    struct docker *docker, const struct docker_service_spec *spec, const char *auth, docker_fn *fn, void *arg);
/* The same of one that is there, at that version. ERR_REFUSED when it has another by now. */
struct docker_op *docker_service_update(struct docker *docker, const struct docker_service *service,
    const struct docker_service_spec *spec, const char *auth, docker_fn *fn, void *arg);
/* To the spec before. */
struct docker_op *docker_service_back(
    struct docker *docker, const struct docker_service *service, docker_fn *fn, void *arg);
/* Success when there is none. */
struct docker_op *docker_service_remove(struct docker *docker, const char *service, docker_fn *fn, void *arg);
/* -> tasks, also those that have ended */
struct docker_op *docker_list_tasks(struct docker *docker, const char *service, docker_fn *fn, void *arg);
/* The last lines of a task's output, from whichever node has it. */
struct docker_op *docker_task_logs(
    struct docker *docker, const char *task, unsigned lines, docker_output_fn *on_output, docker_fn *fn, void *arg);

#endif
