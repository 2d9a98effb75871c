/* POST /api/v1/mirror/fetch {"names": ["alpine:3.20", "https://..."], "platforms": ["linux/amd64"]}, and the progress
 * of such a warm-up at /api/v1/mirror/fetch/:fetch. */
#include <stdlib.h>

#include "proto/mem.h"
#include "server/controller/controller_private.h"
#include "server/mirror/mirror.h"

#define STATUS_MAX (64 * 1024)

/* Of an array of texts. Their texts are the document's; false: it is something else. */
static bool
read_texts(const struct json_value *array, size_t max, const char ***ret, size_t *count)
{
	*count = json_count(array);
	*ret = NULL;
	if (*count > max || (array != NULL && json_type(array) != JSON_ARRAY))
		return false;
	*ret = xcalloc(*count, sizeof(**ret));
	for (size_t i = 0; i < *count; i++) {
		(*ret)[i] = json_string(json_at(array, i), NULL);
		if ((*ret)[i] == NULL)
			return false;
	}
	return true;
}

static uint64_t
start(struct mirror *mirror, const struct json_value *root, struct err *err)
{
	struct warmup_request request = { 0 };
	const char **names = NULL, **platforms = NULL;
	uint64_t id = 0;

	if (read_texts(json_get(root, "names"), WARMUP_NAMES_MAX, &names, &request.count) &&
	    read_texts(json_get(root, "platforms"), WARMUP_PLATFORMS_MAX, &platforms, &request.platform_count)) {
		request.names = names;
		request.platforms = platforms;
		id = mirror_fetch(mirror, &request, err);
	} else {
		err_set(err, ERR_INPUT, 0, "\"names\" are up to %d texts, \"platforms\" up to %d", WARMUP_NAMES_MAX,
		    WARMUP_PLATFORMS_MAX);
	}
	free(names);
	free(platforms);
	return id;
}

void
api_mirror_fetch(void *arg, struct http_reply *reply)
{
	struct controller *controller = arg;
	struct api_call *call;
	struct json_writer *w;
	struct err err;
	uint64_t id;

	if (!api_has_mirror(controller, &reply))
		return;
	call = api_call_new(controller, reply);
	if (!api_call_parse(&call))
		return;
	id = start(controller->deps.mirror, json_root(call->body), &err);
	if (id == 0) {
		api_call_failed(&call, &err);
		return;
	}
	w = json_writer_new(STATUS_MAX);
	json_write_object_open(w);
	json_member_int(w, "id", (int64_t)id);
	json_write_object_close(w);
	api_call_json(&call, 202, &w);
}

static void
write_progress(const struct warmup *warmup, struct json_writer *w)
{
	struct warmup_status status;

	warmup_status(warmup, &status);
	json_write_object_open(w);
	json_member_int(w, "total", (int64_t)status.total);
	json_member_int(w, "done", (int64_t)status.done);
	json_member_int(w, "failed", (int64_t)status.failed);
	json_member_int(w, "bytes", (int64_t)status.bytes);
	json_write_key(w, "errors");
	json_write_array_open(w);
	for (size_t i = 0; i < status.error_count; i++)
		json_write_string(w, warmup_error(warmup, i));
	json_write_array_close(w);
	json_write_object_close(w);
}

void
api_mirror_fetched(void *arg, struct http_reply *reply)
{
	struct controller *controller = arg;
	const struct warmup *warmup;
	struct json_writer *w;
	uint64_t id = 0;

	if (!api_has_mirror(controller, &reply))
		return;
	if (!str_to_u64(str_of(request_param(reply_request(reply), "fetch")), INT64_MAX, &id) ||
	    (warmup = mirror_fetched(controller->deps.mirror, id)) == NULL) {
		reply_error(
		    &reply, 404, "no_fetch", "there is no such fetch, or none any more since the server was restarted");
		return;
	}
	w = json_writer_new(STATUS_MAX);
	write_progress(warmup, w);
	reply_json(&reply, 200, &w);
}
