#include "proto/deliveries.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/json.h"
#include "proto/mem.h"

#define ATTEMPTS_MAX 5

static const struct json_limits limits = { .bytes = 1024 * 1024, .depth = 16, .values = 100000 };

static bool
parse_list(struct str text, struct json **ret, struct err *err)
{
	if (!json_parse(text, &limits, ret, err))
		return false;
	if (json_type(json_root(*ret)) == JSON_ARRAY)
		return true;
	json_free(ret);
	return err_set(err, ERR_PROTO, 0, "GitHub did not answer with a list");
}

/* --- which webhook --- */

static bool
is_ours(struct str address, const char *url, const char *repo)
{
	char *end = xasprintf("%s/hook/%s", url, repo);
	size_t len = strlen(end);
	bool ok = url[0] != '\0' ? str_is(address, end)
				 : address.len > len && memcmp(address.p + address.len - len, end, len) == 0;

	free(end);
	return ok;
}

bool
deliveries_find_hook(struct str json, const char *url, const char *repo, int64_t *ret, struct err *err)
{
	struct json *doc;
	const struct json_value *hooks;

	if (!parse_list(json, &doc, err))
		return false;
	*ret = 0;
	hooks = json_root(doc);
	for (size_t i = 0; i < json_count(hooks) && *ret == 0; i++) {
		const struct json_value *hook = json_at(hooks, i);

		if (is_ours(str_of(json_string(json_path(hook, "config.url"), "")), url, repo))
			*ret = json_int(json_get(hook, "id"), 0);
	}
	json_free(&doc);
	return true;
}

/* --- which deliveries --- */

static struct delivery_record *
find_record(const struct deliveries *deliveries, const char *guid)
{
	for (size_t i = 0; i < deliveries->count; i++)
		if (strcmp(deliveries->items[i].guid, guid) == 0)
			return &deliveries->items[i];
	return NULL;
}

static bool
is_wanted(const struct json_value *attempt)
{
	const char *event = json_string(json_get(attempt, "event"), "");
	const char *guid = json_string(json_get(attempt, "guid"), "");

	return (strcmp(event, "push") == 0 || strcmp(event, "pull_request") == 0) && guid[0] != '\0' &&
	       strlen(guid) < sizeof((struct delivery_record){ 0 }.guid) && json_int(json_get(attempt, "id"), 0) > 0;
}

/* Attempts come newest first, so the first one gives the id. */
static const struct delivery_record *
take_attempt(struct deliveries *deliveries, const struct json_value *attempt)
{
	const char *guid = json_string(json_get(attempt, "guid"), "");
	int64_t status = json_int(json_get(attempt, "status_code"), 0);
	struct delivery_record *record = find_record(deliveries, guid);

	if (record == NULL) {
		if (deliveries->count == DELIVERIES_MAX)
			return NULL;
		if (deliveries->items == NULL)
			deliveries->items = xcalloc(DELIVERIES_MAX, sizeof(*deliveries->items));
		record = &deliveries->items[deliveries->count++];
		snprintf(record->guid, sizeof(record->guid), "%s", guid);
		record->id = json_int(json_get(attempt, "id"), 0);
	}
	record->attempts++;
	record->answered = record->answered || (status >= 200 && status < 500);
	return record;
}

bool
delivery_is_missed(const struct delivery_record *record)
{
	return !record->answered && record->attempts < ATTEMPTS_MAX;
}

bool
deliveries_take(struct deliveries *deliveries, struct str json, bool *missed, struct err *err)
{
	struct json *doc;
	const struct json_value *attempts;

	if (!parse_list(json, &doc, err))
		return false;
	*missed = false;
	attempts = json_root(doc);
	for (size_t i = 0; i < json_count(attempts); i++)
		if (is_wanted(json_at(attempts, i))) {
			const struct delivery_record *record = take_attempt(deliveries, json_at(attempts, i));

			*missed = *missed || (record != NULL && !record->answered);
		}
	json_free(&doc);
	return true;
}

void
deliveries_fini(struct deliveries *deliveries)
{
	free(deliveries->items);
	*deliveries = (struct deliveries){ 0 };
}

/* --- pages --- */

/* <https://api.github.com/...?per_page=100&cursor=v1_123>; rel="next", <...>; rel="prev" */
bool
deliveries_cursor(struct str link, char ret[DELIVERIES_CURSOR_SIZE])
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.%=";
	static const char name[] = "cursor=";
	bool found = false;

	while (link.len > 0 && !found) {
		char *part = str_dup(str_cut(&link, ','));
		const char *at = strstr(part, "rel=\"next\"") != NULL ? strstr(part, name) : NULL;
		size_t len = at != NULL ? strspn(at + strlen(name), plain) : 0;

		found = len > 0 && len < DELIVERIES_CURSOR_SIZE;
		if (found)
			snprintf(ret, DELIVERIES_CURSOR_SIZE, "%.*s", (int)len, at + strlen(name));
		free(part);
	}
	return found;
}
