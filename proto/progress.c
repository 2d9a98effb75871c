#include "proto/progress.h"

#include <stdio.h>
#include <string.h>

#include "proto/json.h"
#include "proto/mem.h"

enum { TEXT_MAX = 4096 };

static const struct json_limits limits = { .bytes = TEXT_MAX, .depth = 2, .values = 16 };

char *
progress_to_json(const struct progress *p)
{
	struct json_writer *w;

	if (p->part == 0)
		return xstrdup("");
	w = json_writer_new(TEXT_MAX);
	json_write_object_open(w);
	json_member_int(w, "part", p->part);
	json_member_int(w, "log", (int64_t)p->log);
	json_member_int(w, "out", (int64_t)p->out);
	json_member_int(w, "err", (int64_t)p->err);
	json_member_int(w, "exit", p->exit_code);
	json_member_bool(w, "oom", p->oom);
	json_member_string(w, "segment", p->segment);
	json_member_int(w, "segment_exit", p->segment_exit);
	json_write_object_close(w);
	return json_writer_finish(&w, NULL);
}

static bool
get_count(const struct json_value *root, const char *name, uint64_t *ret)
{
	int64_t n = json_int(json_get(root, name), -1);

	*ret = n >= 0 ? (uint64_t)n : 0;
	return n >= 0;
}

bool
progress_from_json(struct str json, struct progress *ret, struct err *err)
{
	const struct json_value *root;
	uint64_t part = 0;
	struct json *doc;
	bool good;

	*ret = (struct progress){ .exit_code = -1, .segment_exit = -1 };
	if (json.len == 0)
		return true;
	if (!json_parse(json, &limits, &doc, err))
		return false;
	root = json_root(doc);
	good = get_count(root, "part", &part) && part <= UINT32_MAX && get_count(root, "log", &ret->log) &&
	       get_count(root, "out", &ret->out) && get_count(root, "err", &ret->err);
	ret->part = (unsigned)part;
	ret->exit_code = (int)json_int(json_get(root, "exit"), -1);
	ret->oom = json_bool(json_get(root, "oom"), false);
	snprintf(ret->segment, sizeof(ret->segment), "%s", json_string(json_get(root, "segment"), ""));
	ret->segment_exit = (int)json_int(json_get(root, "segment_exit"), -1);
	json_free(&doc);
	return good || err_set(err, ERR_PROTO, 0, "the job's record does not say how far it came");
}
