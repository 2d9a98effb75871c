#include "proto/docker_reply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/docker_reply_private.h"
#include "proto/docker_spec.h"
#include "proto/image.h"
#include "proto/json.h"
#include "proto/mem.h"

/* An inspection of a container is some 10 kB, a list of a thousand containers 1.5 MB. */
static const struct json_limits limits = { .bytes = 16 * 1024 * 1024, .depth = 32, .values = 1000000 };

bool
docker_reply_parse(struct str body, const char *what, enum json_type type, struct json **doc, struct err *err)
{
	struct err cause;

	if (!json_parse(body, &limits, doc, &cause))
		return err_set(err, ERR_PROTO, 0, "the engine's %s is not JSON: %.150s", what, cause.text);
	if (json_type(json_root(*doc)) == type)
		return true;
	json_free(doc);
	return err_set(err, ERR_PROTO, 0, "the engine's %s is not what it should be", what);
}

void
docker_copy_text(char *to, size_t size, struct str text)
{
	size_t len = text.len < size - 1 ? text.len : size - 1;

	for (size_t i = 0; i < len; i++)
		to[i] = (unsigned char)text.p[i] < 0x20 || text.p[i] == 0x7f ? ' ' : text.p[i];
	to[len] = '\0';
}

void
docker_copy_member(char *to, size_t size, const struct json_value *object, const char *path)
{
	docker_copy_text(to, size, str_of(json_string(json_path(object, path), "")));
}

bool
docker_copy_id(char to[DOCKER_ID_SIZE], const char *id)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:-";
	size_t len = id != NULL ? strlen(id) : 0;

	if (len == 0 || len >= DOCKER_ID_SIZE || strspn(id, allowed) != len || strchr("_.:-", id[0]) != NULL)
		return false;
	memcpy(to, id, len + 1);
	return true;
}

/* " (c0ffee...)": the id of an endpoint, which takes a third of the message and says nothing to people. */
static void
drop_ids(char *text)
{
	enum { ID_LEN = 64 };

	for (char *at = text; (at = strstr(at, " (")) != NULL; at++) {
		size_t len = strspn(at + 2, "0123456789abcdef");

		if (len == ID_LEN && at[2 + len] == ')')
			memmove(at, at + len + 3, strlen(at + len + 3) + 1);
	}
}

static void
copy_words(char *ret, size_t size, const struct json_value *root, const char *member)
{
	char words[1024];

	docker_copy_member(words, sizeof(words), root, member);
	drop_ids(words);
	docker_copy_text(ret, size, str_of(words));
}

void
docker_reply_message(struct str body, char *ret, size_t size)
{
	struct json *doc;
	struct err ignored;

	if (json_parse(body, &limits, &doc, &ignored)) {
		copy_words(ret, size, json_root(doc), "message");
		if (ret[0] == '\0') /* Podman's word for it */
			copy_words(ret, size, json_root(doc), "cause");
		json_free(&doc);
	} else {
		docker_copy_text(ret, size, str_trim(body));
	}
	if (ret[0] == '\0')
		snprintf(ret, size, "no reason given");
}

bool
docker_reply_id(struct str body, char ret[DOCKER_ID_SIZE], struct err *err)
{
	struct json *doc;
	bool good;

	if (!docker_reply_parse(body, "answer", JSON_OBJECT, &doc, err))
		return false;
	good = docker_copy_id(ret, json_string(json_get(json_root(doc), "Id"), NULL));
	json_free(&doc);
	return good || err_set(err, ERR_PROTO, 0, "the engine gave no id for what it made");
}

static void
copy_platform(const struct json_value *root, const char *architecture, struct platform *ret)
{
	if (!platform_of(json_string(json_get(root, "Os"), ""), json_string(json_get(root, architecture), ""),
		json_string(json_get(root, "Variant"), ""), ret))
		*ret = (struct platform){ .text = "" };
}

bool
docker_reply_version(struct str body, struct docker_version *ret, struct err *err)
{
	const struct json_value *first;
	struct json *doc;

	if (!docker_reply_parse(body, "version", JSON_OBJECT, &doc, err))
		return false;
	docker_copy_member(ret->version, sizeof(ret->version), json_root(doc), "Version");
	docker_copy_member(ret->api, sizeof(ret->api), json_root(doc), "ApiVersion");
	docker_copy_member(ret->min_api, sizeof(ret->min_api), json_root(doc), "MinAPIVersion");
	copy_platform(json_root(doc), "Arch", &ret->platform);
	first = json_at(json_get(json_root(doc), "Components"), 0);
	ret->is_podman = strcmp(json_string(json_get(first, "Name"), ""), "Podman Engine") == 0;
	json_free(&doc);
	return ret->api[0] != '\0' || err_set(err, ERR_PROTO, 0, "the engine does not say which API it speaks");
}

bool
docker_reply_exit(struct str body, struct docker_exit *ret, struct err *err)
{
	int64_t code;
	struct json *doc;

	if (!docker_reply_parse(body, "exit status", JSON_OBJECT, &doc, err))
		return false;
	code = json_int(json_get(json_root(doc), "StatusCode"), -1);
	ret->code = (int)code;
	docker_copy_member(ret->error, sizeof(ret->error), json_root(doc), "Error.Message");
	json_free(&doc);
	return (code >= 0 && code <= 255) || err_set(err, ERR_PROTO, 0, "the engine gave no exit code");
}

/* The network a container was started in is the only one we give it. */
static void
copy_address(struct docker_container *ret, const struct json_value *root)
{
	const struct json_value *networks = json_path(root, "NetworkSettings.Networks");

	ret->address[0] = '\0';
	if (json_type(networks) == JSON_OBJECT && json_count(networks) > 0)
		docker_copy_member(ret->address, sizeof(ret->address), json_at(networks, 0), "IPAddress");
}

bool
docker_reply_container(struct str body, struct docker_container *ret, struct err *err)
{
	const struct json_value *root;
	struct json *doc;
	bool good;

	if (!docker_reply_parse(body, "description of a container", JSON_OBJECT, &doc, err))
		return false;
	root = json_root(doc);
	good = docker_copy_id(ret->id, json_string(json_get(root, "Id"), NULL));
	ret->running = json_bool(json_path(root, "State.Running"), false);
	ret->exit_code = (int)json_int(json_path(root, "State.ExitCode"), -1);
	ret->oom_killed = json_bool(json_path(root, "State.OOMKilled"), false);
	ret->restarts = (unsigned)json_int(json_get(root, "RestartCount"), 0);
	docker_copy_member(ret->error, sizeof(ret->error), root, "State.Error");
	docker_copy_member(ret->health, sizeof(ret->health), root, "State.Health.Status");
	copy_address(ret, root);
	json_free(&doc);
	return good || err_set(err, ERR_PROTO, 0, "the engine's description of a container has no id");
}

bool
docker_reply_exec(struct str body, struct docker_exec_end *ret, struct err *err)
{
	struct json *doc;
	int64_t code;

	if (!docker_reply_parse(body, "description of a process", JSON_OBJECT, &doc, err))
		return false;
	code = json_int(json_get(json_root(doc), "ExitCode"), -1);
	ret->running = json_bool(json_get(json_root(doc), "Running"), false);
	ret->exit_code = (int)code;
	json_free(&doc);
	return ret->running || (code >= 0 && code <= 255) ||
	       err_set(err, ERR_PROTO, 0, "the engine gave no exit code of a process");
}

bool
docker_reply_is_twin(struct str body, const struct docker_label *labels, size_t count)
{
	const struct json_value *root, *have;
	struct json *doc;
	bool twin;

	if (!docker_reply_parse(body, "description of a container", JSON_OBJECT, &doc, NULL))
		return false;
	root = json_root(doc);
	have = json_path(root, "Config.Labels");
	twin = strcmp(json_string(json_path(root, "State.Status"), ""), "created") == 0;
	for (size_t i = 0; i < count && twin; i++)
		twin = strcmp(json_string(json_get(have, labels[i].name), ""), labels[i].value) == 0;
	json_free(&doc);
	return twin;
}

static bool
is_of_repository(struct str name, const struct image_ref *wanted)
{
	struct image_ref ref;

	return image_parse(name, &ref, NULL) && strcmp(ref.registry, wanted->registry) == 0 &&
	       strcmp(ref.repository, wanted->repository) == 0;
}

/* digests: "alpine@sha256:..." for each repository that it came from or went to. */
static void
copy_digest(struct docker_image *ret, const struct json_value *digests, const char *name)
{
	struct image_ref wanted;

	ret->digest[0] = '\0';
	if (!image_parse(str_of(name), &wanted, NULL))
		return;
	for (size_t i = 0; i < json_count(digests); i++) {
		struct str digest = str_of(json_string(json_at(digests, i), "")), repository = str_cut(&digest, '@');

		if (is_of_repository(repository, &wanted)) {
			docker_copy_text(ret->digest, sizeof(ret->digest), digest);
			return;
		}
	}
}

static bool
has_health(const struct json_value *check)
{
	const char *kind = json_string(json_at(json_get(check, "Test"), 0), "");

	return kind[0] != '\0' && strcmp(kind, "NONE") != 0;
}

bool
docker_reply_image(struct str body, const char *name, struct docker_image *ret, struct err *err)
{
	const struct json_value *root;
	struct json *doc;
	bool good;

	if (!docker_reply_parse(body, "description of an image", JSON_OBJECT, &doc, err))
		return false;
	root = json_root(doc);
	good = docker_copy_id(ret->id, json_string(json_get(root, "Id"), NULL));
	copy_digest(ret, json_get(root, "RepoDigests"), name);
	copy_platform(root, "Architecture", &ret->platform);
	ret->has_health = has_health(json_path(root, "Config.Healthcheck"));
	json_free(&doc);
	return good || err_set(err, ERR_PROTO, 0, "the engine's description of an image has no id");
}

bool
docker_reply_remote(struct str body, char ret[128], struct err *err)
{
	const char *digest;
	struct json *doc;
	bool good;

	if (!docker_reply_parse(body, "description of a registry's image", JSON_OBJECT, &doc, err))
		return false;
	digest = json_string(json_path(json_root(doc), "Descriptor.digest"), "");
	good = strncmp(digest, "sha256:", 7) == 0 && snprintf(ret, 128, "%s", digest) < 128;
	json_free(&doc);
	return good || err_set(err, ERR_PROTO, 0, "the engine's description of a registry's image has no digest");
}

/* Containers have "Names": ["/x"] (and with Podman an empty "Name"), networks and volumes "Name"; a volume has no id
 * beside it. */
static bool
fill_item(struct docker_item *item, const struct json_value *v)
{
	const char *name = json_string(json_get(v, "Name"), "");

	if (name[0] == '\0')
		name = json_string(json_at(json_get(v, "Names"), 0), "");
	item->name = name[0] == '/' ? name + 1 : name;
	item->labels = json_get(v, "Labels");
	item->state = json_string(json_get(v, "State"), "");
	item->network_mode = json_string(json_path(v, "HostConfig.NetworkMode"), "");
	item->address = json_string(json_get(json_at(json_path(v, "NetworkSettings.Networks"), 0), "IPAddress"), "");
	return docker_copy_id(item->id, json_string(json_get(v, "Id"), item->name));
}

bool
docker_reply_list(struct str body, struct docker_list *ret, struct err *err)
{
	struct docker_list list = { .count = 0 };
	const struct json_value *entries;
	size_t count;

	if (!json_parse(body, &limits, &list.doc, err))
		return false;
	entries = json_root(list.doc);
	if (json_type(entries) == JSON_OBJECT) /* volumes come in an object, null when there are none */
		entries = json_get(entries, "Volumes");
	count = json_type(entries) == JSON_ARRAY ? json_count(entries) : 0;
	list.items = xcalloc(count, sizeof(*list.items));
	for (size_t i = 0; i < count; i++)
		if (fill_item(&list.items[list.count], json_at(entries, i)))
			list.count++;
	*ret = list;
	return true;
}

void
docker_list_fini(struct docker_list *list)
{
	json_free(&list->doc);
	free(list->items);
	*list = (struct docker_list){ .count = 0 };
}

const char *
docker_item_label(const struct docker_item *item, const char *name)
{
	return json_string(json_get(item->labels, name), NULL);
}

/* "Retrying in 5 seconds" */
static uint64_t
again_s(const char *status)
{
	struct str rest = str_of(status);
	uint64_t seconds;

	if (!str_has_prefix(rest, "Retrying in "))
		return 0;
	rest = str_of(status + strlen("Retrying in "));
	return str_to_u64(str_cut(&rest, ' '), UINT32_MAX, &seconds) ? seconds : 0;
}

bool
docker_reply_progress(struct str line, struct docker_progress *ret, struct err *err)
{
	const struct json_value *root;
	struct json *doc;

	if (!docker_reply_parse(line, "progress", JSON_OBJECT, &doc, err))
		return false;
	root = json_root(doc);
	docker_copy_member(ret->status, sizeof(ret->status), root, "status");
	docker_copy_member(ret->layer, sizeof(ret->layer), root, "id");
	ret->current = json_int(json_path(root, "progressDetail.current"), 0);
	ret->total = json_int(json_path(root, "progressDetail.total"), 0);
	docker_copy_member(ret->digest, sizeof(ret->digest), root, "aux.Digest");
	ret->again_s = again_s(ret->status);
	docker_copy_member(ret->error, sizeof(ret->error), root, "errorDetail.message");
	if (ret->error[0] == '\0')
		docker_copy_member(ret->error, sizeof(ret->error), root, "error");
	json_free(&doc);
	return true;
}

/* The engine's words for what is the Dockerfile's fault; anything else is the engine's, or a registry's. */
static bool
is_dockerfiles_fault(const struct json_value *root, const char *error)
{
	static const char *const words[] = { "returned a non-zero code", "failed to parse", "parse error",
		"COPY failed", "ADD failed", "unknown instruction", "invalid from flag", "failed to reach build target",
		"not found", "requires", "No such file", "no source files", "repository does not exist", "manifest" };

	if (json_int(json_path(root, "errorDetail.code"), 0) != 0)
		return true;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strstr(error, words[i]) != NULL)
			return true;
	return false;
}

bool
docker_reply_build(struct str line, struct docker_build_line *ret, struct err *err)
{
	const struct json_value *root;

	*ret = (struct docker_build_line){ .doc = NULL };
	if (!docker_reply_parse(line, "build", JSON_OBJECT, &ret->doc, err))
		return false;
	root = json_root(ret->doc);
	ret->text = str_of(json_string(json_get(root, "stream"), ""));
	if (json_path(root, "aux.ID") != NULL && !docker_copy_id(ret->id, json_string(json_path(root, "aux.ID"), NULL)))
		ret->id[0] = '\0';
	docker_copy_member(ret->error, sizeof(ret->error), root, "errorDetail.message");
	if (ret->error[0] == '\0')
		docker_copy_member(ret->error, sizeof(ret->error), root, "error");
	ret->is_theirs = ret->error[0] != '\0' && is_dockerfiles_fault(root, ret->error);
	return true;
}

void
docker_build_line_fini(struct docker_build_line *line)
{
	json_free(&line->doc);
}

bool
docker_reply_event(struct str line, struct docker_event *ret, struct err *err)
{
	const struct json_value *root;
	struct json *doc;
	const char *name;
	bool good;

	if (!docker_reply_parse(line, "event", JSON_OBJECT, &doc, err))
		return false;
	root = json_root(doc);
	name = json_string(json_path(root, "Actor.ID"), NULL);
	good = name != NULL; /* empty in Podman's event of a pull */
	if (!good || !docker_copy_id(ret->id, name))
		ret->id[0] = '\0';
	docker_copy_member(ret->action, sizeof(ret->action), root, "Action");
	json_free(&doc);
	return good || err_set(err, ERR_PROTO, 0, "an event of the engine names nothing");
}
