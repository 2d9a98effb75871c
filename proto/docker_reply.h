/* What the engine answers (Docker Engine API 1.41; Podman's compatible socket): reply bodies to structs. Every text
 * that goes into a later request (ids) is checked for what such a text may contain; nothing else is believed but its
 * type. ERR_PROTO when a body is not what it should be. */
#ifndef DAVIT_PROTO_DOCKER_REPLY_H
#define DAVIT_PROTO_DOCKER_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/err.h"
#include "proto/platform.h"
#include "proto/str.h"

struct json;
struct json_value;

#define DOCKER_ID_SIZE 129 /* with its NUL; [A-Za-z0-9][A-Za-z0-9_.:-]* */

/* {"message": "..."}: the words of an error reply, or the body's beginning when it is not JSON; one line. */
void docker_reply_message(struct str body, char *ret, size_t size);
/* {"Id": "..."} of a created container, network or exec. */
bool docker_reply_id(struct str body, char ret[DOCKER_ID_SIZE], struct err *err);

struct docker_version {
	char version[64];
	char api[16];             /* the newest API it speaks: "1.41" */
	char min_api[16];         /* the oldest; "" when it does not say */
	struct platform platform; /* of the engine's machine; text "" where it is none that is known */
	bool is_podman;           /* which speaks that API, but is another program */
};
bool docker_reply_version(struct str body, struct docker_version *ret, struct err *err);

struct docker_exit {
	int code;
	char error[200]; /* the engine's own trouble; "" if there was none */
};
/* Of wait. */
bool docker_reply_exit(struct str body, struct docker_exit *ret, struct err *err);

struct docker_exec_end {
	bool running;
	int exit_code;
};
/* Of a process beside a container's own. */
bool docker_reply_exec(struct str body, struct docker_exec_end *ret, struct err *err);

struct docker_container {
	char id[DOCKER_ID_SIZE];
	bool running;
	int exit_code;
	bool oom_killed;
	char error[200];
	unsigned restarts; /* how often the engine has started it again */
	char health[16];   /* "starting", "healthy", "unhealthy", "" without a check */
	char address[46];  /* in its first network; "" without one */
};
bool docker_reply_container(struct str body, struct docker_container *ret, struct err *err);
/* Whether a container's description is what a create request with these labels, sent twice, has made: the labels are
 * the same and it was never started. */
struct docker_label;
bool docker_reply_is_twin(struct str body, const struct docker_label *labels, size_t count);

struct docker_image {
	char id[DOCKER_ID_SIZE]; /* sha256:... */
	char digest[128]; /* sha256:..., what the repository asked for has of it; "" where it never came from or went
			     there */
	bool has_health;  /* it brings a health check */
	struct platform platform; /* that it is for; text "" where it is none that is known */
};
/* name: in that repository, its tag or digest is no matter. */
bool docker_reply_image(struct str body, const char *name, struct docker_image *ret, struct err *err);

/* What a registry has under a name. */
bool docker_reply_remote(struct str body, char ret[128], struct err *err);

/* Containers, networks or volumes as listed. */
struct docker_item {
	char id[DOCKER_ID_SIZE]; /* a volume's name is its id */
	const char *name;        /* without the slash; lent by the list */
	const struct json_value *labels;
	const char *state;        /* of a container: "created", "running", "exited", ... */
	const char *network_mode; /* of a container: "container:ID", or a network's name */
	const char *address;      /* of a container, in its first network; "" without one */
};
struct docker_list {
	struct json *doc;
	struct docker_item *items;
	size_t count;
};
/* Entries whose id is malformed are left out. End *ret with docker_list_fini. */
bool docker_reply_list(struct str body, struct docker_list *ret, struct err *err);
void docker_list_fini(struct docker_list *list);
/* NULL when it has no such label. */
const char *docker_item_label(const struct docker_item *item, const char *name);

/* One line of the reply to a pull, a push or an import. */
struct docker_progress {
	char status[100];
	char layer[32];
	int64_t current; /* bytes; 0 when not told */
	int64_t total;
	char digest[128]; /* sha256:... of what was pushed; "" but in one line */
	uint64_t again_s; /* a layer's transfer broke off, and the engine begins it again then; 0: it does not say so */
	char error[300];  /* the whole call has failed, although its status was 200 */
};
bool docker_reply_progress(struct str line, struct docker_progress *ret, struct err *err);

/* One line of the reply to a build. */
struct docker_build_line {
	struct json *doc;
	struct str text;         /* of the build's output; lent by the line */
	char id[DOCKER_ID_SIZE]; /* of the image that was made; "" until the last */
	char error[300];         /* the build has failed */
	bool is_theirs;          /* by what the Dockerfile says, or a command of it */
};
/* End *ret with docker_build_line_fini. */
bool docker_reply_build(struct str line, struct docker_build_line *ret, struct err *err);
void docker_build_line_fini(struct docker_build_line *line);

struct docker_event {
	char id[DOCKER_ID_SIZE]; /* "" for a name that is no id, as images have */
	char action[64];         /* "health_status: healthy", "die" */
};
bool docker_reply_event(struct str line, struct docker_event *ret, struct err *err);

#endif
